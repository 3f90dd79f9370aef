"""ZIP archives: row A5 of the catalogue of odd inputs."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.readers.reader_files import make_nifti, make_png, noise, refusal
from tests.readers.test_nifti import slices

from likeness.errors import UnreadableImageError
from likeness.readers import ReadOptions, describe, read_pages, registered_readers
from likeness.testing.readers import ImageReaderTests, Sample

ZIP = registered_readers()[-1]


def pack(folder: Path, members: dict[str, bytes], name: str = "set.zip", **more: int) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", **more) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def read(path: Path, **options: object):
    """Return the pages by member, and the damaged members."""
    bad: list[UnreadableImageError] = []
    pages = list(read_pages(path, ReadOptions(**options), on_damaged=bad.append))
    return {page.member: page for page in pages}, bad


class TestZipContract(ImageReaderTests):
    has_checksum = True

    def reader(self):
        return ZIP

    def samples(self, folder):
        images = [noise(9, 8, seed=seed) for seed in range(3)]
        members = {f"00/img{i}.png": make_png(image) for i, image in enumerate(images)}
        expected = [image[None] for image in images]
        packed = pack(folder, members, "packed.zip", compression=zipfile.ZIP_DEFLATED)
        return [Sample(pack(folder, members), expected), Sample(packed, expected)]


def test_members_of_every_kind_are_read_in_place(tmp_path):
    volume, batch, image = noise(5, 6, 4), noise(3, 20, 20, 3), noise(9, 9)
    stream = io.BytesIO()
    np.save(stream, batch)
    before = sorted(tmp_path.iterdir())
    path = pack(
        tmp_path,
        {
            "a/image.png": make_png(image),
            "a/scan.nii.gz": make_nifti(volume, packed=True),
            "batch.npy": stream.getvalue(),
            "dataset.json": json.dumps({"labels": None}).encode(),
        },
    )
    pages, bad = read(path)
    assert not bad
    batch_members = ["batch.npy::0", "batch.npy::1", "batch.npy::2"]
    assert list(pages) == ["a/image.png", "a/scan.nii.gz", *batch_members]
    every = list(read_pages(path))
    assert len(every) == 1 + 4 + 3 == describe(path).num_images
    assert np.array_equal(every[0].pixels[0], image)
    assert every[0].notes == ("1 members without the name of an image",)
    for page, expected in zip(every[1:5], slices(volume), strict=True):
        assert page.member == "a/scan.nii.gz"
        assert np.array_equal(page.pixels, expected)
    assert [page.slice_index for page in every[1:5]] == [0, 1, 2, 3]
    assert np.array_equal(every[6].pixels, batch[1].transpose(2, 0, 1))
    assert sorted(tmp_path.iterdir()) == sorted([*before, path])


def test_A5_a_bad_member_does_not_hide_the_good_ones(tmp_path):
    good = make_png(noise(9, 9))
    path = pack(
        tmp_path,
        {
            "0.png": good,
            "1.png": good[:-40],
            "2.png": b"<html>404</html>",
            "3.png": b"",
            "4.gif": b"GIF89a....",
            "5.png": good,
        },
    )
    pages, bad = read(path)
    assert list(pages) == ["0.png", "5.png"]
    assert [(str(e.path), e.code) for e in bad] == [
        (f"{path}::1.png", "truncated"),
        (f"{path}::2.png", "not_an_image"),
        (f"{path}::3.png", "empty_file"),
        (f"{path}::4.gif", "type_not_allowed"),
    ]
    with pytest.raises(UnreadableImageError, match=r"1\.png"):
        list(read_pages(path))
    assert describe(path).num_images == 3  # headers only: the cut pixels of 1.png go unnoticed


@pytest.mark.parametrize(
    "name", ["/etc/passwd.png", "../up.png", "a/../../up.png", "C:/x.png", "a\\..\\b.png"]
)
def test_A5_names_that_lead_out(tmp_path, name):
    path = pack(tmp_path, {"ok.png": make_png(noise(9, 9)), name: make_png(noise(9, 9))})
    pages, bad = read(path)
    assert list(pages) == ["ok.png"]
    assert [error.code for error in bad] == ["unsafe_member"]
    assert str(bad[0].path) == f"{path}::{name}"


def test_A5_links_are_not_followed(tmp_path):
    path = tmp_path / "links.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ok.png", make_png(noise(9, 9)))
        info = zipfile.ZipInfo("link.png")
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    pages, bad = read(path)
    assert list(pages) == ["ok.png"]
    assert [error.code for error in bad] == ["unsafe_member"]
    assert "link" in bad[0].reason


def test_A5_encrypted_members(tmp_path):
    path = pack(tmp_path, {"a.png": make_png(noise(9, 9)), "b.png": make_png(noise(9, 9))})
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\x01\x02")
    content[start + 8] |= 1
    path.write_bytes(content)
    pages, bad = read(path)
    assert list(pages) == ["a.png"]
    assert [error.code for error in bad] == ["encrypted"]


def test_A5_bombs_are_refused_by_their_entry(tmp_path):
    path = pack(
        tmp_path,
        {"bomb.png": bytes(40 << 20), "ok.png": make_png(noise(9, 9))},
        compression=zipfile.ZIP_DEFLATED,
    )
    pages, bad = read(path)
    assert list(pages) == ["ok.png"]
    assert [error.code for error in bad] == ["bomb"]
    assert "bomb.png" in str(bad[0])


def test_A5_overlapping_members(tmp_path):
    path = pack(tmp_path, {"a.png": make_png(noise(9, 9)), "b.png": make_png(noise(9, 9))})
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = bytes(4)  # the second entry points at the first member
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == "overlap"
    assert "'a.png'" in error.reason
    assert "'b.png'" in error.reason


def test_A5_checksum_of_a_member(tmp_path):
    path = pack(tmp_path, {"a.bmp": b"x", "b.png": make_png(noise(30, 30))})
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 200] ^= 1
    path.write_bytes(content)
    pages, bad = read(path)
    assert not pages
    assert [error.code for error in bad] == ["not_an_image", "zip_crc"]


def test_A5_truncated_archive(tmp_path):
    path = pack(tmp_path, {"a.png": make_png(noise(30, 30))})
    path.write_bytes(path.read_bytes()[:-30])
    error = refusal(path)
    assert error.code == "truncated"
    assert "list of members" in error.reason


def test_A5_twice_the_same_name(tmp_path):
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", make_png(noise(9, 9, seed=1)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", make_png(noise(9, 9, seed=2)))
    pages, bad = read(path)
    assert np.array_equal(pages["a.png"].pixels[0], noise(9, 9, seed=1))
    assert [error.code for error in bad] == ["unsafe_member"]


def test_archives_without_images(tmp_path):
    assert refusal(pack(tmp_path, {"readme.txt": b"hello"})).code == "no_images"
    with pytest.raises(UnreadableImageError, match="no_images"):
        describe(pack(tmp_path, {"a.png": b"nothing"}))
    assert refusal(pack(tmp_path, {})).code == "type_not_allowed"


def test_archives_in_archives_are_refused(tmp_path):
    inner = pack(tmp_path, {"a.png": make_png(noise(9, 9))}, "inner.zip").read_bytes()
    pages, bad = read(pack(tmp_path, {"inner.zip": inner}))
    assert not pages
    assert [error.code for error in bad] == ["type_not_allowed"]


def test_pairs_in_archives_are_refused(tmp_path):
    from tests.readers.reader_files import RAS, nifti_header

    header = nifti_header(noise(5, 5, 5), RAS, "<", magic=b"ni1\x00", vox_offset=0.0)
    pages, bad = read(pack(tmp_path, {"a.hdr": header, "a.img": bytes(125)}))
    assert not pages
    assert [error.code for error in bad] == ["missing_pair"]


def test_members_larger_than_any_image(tmp_path):
    path = pack(tmp_path, {"a.png": bytes(80 << 20)}, compression=zipfile.ZIP_STORED)
    _, bad = read(path, max_values=1)
    assert [error.code for error in bad] == ["too_large"]


def test_compression_that_is_not_known(tmp_path):
    path = pack(tmp_path, {"a.png": make_png(noise(9, 9))})
    content = bytearray(path.read_bytes())
    content[8] = 99
    content[content.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(content)
    _, bad = read(path)
    assert [error.code for error in bad] == ["unsupported"]


def test_bytes_in_front_of_an_archive_change_nothing(tmp_path):
    """Self-extracting archives are programs, and are refused as such by their first bytes."""
    path = pack(tmp_path, {"a.png": make_png(noise(9, 9))})
    path.write_bytes(b"MZ" + bytes(100) + path.read_bytes())
    assert refusal(path).code == "type_not_allowed"


def test_members_that_the_list_leaves_out_or_renames(tmp_path):
    """The list at the end of the archive has no checksum of its own."""
    members = {f"{i}.png": make_png(noise(9, 9, seed=i)) for i in range(3)}
    content = pack(tmp_path, members).read_bytes()
    entries = [i for i in range(len(content)) if content.startswith(b"PK\x01\x02", i)]
    path = tmp_path / "spoilt.zip"
    renamed = bytearray(content)
    renamed[entries[1] + 46] = ord("7")
    path.write_bytes(renamed)
    assert "is '7.png' in the list" in refusal(path).reason
    # The second entry becomes the comment of the first.
    hidden = bytearray(content)
    hidden[entries[0] + 32 : entries[0] + 34] = (entries[1] - entries[0]).to_bytes(2, "little")
    path.write_bytes(hidden)
    assert "is missing in the list" in refusal(path).reason


def test_archives_written_to_a_pipe(tmp_path):
    """Such members have their sizes behind them, in a data descriptor."""

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.content = b""

        def writable(self):
            return True

        def write(self, block):
            self.content += bytes(block)
            return len(block)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(3):
            archive.writestr(f"{index}-é.png", make_png(noise(9, 9, seed=index)))
    path = tmp_path / "piped.zip"
    path.write_bytes(pipe.content)
    pages, bad = read(path)
    assert not bad
    for index, page in enumerate(pages.values()):
        assert np.array_equal(page.pixels[0], noise(9, 9, seed=index))
    assert list(pages) == ["0-é.png", "1-é.png", "2-é.png"]
