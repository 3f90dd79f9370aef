import json
import re
import shutil
import stat
import tracemalloc
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.report.factory import make_audit
from tests.report.pages import Page, decode

from likeness._findings import Findings
from likeness.errors import InputError, OptionError
from likeness.report import evidence, write_report

HOSTILE = (
    "\"><script>alert(1)</script><img src=x onerror=alert(1)>' onmouseover='x"
    "{{7*7}}{% include 'style.css' %}</style><!--\u202e\x1b[31m\n&amp;"
)
FORBIDDEN = re.compile(
    r"\b(anonym|safe|gdpr|guarante|no memori|negligib|insignific)|(?<![\d.,])0\s?%", re.IGNORECASE
)


def render(folder, **options):
    paths = write_report(folder, **options)
    return Page(paths.internal.read_text()), Page(paths.summary.read_text())


STATES = {
    "copies": {},
    "signal": {"verdict": "TRAINING_SIGNAL", "num_flagged": 0},
    "no copy": {"verdict": "NO_COPY_DETECTED", "num_flagged": 0},
    "inconclusive": {"verdict": "INCONCLUSIVE", "num_flagged": 0, "num_errors": 0},
    "all copies": {"num_flagged": 120},
    "one image": {"num_synthetic": 1, "num_flagged": 1, "num_train": 4, "num_pairs": 1},
    "one channel": {"channels": ("grey",)},
    "four channels": {"channels": ("t1", "t1ce", "t2", "flair"), "num_pairs": 3},
    "float pixels": {"dtype": "float32"},
    "16 bit": {"dtype": "uint16"},
    "no patient ids": {"patient_ids": False},
    "no test set": {"num_test": 0},
    "no self-check": {"self_check": False, "verdict": "INCONCLUSIVE", "num_flagged": 0},
    "failed self-check": {"self_check_passed": False, "verdict": "INCONCLUSIVE"},
    "no baseline": {"baseline": False, "verdict": "INCONCLUSIVE", "num_flagged": 0},
    "five channels": {"channels": ("a", "b", "c", "d", "e"), "num_pairs": 2},
    "part of the set": {"num_in_set": 4000},
    "no evidence": {"evidence": False},
    "no pairs": {"num_pairs": 0, "num_flagged": 0},
    "undefined": {"num_undefined": 4},
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_renders_with_its_numbers(tmp_path, state):
    made = make_audit(tmp_path / "audit", **STATES[state])
    internal, summary = render(made.folder)
    counts = made.findings.counts
    assert internal.counts["flagged"].startswith(f"{counts.flagged:,} of {counts.synthetic:,}")
    assert internal.counts["synthetic"].startswith(f"{counts.synthetic:,}")
    assert internal.counts["train"].startswith(f"{counts.train:,}")
    assert internal.counts["test"].startswith(f"{counts.test:,}")
    assert internal.counts["pairs"].startswith(f"{counts.pairs:,}")
    assert internal.counts["patients"].startswith(f"{counts.patients} of {counts.train_patients}")
    assert len(internal.with_class("tr", "copy")) == len(made.findings.copies)
    assert len(internal.with_class("tr", "patient")) == len(made.findings.patients)
    assert len(internal.with_class("tr", "check")) == len(made.findings.checks)
    assert len(internal.with_class("th", "set")) == 3
    expected = len(made.pairs) if made.folder.joinpath("evidence").exists() else 0
    assert len(internal.with_class("article", "pair")) == expected
    assert len(internal.with_class("span", "flagged")) == min(counts.flagged, expected)
    words = made.findings.verdict.code.replace("_", " ").capitalize()
    assert words in internal.text
    assert words in summary.text
    assert not FORBIDDEN.search(internal.text)
    assert not FORBIDDEN.search(summary.text)


def test_flagged_in_the_chart_are_the_findings_flagged(tmp_path):
    internal, _ = render(make_audit(tmp_path / "audit").folder)
    # four ways of comparing, each wide and narrow
    assert internal.text.count("9 copies marked, 2 unusual") == 8
    marks = [a["d"] for a in internal.with_class("path", "strip-mark") if "z" in a["d"]]
    assert sum(d.count("M") == 9 for d in marks) == 8
    assert sum(a["d"].count("M") == 2 for a in internal.with_class("path", "unusual-mark")) == 8


def test_all_comparisons_are_in_one_picture(tmp_path):
    made = make_audit(tmp_path / "audit")
    internal, _ = render(made.folder)
    drawn = {
        key: len(internal.with_class("g", f"s-{key}"))
        for key in ("synthetic-train", "test-train", "train-train", "synthetic-test")
    }
    # Each wide and narrow: the correlations; the contrasts of four families; the planted copies,
    # four of five levels above the mark; the set as a whole.
    assert drawn == {
        "synthetic-train": 2 * (1 + 4 + 1 + 1),
        "test-train": 2 * (1 + 4),
        "train-train": 2 * (1 + 4),
        "synthetic-test": 2,
    }


@pytest.mark.parametrize("state", ["copies", "no evidence", "four channels"])
def test_a_page_loads_nothing_and_runs_nothing(tmp_path, state):
    made = make_audit(tmp_path / "audit", **STATES[state])
    for page, policy in zip(render(made.folder), ("img-src data:; ", ""), strict=True):
        _assert_harmless(page)
        meta = [m for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        assert [m["content"] for m in meta] == [
            f"default-src 'none'; {policy}style-src 'unsafe-inline'; base-uri 'none'; "
            "form-action 'none'"
        ]


def _assert_harmless(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "link", "base", "form", "input"}
    assert len(page.of("style")) == 1
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert "javascript:" not in value
            if name in {"src", "srcset", "data", "action", "poster", "xlink:href"}:
                assert tag == "img"
                assert value.startswith("data:image/webp;base64,")
            if name == "href":
                assert value.startswith("#")


def test_hostile_strings_are_shown_and_inject_nothing(tmp_path):
    harmless = make_audit(tmp_path / "harmless", num_errors=2, num_undefined=1)
    hostile = make_audit(
        tmp_path / "hostile", num_errors=2, num_undefined=1, text=lambda s: s + HOSTILE
    )
    for clean, attacked in zip(render(harmless.folder), render(hostile.folder), strict=True):
        _assert_harmless(attacked)
        assert [tag for tag, _ in attacked.elements] == [tag for tag, _ in clean.elements]
        names = [[*a] for _, a in attacked.elements]
        assert names == [[*a] for _, a in clean.elements]
        assert not set("\u202e\x1b\x00") & set(attacked.text)
    internal, _ = render(hostile.folder)
    shown = HOSTILE.replace("\u202e", r"\u202e").replace("\x1b", r"\x1b").replace("\n", r"\x0a")
    assert f"synthetic/00000.png{shown}" in internal.text
    assert any(shown in image["alt"] for image in internal.of("img"))
    assert "{{7*7}}" in internal.text


def test_equal_folders_give_equal_bytes(tmp_path):
    first = write_report(make_audit(tmp_path / "one").folder)
    second = write_report(make_audit(tmp_path / "deeper" / "two").folder)
    assert first.internal.read_bytes() == second.internal.read_bytes()
    assert first.summary.read_bytes() == second.summary.read_bytes()
    again = write_report(tmp_path / "one")
    assert again == first
    assert again.internal.read_bytes() == second.internal.read_bytes()


def test_only_the_owner_reads_the_internal_report(tmp_path):
    folder = make_audit(tmp_path / "audit").folder
    (folder / "report-INTERNAL.html").write_text("old and public")
    (folder / "report-INTERNAL.html").chmod(0o644)
    paths = write_report(folder)
    assert paths.internal.name == "report-INTERNAL.html"
    assert stat.S_IMODE(paths.internal.stat().st_mode) == 0o600
    assert paths.summary.name == "summary.html"
    assert not list(folder.glob("*.partial"))


def test_pictures_are_the_pixels(tmp_path):
    made = make_audit(tmp_path / "audit", channels=("t1", "t2", "flair"), num_pairs=4)
    internal, _ = render(made.folder)
    images = internal.of("img")
    position = 0
    with np.load(made.folder / "evidence" / "pairs.npz") as stored:
        has = {"previous": stored["has_previous"], "next": stored["has_next"]}
        neighbours = {"previous": stored["previous"], "next": stored["next"]}
        residuals = stored["residual"]
    for p in range(4):
        for c in range(3):
            s, x = made.synthetic[p, c], made.train[p, c]
            window = evidence.linked_window(s, x)
            fit = evidence.fit_intensities(s, x)
            expected = [evidence.grey_picture(s, window), evidence.grey_picture(x, window)]
            expected.append(evidence.difference_picture(residuals[p, c]))
            expected.append(evidence.scatter_picture(s, x, fit))
            for side in ("previous", "next"):
                if has[side][p]:
                    beside = neighbours[side][p, c]
                    expected.append(evidence.neighbour_picture(beside, x, window))
            for picture in expected:
                pixels = decode(images[position]["src"])
                grey = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=2)
                assert np.array_equal(pixels, grey)
                assert images[position]["width"] == str(picture.shape[1])
                assert images[position]["height"] == str(picture.shape[0])
                assert images[position]["loading"] == "lazy"
                assert images[position]["alt"]
                position += 1
    assert position == len(images)
    assert "There is none in the training set." in internal.text


def test_every_pair_carries_the_yardstick_and_how_rare_it_is(tmp_path):
    made = make_audit(tmp_path / "audit", num_flagged=2)
    internal, _ = render(made.folder)
    baseline = made.findings.baseline
    for pair in made.pairs:
        reached = f"{pair['correlation']:.4f}"
        assert (
            f"Two different patients\u2019 images reach {baseline.median:.4f}; one pair in a "
            f"hundred reaches {baseline.quantile_99:.4f}; this pair reaches {reached}."
        ) in internal.text
        above = sum(1 for value in made.real_contrasts if value >= pair["contrast"])
        assert f"in {above or 'none'} of 200 comparisons" in internal.text
        close = sum(1 for value in made.real_correlations if value >= pair["correlation"])
        assert f"As close at full size: {close or 'none'} of 200 real images" in internal.text
    assert internal.text.count("Two different patients\u2019 images reach") == len(made.pairs)
    assert internal.text.count("Extrapolated: it lies beyond all real pictures") == 1
    assert internal.text.count("mirrored left to right") >= 3


def test_a_registered_pair_is_shown_as_it_was_moved(tmp_path):
    made = make_audit(tmp_path / "audit", num_pairs=4)
    internal, _ = render(made.folder)
    assert made.pairs[2]["family"] == "registered"
    assert internal.text.count("Synthetic, moved to fit") == 2  # one pair, two channels
    assert "0.9871, on 93.0" in internal.text
    # Its pictures have another r than full size, so nothing contradicts.
    made.pairs[2]["correlation_per_channel"] = [0.5, 0.5]
    (made.folder / "evidence" / "pairs.json").write_text(json.dumps(made.pairs))
    assert "Do not rely on this pair" not in render(made.folder)[0].text


def test_without_stored_residuals_it_is_said(tmp_path):
    folder = make_audit(tmp_path / "audit", num_pairs=2).folder
    path = folder / "evidence" / "pairs.npz"
    with np.load(path) as stored:
        np.savez(path, **{name: stored[name] for name in stored if name != "residual"})
    internal, _ = render(folder)
    assert "has no 'residual'" in internal.text
    assert internal.text.count("It was not stored.") == 4
    assert internal.of("img")


@pytest.mark.parametrize("name", ["images", "baseline"])
def test_a_table_without_a_column_is_drawn_as_far_as_it_goes(tmp_path, name):
    folder = make_audit(tmp_path / "audit").folder
    path = folder / f"{name}.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["contrast_registered", "correlation"]), path)
    internal, _ = render(folder)
    assert f"'{name}.parquet' has no column 'correlation', 'contrast_registered'" in internal.text
    assert "Compared as it is" in internal.text
    assert len(internal.with_class("article", "pair")) == 12


def test_numbers_of_the_sections_are_those_of_the_findings(tmp_path):
    made = make_audit(tmp_path / "audit", num_in_set=4000)
    internal, _ = render(made.folder)
    text = internal.text.replace("\u00a0", " ")
    for words in (
        "Listed as copies: none of 500, in none of 10 groups. Passed.",
        "87.1 % of the weight of the synthetic images falls on training patients; 83.3 % would",
        "95 of 100 such exchanges gave 74.2 % to 91.4 %.",
        "fewer than 17 different copied patients cannot be seen",
        "0.7810 with training, 0.7740 with held-out patients",
        "With all training patients it is 0.8030. That is not comparable",
        "120 of 4,000 images of this set were audited. 9 copies found. With 95 % certainty at most "
        "28 recognisable copies are among the 3,880 others.",
        "Copies among the images audited: 9 of 120 (7.5 %).",
        "also those that the audit overlooks: at most 3.12 % of images.",
        "Never decisive.",
        "at least 2 more patients",
    ):
        assert words in text, words
    assert len(internal.with_class("tr", "level")) == 5
    assert len(internal.with_class("tr", "family")) == 4
    assert len(internal.with_class("tr", "panel")) == 2
    assert len(internal.with_class("tr", "coverage")) == 2
    assert len(internal.with_class("tr", "effect")) == 3
    assert len(internal.with_class("li", "merged")) == 1


def test_a_failed_and_an_absent_self_check_are_said(tmp_path):
    internal, summary = render(make_audit(tmp_path / "failed", self_check_passed=False).folder)
    assert internal.counts["self-check"] == "failed"
    assert "Listed as copies: 7 of 500, in 3 of 10 groups. Failed" in internal.text
    assert "multiplied by 2.5" in internal.text
    assert "listed as copies: 7." in summary.text
    internal, summary = render(make_audit(tmp_path / "absent", self_check=False).folder)
    assert internal.counts["self-check"] == "not run"
    assert "The self-check was not run" in internal.text
    assert "was not measured" in summary.text


def test_words_kept_in_the_package_claim_nothing_forbidden():
    package = files("likeness.report")
    modules = [package / f"{name}.py" for name in ("verdicts", "sentences", "wording", "text")]
    templates = [
        path
        for folder in (package / "templates", package / "templates" / "sections")
        for path in folder.iterdir()
        if path.name.endswith(".j2")
    ]
    assert len(templates) > 15
    for path in [*modules, *templates]:
        words = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", path.read_text("utf-8"), flags=re.DOTALL)
        found = FORBIDDEN.search(words)
        assert not found, (path, found)


def test_pictures_that_contradict_the_findings_are_called_out(tmp_path):
    made = make_audit(tmp_path / "audit", num_pairs=2)
    assert "Do not rely on this pair" not in render(made.folder)[0].text
    pairs = made.pairs
    pairs[0]["correlation_per_channel"][0] = 0.1234
    (made.folder / "evidence" / "pairs.json").write_text(json.dumps(pairs))
    internal, _ = render(made.folder)
    assert internal.text.count("Do not rely on this pair") == 1
    assert "not 0.1234" in internal.text


def test_a_constant_channel_is_said_not_drawn(tmp_path):
    made = make_audit(tmp_path / "audit", num_pairs=1)
    with np.load(made.folder / "evidence" / "pairs.npz") as stored:
        arrays = dict(stored)
    arrays["train"][0, 1] = 0
    np.savez_compressed(made.folder / "evidence" / "pairs.npz", **arrays)
    made.pairs[0]["correlation_per_channel"][1] = None
    (made.folder / "evidence" / "pairs.json").write_text(json.dumps(made.pairs))
    internal, _ = render(made.folder)
    assert "constant in this channel" in internal.text
    assert "r not defined" in internal.text


def test_no_flag_shows_the_nearest_pairs_and_says_that_they_are_not_flagged(tmp_path):
    made = make_audit(tmp_path / "audit", **STATES["no copy"])
    internal, _ = render(made.folder)
    assert "No image was listed as a copy." in internal.text
    assert len(internal.with_class("span", "unusual")) == 2
    assert len(internal.with_class("span", "not")) == len(made.pairs) - 2


def test_pairs_beyond_the_size_are_left_out_worst_kept_and_counted(tmp_path):
    folder = make_audit(tmp_path / "audit").folder
    everything = write_report(folder).internal.stat().st_size
    limit = everything - 40_000
    paths = write_report(folder, max_bytes=limit)
    assert paths.internal.stat().st_size <= limit
    page = Page(paths.internal.read_text())
    kept = len(page.with_class("article", "pair"))
    assert 0 < kept < 12
    assert [a["id"] for a in page.with_class("article", "pair")] == [
        f"pair-{rank}" for rank in range(1, kept + 1)
    ]
    assert page.counts["pairs-shown"].startswith(f"{kept} of 12 stored pairs")
    assert f"{12 - kept} more would have made this file too large" in page.text
    page, _ = render(folder, max_bytes=1)
    assert "12 pairs would have made this file too large" in page.text


def test_the_number_of_pairs_takes_effect(tmp_path):
    folder = make_audit(tmp_path / "audit").folder
    page, _ = render(folder, pairs=5)
    assert len(page.with_class("article", "pair")) == 5
    assert page.counts["pairs-shown"].startswith("5 of 12")
    assert not render(folder, pairs=0)[0].of("img")


@pytest.mark.parametrize("options", [{"max_bytes": 0}, {"pairs": -1}])
def test_options_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(OptionError, match="must be"):
        write_report(tmp_path, **options)


def test_a_folder_without_an_audit_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"findings\.json"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("images.parquet", "'images.parquet' is missing"),
        ("baseline.parquet", "'baseline.parquet' is missing"),
        ("evidence/pairs.json", "'evidence/pairs.json' is missing"),
        ("evidence/pairs.npz", "'evidence/pairs.npz' is missing"),
        ("errors.csv", "'errors.csv' is missing"),
    ],
)
def test_a_missing_file_is_said(tmp_path, name, sentence):
    folder = make_audit(tmp_path / "audit").folder
    (folder / name).unlink()
    page, _ = render(folder)
    assert "This report is not complete." in page.text
    assert sentence in page.text


