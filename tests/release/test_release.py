"""What comes out of a release, byte for byte."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re
import shutil
import stat
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.release.making import CANARY, make_audit

from likeness import ReleasePolicy, release_images, verify_release
from likeness._findings import SelfCheck, Verdict
from likeness._release import release_log
from likeness._release.tables import FAMILIES
from likeness.datasets._table import pixel_hash
from likeness.errors import InputError, OptionError

WORDS = ("anonym", "safe", "guarante", "gdpr", "certif", "risk-free", "compliant")


def release(made, out, **more):
    return release_images(made.folder, out, **{"rescore": made.rescore, "seed": 5, **more})


@pytest.fixture(scope="module")
def done(made, tmp_path_factory):
    """A release made once; (result, folder, audit folder)."""
    root = tmp_path_factory.mktemp("done")
    shutil.copytree(made.folder, root / "audit")
    result = release(replace(made, folder=root / "audit"), root / "out")
    return result, root / "out", root / "audit"


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_copies_stay_and_all_others_come_out_unchanged(done, made):
    result, out, audit = done
    assert (result.outcome, result.exit_code, result.num_released) == ("RELEASED", 0, 60)
    pictures = [np.asarray(Image.open(path)) for path in sorted((out / "images").iterdir())]
    found = sorted(pixel_hash(picture[None]) for picture in pictures)
    ids, hashes = made.synthetic.image_ids, made.synthetic.pixel_hashes
    assert found == sorted(h for i, h in zip(ids, hashes, strict=True) if not i.startswith("t"))
    rows = rows_of(audit / "withheld.csv")
    assert [row["image_id"] for row in rows] == ["t000.png", "t001.png"]
    assert all("flagged" in row["reason"] for row in rows)


def test_released_csv_says_which_file_is_which_image(done, made):
    _, out, audit = done
    rows = rows_of(audit / "released.csv")
    assert len(rows) == 60
    hashes = dict(zip(made.synthetic.image_ids, made.synthetic.pixel_hashes, strict=True))
    for row in rows[:10]:
        pixels = np.asarray(Image.open(out / "images" / row["file"]))
        # A cell that starts like a formula has an apostrophe in front; none does here.
        assert pixel_hash(pixels[None]) == hashes[row["image_id"]]


def test_names_have_no_gaps_and_their_order_is_not_that_of_the_audit(done, made):
    _, out, audit = done
    names = sorted(path.name for path in (out / "images").iterdir())
    assert names == [f"synthetic_{number:06d}.png" for number in range(1, 61)]
    order = [row["image_id"] for row in rows_of(audit / "released.csv")]
    assert order != sorted(order)


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_order(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "audit")
    mine = replace(made, folder=tmp_path / "audit")
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        release(mine, tmp_path / name, seed=seed)
    first, second, third = (
        {
            path.relative_to(tmp_path / name): content
            for path, content in everything(tmp_path / name).items()
        }
        for name in "abc"
    )
    assert first == second != third


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def forms(token):
    """A token as it may hide: plain, backwards, encoded, in wide letters."""
    plain = token.encode()
    yield from (plain, plain[::-1], plain.hex().encode(), token.encode("utf-16-le"))
    for shift in range(3):  # base64 of the token at any place in a longer text
        yield base64.b64encode(b"x" * shift + plain)[4 if shift else 0 : -4]


def unpacked(content):
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    for match in re.finditer(rb"IDAT|tEXt|zTXt|iTXt|eXIf", content):
        rest = content[match.end() :]
        for start in range(min(len(rest), 90)):
            try:
                yield zlib.decompressobj().decompress(rest[start:])
            except zlib.error:
                continue


def test_nothing_of_the_input_but_pixels_is_in_the_output(done, made):
    _, out, audit = done
    patients = [f"P{number:03}_{CANARY}" for number in range(0, 70, 9)]
    tokens = [CANARY, f"{CANARY}-text", f"{CANARY}-s004", *patients, str(audit), str(made.root)]
    for path, content in everything(out).items():
        for part in unpacked(content):
            for token in tokens:
                for form in forms(token):
                    assert form not in part, (path.name, token)
        assert CANARY not in path.name


def test_a_png_has_the_chunks_of_pixels_only(done):
    _, out, _ = done
    for path in (out / "images").iterdir():
        content, place, kinds = path.read_bytes(), 8, []
        while place < len(content):
            length = int.from_bytes(content[place : place + 4], "big")
            kinds.append(content[place + 4 : place + 8])
            place += 12 + length
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


def test_no_file_tells_a_time_or_is_a_link(done):
    _, out, _ = done
    for path in [out, *out.rglob("*")]:
        status = path.lstat()
        assert status.st_mtime == 946_684_800
        assert not stat.S_ISLNK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == (0o755 if path.is_dir() else 0o644)
        assert path.is_dir() or status.st_nlink == 1


def test_the_internal_tables_are_readable_by_their_owner_only(done):
    _, _, audit = done
    for name in ("withheld.csv", "released.csv", "release-log.jsonl"):
        assert stat.S_IMODE((audit / name).stat().st_mode) == 0o600


def test_the_record_says_what_was_decided_and_by_what(done):
    result, out, _ = done
    record = json.loads((out / "release_record.json").read_text())
    assert record == result.record
    assert record["policy"] == ReleasePolicy().to_dict()
    assert record["numbers"]["released"] == 60
    assert record["audit"]["verdict"] == "COPIES_FOUND"
    assert record["thresholds"]["registered_quantile"] == 0.999
    assert record["sensitivity"][0]["at_least"] == 0.972
    assert record["specificity"]["images"] == 30
    assert record["consistency"]["runs"] == 5
    assert 0 <= record["consistency"]["jaccard_lowest"] <= record["consistency"]["jaccard_mean"]


def test_small_counts_are_not_given_and_cannot_be_computed(done):
    record = done[0].record
    assert record["numbers"]["withheld"] == "fewer than 5"
    assert set(record["numbers"]["withheld_by_reason"].values()) == {"fewer than 5"}
    assert record["numbers"]["audited"] is None
    assert record["thresholds"]["p_value"] is None
    assert record["sensitivity"][0]["rate_below"] == 0.07  # 0.0613, rounded up
    assert "62" not in re.sub(r"[0-9a-f]{64}", "", json.dumps(record))


def test_forbidden_words_are_nowhere(done):
    _, out, _ = done
    for name in (
        "release_record.json",
        "release_record.html",
        "LIMITS.md",
        "dataset_description.json",
    ):
        text = (out / name).read_text().lower()
        for word in WORDS:
            assert word not in text.replace("unsafe-inline", ""), (name, word)


def test_the_page_explains_every_section(done):
    page = (done[1] / "release_record.html").read_text()
    for words in ("What is shown", "Good looks like", "Bad looks like", "What to do"):
        assert page.count(words) == page.count('class="block"') == 5
    assert "fewer than 5" in page
    assert "What was tested, what was not" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_the_folder_is_a_bids_derivative(done):
    description = json.loads((done[1] / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert {"Name", "BIDSVersion", "GeneratedBy", "SourceDatasets"} <= set(description)


def test_the_decision_is_in_the_trail(done):
    (line,) = release_log.read(done[2])
    assert line["decision"] == "RELEASED"
    assert line["released"] == 60
    assert line["policy_sha256"] == ReleasePolicy().sha256
    assert line["record_sha256"] == done[0].record["record_sha256"]


def test_check_decides_and_writes_nothing(made):
    before = {path: path.stat().st_mtime_ns for path in made.root.rglob("*")}
    result = release_images(made.folder, check=True)
    assert (result.outcome, result.num_released, result.out) == ("RELEASED", 60, None)
    assert {path: path.stat().st_mtime_ns for path in made.root.rglob("*")} == before


def test_too_many_copies_block_the_set(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "audit")
    mine = replace(made, folder=tmp_path / "audit")
    result = release(mine, tmp_path / "out", policy=ReleasePolicy(max_copy_rate=0.01))
    assert (result.outcome, result.exit_code) == ("BLOCKED", 1)
    assert "3.2%" in result.reasons[0]
    assert not (tmp_path / "out").exists()
    assert [line["decision"] for line in release_log.read(mine.folder)] == ["BLOCKED"]


def test_a_weakened_rule_is_named_in_record_page_and_trail(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "audit")
    mine = replace(made, folder=tmp_path / "audit")
    result = release(mine, tmp_path / "out", policy=ReleasePolicy(self_check=False))
    assert result.record["weaker_than_default"] == ["self_check = false (default true)"]
    assert "A rule is weaker than usual" in (tmp_path / "out" / "release_record.html").read_text()
    assert release_log.read(mine.folder)[0]["weaker_than_default"]


def test_an_audit_that_never_tried_itself_does_not_say_so(mine, tmp_path):
    check = SelfCheck(False, False, False, False, None, [], "off")
    changed = mine.write_findings(replace(mine.findings, self_check=check))
    record = release(changed, tmp_path / "out", policy=ReleasePolicy(self_check=False)).record
    assert not any("tried on copies" in line for line in record["tested"])
    assert any("not tried on planted copies" in line for line in record["not_tested"])
    assert "nothing is known" in (tmp_path / "out" / "LIMITS.md").read_text()


def test_a_review_withholds_and_its_author_is_named(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "audit")
    mine = replace(made, folder=tmp_path / "audit")
    name = f"{CANARY}-s004.png"
    review = {
        "format_name": "likeness review",
        "format_version": 1,
        "approved_by": ["CD"],
        "decisions": [{"image_id": name, "decision": "copy", "reviewer": "AB", "note": CANARY}],
    }
    (tmp_path / "review.json").write_text(json.dumps(review))
    policy = ReleasePolicy(approvers=("CD",))
    result = release(mine, tmp_path / "out", review=tmp_path / "review.json", policy=policy)
    assert result.num_released == 59
    assert result.record["reviewers"] == ["AB", "CD"]
    assert "AB, CD" in (tmp_path / "out" / "release_record.html").read_text()
    assert CANARY.encode() not in b"".join(everything(tmp_path / "out").values())


def test_without_the_approval_that_the_policy_asks_for_nothing_comes_out(made, tmp_path):
    result = release_images(made.folder, check=True, policy=ReleasePolicy(approvers=("CD",)))
    assert result.outcome == "NOT_PROVEN"
    assert "approval of CD" in result.reasons[0]


def test_an_audit_of_prepared_sets_and_constant_images(tmp_path):
    made = make_audit(tmp_path, innocent=40, copied=(3,), constant=2, sources="prepared")
    result = release(made, tmp_path / "out", format="npz")
    assert result.num_released == 40
    assert result.withheld_by_reason["undefined"] == 2
    with np.load(tmp_path / "out" / "images" / "synthetic_000001.npz") as file:
        assert file["image"].shape == (1, 32, 32)
    assert verify_release(tmp_path / "out").ok


def test_several_images_per_patient_may_be_withheld_without_a_test_set(tmp_path):
    made = make_audit(tmp_path, innocent=40, copied=(3,), test_patients=0)
    result = release(made, tmp_path / "out")
    assert result.record["specificity"] is None
    assert "not known" in (tmp_path / "out" / "release_record.html").read_text()


def test_formula_like_ids_are_harmless_in_the_tables(made, tmp_path):
    from likeness._release.private_files import write_withheld

    class Decisions:
        reasons = (("flagged",), ("flagged", "unusual"))

    write_withheld(tmp_path, ["=cmd|' /C calc'!A0", "@b"], Decisions())
    text = (tmp_path / "withheld.csv").read_text().splitlines()
    assert text == ["image_id,reason", "'=cmd|' /C calc'!A0,flagged", "'@b,flagged unusual"]


def test_the_verdict_may_be_inconclusive_only_where_the_policy_says_so(mine, tmp_path):
    verdict = Verdict("INCONCLUSIVE", "Too few.", ["62 images are too few."])
    changed = mine.write_findings(replace(mine.findings, verdict=verdict))
    strict = release(changed, tmp_path / "out")
    assert strict.outcome == "NOT_PROVEN"
    assert strict.reasons == ("The verdict of the audit is INCONCLUSIVE: 62 images are too few.",)
    lenient = release(changed, tmp_path / "out", policy=ReleasePolicy(conclusive=False))
    assert lenient.outcome == "RELEASED"


def test_a_set_that_points_to_its_training_patients_is_held_back(mine, tmp_path):
    verdict = Verdict("TRAINING_SIGNAL", "As a whole it points to training patients.", [])
    changed = mine.write_findings(replace(mine.findings, verdict=verdict))
    strict = release(changed, tmp_path / "out")
    assert (strict.outcome, strict.exit_code) == ("BLOCKED", 1)
    assert "points to its training patients" in " ".join(strict.reasons)
    assert not (tmp_path / "out").exists()
    lenient = release(changed, tmp_path / "out", policy=ReleasePolicy(no_training_signal=False))
    assert lenient.outcome == "RELEASED"


def test_an_output_that_exists_is_never_touched(made, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OptionError, match="exists already"):
        release(made, tmp_path / "out")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(OptionError, match="exists already"):
        release(made, tmp_path / "link")


@pytest.mark.parametrize("where", ["audit", "train", "synthetic/deeper", "test"])
def test_an_output_inside_an_input_is_refused(mine, where):
    out = mine.root / where / "out"
    with pytest.raises(OptionError, match="lies inside"):
        release(mine, out)
    assert not out.exists()
    assert not (mine.root / "synthetic" / "deeper").exists()


def test_a_folder_without_an_audit_is_an_input_error_and_stays_as_it_is(tmp_path):
    (tmp_path / "audit").mkdir()
    with pytest.raises(InputError, match="no audit"):
        release_images(tmp_path / "audit", tmp_path / "out")
    assert list((tmp_path / "audit").iterdir()) == []


def test_all_families_of_the_table_are_judged_again(made, tmp_path):
    """A repetition that agrees in three families only is not the audit's."""
    shutil.copytree(made.folder, tmp_path / "audit")
    mine = replace(made, folder=tmp_path / "audit")
    plain = made.rescore
    for family in FAMILIES:

        def score(images, family=family):
            found = plain(images)
            shifted = {**found.contrast, family: found.contrast[family] + 1e-6}
            return replace(found, contrast=shifted)

        result = release(mine, tmp_path / "out", rescore=score)
        assert result.outcome == "NOT_PROVEN"
        assert "do not score as the audit says" in result.reasons[0]
        assert not (tmp_path / "out").exists()
