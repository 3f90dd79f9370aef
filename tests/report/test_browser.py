"""The pages in a real browser, from file://, where one is installed."""

import html
import json
import re
import shutil
import subprocess

import pytest
from tests.report.factory import make_audit

from likeness.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium")

# The page itself runs no script; the one around it measures.
PROBE = """<!doctype html><body>
<iframe id="frame" width="{width}" height="2000" style="border:0" src="{page}"></iframe>
<pre id="out"></pre>
<script>
addEventListener("load", () => {{
  const page = frame.contentDocument;
  const images = [...page.images];
  out.textContent = JSON.stringify({{
    width: page.documentElement.clientWidth,
    needed: page.documentElement.scrollWidth,
    images: images.length,
    decoded: images.filter(image => image.naturalWidth > 0).length,
    title: page.title,
  }});
}});
</script>"""


@pytest.mark.parametrize("name", ["report-INTERNAL.html", "summary.html"])
def test_opens_from_a_file_without_errors_and_fits_a_phone(tmp_path, name):
    made = make_audit(
        tmp_path / "audit",
        num_pairs=3,
        num_flagged=2,
        text=lambda text: text + "_a_very_long_name_without_any_space_in_it_" + "x" * 60,
    )
    write_report(made.folder)
    page = tmp_path / "moved.html"
    # Eager, so that every picture is there when the page says that it is loaded.
    page.write_text((made.folder / name).read_text().replace(' loading="lazy"', ""))
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(width=320, page=page.as_uri()))
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        "--dump-dom",
        probe.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(html.unescape(re.search(r'<pre id="out">(.+?)</pre>', done.stdout)[1]))
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert found["title"].endswith(("audit", "summary"))
    assert found["width"] <= 320
    assert found["needed"] <= found["width"]
    assert found["decoded"] == found["images"]
    assert (found["images"] > 0) == (name != "summary.html")