@pytest.mark.parametrize(
    "name", ["images.parquet", "baseline.parquet", "evidence/pairs.json", "evidence/pairs.npz"]
)
@pytest.mark.parametrize("keep", [0, 0.5, 0.98])
def test_a_damaged_file_is_said(tmp_path, name, keep):
    folder = make_audit(tmp_path / "audit").folder
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * keep)])
    page, _ = render(folder)
    assert f"'{name}' cannot be read" in page.text
    shutil.rmtree(folder / "evidence")
    assert "is missing" in render(folder)[0].text


def test_pictures_damaged_in_the_middle_leave_the_pairs_before(tmp_path):
    made = make_audit(tmp_path / "audit", num_pairs=6)
    path = made.folder / "evidence" / "pairs.npz"
    with np.load(path) as stored:
        np.savez_compressed(path, **dict(stored))
    content = bytearray(path.read_bytes())
    middle = len(content) // 8
    content[middle : middle + 64] = b"\xff" * 64
    path.write_bytes(content)
    page, _ = render(made.folder)
    assert "damaged" in page.text
    assert len(page.with_class("article", "pair")) == 6


@pytest.mark.parametrize("change", ["fewer pairs", "other shape", "objects", "array missing"])
def test_pictures_that_do_not_fit_are_not_shown(tmp_path, change):
    folder = make_audit(tmp_path / "audit").folder
    path = folder / "evidence" / "pairs.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    if change == "fewer pairs":
        arrays = {name: values[:3] for name, values in arrays.items()}
    elif change == "other shape":
        arrays["previous"] = arrays["previous"][:, :, :-1]
    elif change == "objects":
        arrays["train"] = np.full(12, None)
    else:
        del arrays["has_next"]
    np.savez(path, **arrays)
    page, _ = render(folder)
    assert "listed without pictures" in page.text
    assert not page.of("img")
    assert len(page.with_class("article", "pair")) == 12


