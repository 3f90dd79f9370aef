"""What a receiver can find out with the folder alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from likeness import release_images, verify_release
from likeness._release.record import sealed
from likeness._release.staging import write_checksums
from likeness.errors import InputError


@pytest.fixture(scope="module")
def original(made, tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    shutil.copytree(made.folder, root / "audit")
    mine = replace(made, folder=root / "audit")
    release_images(mine.folder, root / "out", rescore=made.rescore, seed=1)
    return root / "out"


@pytest.fixture
def out(original, tmp_path):
    shutil.copytree(original, tmp_path / "received")
    return tmp_path / "received"


def problems(folder):
    result = verify_release(folder)
    assert result.ok == (not result.problems)
    return result.problems


def test_an_untouched_release_passes_wherever_it_lies(out):
    result = verify_release(out)
    assert result.ok
    assert (result.num_images, result.num_files) == (60, 64)


def test_any_flipped_byte_of_a_small_file_is_found(out):
    """Every byte of the checksums and the record, some of the others."""
    for name, step in (
        ("SHA256SUMS", 61),
        ("release_record.json", 41),
        ("release_record.html", 3001),
        ("LIMITS.md", 301),
        ("dataset_description.json", 53),
        ("images/synthetic_000007.png", 97),
    ):
        content = (out / name).read_bytes()
        for place in range(0, len(content), step):
            changed = bytearray(content)
            changed[place] ^= 1
            (out / name).write_bytes(bytes(changed))
            assert problems(out), (name, place)
        (out / name).write_bytes(content)
    assert not problems(out)


@pytest.mark.parametrize(
    "name", ["images/synthetic_000001.png", "LIMITS.md", "release_record.json", "SHA256SUMS"]
)
def test_a_missing_file_is_found(out, name):
    (out / name).unlink()
    assert any(name.split("/")[-1] in problem for problem in problems(out))


@pytest.mark.parametrize("name", ["images/synthetic_000061.png", "extra.txt", "images/.hidden"])
def test_an_extra_file_is_found(out, name):
    (out / name).write_bytes(b"x")
    assert problems(out) == (f"{name!r} does not belong to the release",)


def test_an_empty_folder_and_a_link_are_found(out):
    (out / "empty").mkdir()
    assert problems(out) == ("'empty/' does not belong to the release",)
    (out / "empty").rmdir()
    image = out / "images" / "synthetic_000001.png"
    image.rename(out.parent / "elsewhere.png")
    image.symlink_to(out.parent / "elsewhere.png")
    assert problems(out) == ("'images/synthetic_000001.png' is not a plain file",)


def test_an_image_left_out_with_fitting_checksums_contradicts_the_record(out):
    (out / "images" / "synthetic_000060.png").unlink()
    (out / "SHA256SUMS").unlink()
    write_checksums(out)
    assert problems(out) == (
        "the record tells of 60 images, the folder has 59",
        "the images are not the ones that the record was made for",
    )


def test_an_image_exchanged_with_fitting_checksums_contradicts_the_record(out):
    shutil.copy(out / "images/synthetic_000001.png", out / "images/synthetic_000002.png")
    (out / "SHA256SUMS").unlink()
    write_checksums(out)
    assert problems(out) == ("the images are not the ones that the record was made for",)


def test_a_record_with_other_numbers_does_not_fit_its_own_hash(out):
    path = out / "release_record.json"
    record = json.loads(path.read_text())
    record["numbers"]["withheld"] = 0
    path.write_text(json.dumps(record))
    (out / "SHA256SUMS").unlink()
    write_checksums(out)
    assert problems(out) == ("'release_record.json' cannot be used: its own hash does not fit",)


def test_a_record_of_a_later_format_is_not_guessed_at(out):
    path = out / "release_record.json"
    record = sealed({**json.loads(path.read_text()), "format_version": 2})
    path.write_text(json.dumps(record))
    (out / "SHA256SUMS").unlink()
    write_checksums(out)
    assert "format_version 2" in problems(out)[0]


def test_checksums_that_lead_out_of_the_folder_are_refused(out):
    with (out / "SHA256SUMS").open("a") as stream:
        stream.write("0" * 64 + "  ../../etc/passwd\n")
    assert "is not a checksum and a name" in problems(out)[0]


def test_a_folder_without_a_release_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="There is no release"):
        verify_release(tmp_path)
