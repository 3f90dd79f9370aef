"""The examples run, from the outside, as their readers would run them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "needed"),
    [("pytorch", "torch"), ("diffusers", "diffusers"), ("monai", "monai")],
)
def test_an_example_trains_checks_and_draws(name, needed, tmp_path):
    if not (find_spec("torch") and find_spec(needed)):
        pytest.skip(f"{needed} is not installed")
    script = EXAMPLES / f"audit_while_training_{name}.py"
    result = subprocess.run(
        [sys.executable, script, "--quick", "--out", tmp_path / "audits"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "audits" / "audits.jsonl").read_text().splitlines()
    checks = [json.loads(line) for line in lines]
    assert [(check["step"], check["num_samples"]) for check in checks] == [(2, 10), (4, 10)]
    assert checks[0]["images_sha256"] != checks[1]["images_sha256"]  # it did train
    assert all(check["num_judged"] == 10 and not check["copies"] for check in checks)
    assert "step 4: 0 of 10 samples are copies" in result.stdout
    assert "10 samples per check" in result.stderr  # what is too little is said
    assert find_spec("matplotlib") is None or (tmp_path / "audits" / "progress.png").is_file()