def test_column_major_pictures_are_read_the_same(tmp_path):
    folder = make_audit(tmp_path / "audit").folder
    before = write_report(folder).internal.read_bytes()
    path = folder / "evidence" / "pairs.npz"
    with np.load(path) as stored:
        arrays = {name: np.asfortranarray(values) for name, values in stored.items()}
    np.savez(path, **arrays)
    assert write_report(folder).internal.read_bytes() == before


def test_one_pair_is_in_memory_at_a_time(tmp_path):
    from likeness.report.pair_files import iter_pixels

    shape = (40, 2, 128, 128)
    arrays = dict.fromkeys(("synthetic", "train", "previous", "next"), np.zeros(shape))
    path = tmp_path / "pairs.npz"
    np.savez(path, **arrays, has_previous=np.ones(40, bool), has_next=np.ones(40, bool))
    tracemalloc.start()
    try:
        assert sum(1 for _ in iter_pixels(path)) == 40
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.25 * 4 * np.prod(shape) * 8


def test_the_first_200_left_out_files_are_listed_and_the_rest_counted(tmp_path):
    folder = make_audit(tmp_path / "audit", num_errors=223).folder
    page, _ = render(folder)
    assert len(page.with_class("tr", "left-out")) == 200
    assert page.counts["errors"].startswith("223 entries: 223 in train.")
    assert "23 more are in errors.csv" in page.counts["errors"]


def test_long_tables_say_how_much_is_missing(tmp_path):
    folder = make_audit(
        tmp_path / "audit", num_synthetic=300, num_flagged=230, num_pairs=1, evidence=False
    ).folder
    page, _ = render(folder)
    assert len(page.with_class("tr", "copy")) == 200
    assert "The first 200 of 230" in page.text


def test_every_section_has_its_caption_block(tmp_path):
    page, _ = render(make_audit(tmp_path / "audit").folder)
    sections = page.with_class("section", "block")
    assert len(sections) == 14
    for words in ("What is shown", "Good looks like", "Bad looks like", "What to do"):
        assert page.text.count(words) == 14 + (words == "What to do")  # a column of the checks


def test_sections_are_named_and_links_lead_somewhere(tmp_path):
    for page in render(make_audit(tmp_path / "audit").folder):
        ids = [a["id"] for _, a in page.elements if "id" in a]
        assert len(ids) == len(set(ids))
        for _, attributes in page.elements:
            for name in ("aria-labelledby", "href"):
                if name in attributes:
                    assert attributes[name].removeprefix("#") in ids
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(levels))
        assert len(page.of("main")) == 1


def test_the_report_is_made_from_the_files_alone(tmp_path):
    made = make_audit(tmp_path / "audit")
    findings = Findings.read(made.folder)
    assert findings == made.findings
    moved = tmp_path / "elsewhere"
    shutil.move(made.folder, moved)
    assert len(render(moved)[0].of("img")) > 0
