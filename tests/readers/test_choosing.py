"""Which reader takes a file, and what is said of files that none takes: rows B3, B4, A6 to A8."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import unicodedata
import zipfile

import numpy as np
import pytest
from tests.readers.reader_files import make_nifti, make_png, noise, one, refusal

from likeness.errors import OptionError, UnreadableImageError
from likeness.readers import (
    CODES,
    SUFFIXES,
    Header,
    Page,
    ReadOptions,
    describe,
    is_candidate_suffix,
    read_pages,
    registered_readers,
)
from likeness.readers.png import PngReader


def test_B3_content_decides_and_a_lying_name_is_noted(tmp_path):
    path = tmp_path / "image.jpg"
    pixels = noise(9, 9)
    path.write_bytes(make_png(pixels))
    assert np.array_equal(one(path).pixels[0], pixels)
    assert one(path).notes == ("the name ends in '.jpg' but the content is png",)
    assert describe(path).notes == one(path).notes
    assert refusal(path, strict=True).code == "name_and_content_differ"


@pytest.mark.parametrize("name", ["image", "image.PNG", "image.dat", "image.0001"])
def test_B3_other_names_promise_nothing(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(make_png(noise(9, 9)))
    assert one(path, strict=True).notes == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GIF89a\x01\x00", "GIF"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "WebP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(30), "PostScript"),
        (b"8BPS\x00\x01", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
        (bytes(128) + b"DICM" + bytes(50), "DICOM"),
        (b"MZ" + bytes(126) + b"DICM", "DICOM"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"NRRD0004\n", "NRRD"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"P5 20 20 255\n", "PNM"),
        (b"\x00\x00\x00 ftypavif", "AVIF"),
        (b"\x80\x04\x95\x05", "pickle"),
        (bytes(257) + b"ustar", "tar"),
        (b"\x00\x05\x16\x07\x00\x02", "macOS"),
        (b"\x7fELF\x02", "program"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_B3_known_kinds_are_named_and_never_decoded(tmp_path, content, words):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == "type_not_allowed"
    assert words in error.reason


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty_file", "0 bytes"),
        (b"<html><body>404</body>", "not_an_image", "starts with '<html"),
        (b"\xef\xbb\xbf <!DOCTYPE html>", "not_an_image", "web page"),
        (b"just some words\n", "not_an_image", "so it is text"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not_an_image", "git lfs pull"),
        (bytes(5000), "not_an_image", "all zero"),
        (b"\x12\x34\x56\xff\xfe", "not_an_image", "no known image format"),
        (b"\x1f\x8b\x08", "type_not_allowed", "gzip"),
    ],
)
def test_B4_what_is_no_image_says_what_it_is(tmp_path, content, code, words):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == code
    assert words in error.reason


@pytest.mark.parametrize(
    "name",
    ["line\nbreak.png", "quo'te\".png", "<script>.png", "-rf.png", "=cmd.png", "x" * 250 + ".png",
     unicodedata.normalize("NFD", "é.png"), unicodedata.normalize("NFC", "é.png")],
)  # fmt: skip
def test_A6_odd_names(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(make_png(noise(9, 9)))
    assert np.array_equal(one(path).pixels[0], noise(9, 9))
    path.write_bytes(b"")
    assert repr(str(path)) in str(refusal(path))


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are Unicode there")
def test_A7_names_that_are_not_unicode(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(make_png(noise(9, 9)))
    assert np.array_equal(one(path).pixels[0], noise(9, 9))
    path.write_bytes(b"")
    str(refusal(path)).encode("ascii")  # printable anywhere: the name is escaped


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_A8_pipes_and_devices_are_not_opened(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    assert refusal(pipe).code == "not_a_file"
    assert refusal("/dev/zero").code == "not_a_file"
    assert refusal(tmp_path).code == "not_a_file"


def test_A8_dangling_and_circular_links(tmp_path):
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert refusal(tmp_path / "dangling.png").code == "missing"
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    assert refusal(tmp_path / "circle.png").code == "cannot_open"


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_A8_unreadable(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(make_png(noise(9, 9)))
    path.chmod(0)
    assert refusal(path).code == "cannot_open"


def test_suffixes():
    assert {".png", ".jpg", ".nii", ".nii.gz", ".npy", ".npz", ".tif", ".zip", ".bmp"} <= set(
        SUFFIXES
    )
    for name in ("a.PNG", "b.nii.gz", "c.Jpeg", "d.dcm", "e.gif", "f.hdr"):
        assert is_candidate_suffix(name)
    for name in ("a.json", "b.csv", "c.txt", "png", "d.gz", "e.img", "f.png.bak"):
        assert not is_candidate_suffix(name)


def test_readers_have_distinct_names():
    names = [reader.name for reader in registered_readers()]
    assert len(set(names)) == len(names)


def test_readers_of_others_can_be_given(tmp_path):
    class RampReader:
        name = "ramp"
        suffixes = (".ramp",)

        def recognises(self, head, path):
            return head[:4] == b"RAMP"

        def describe(self, path, options):
            return Header("ramp", (1, 2, 3), "uint8", 1)

        def read(self, path, options):
            yield Page(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
            yield UnreadableImageError(f"{path}::1", "damaged", "on purpose")

    path = tmp_path / "a.ramp"
    path.write_bytes(b"RAMP")
    readers = [*registered_readers(), RampReader()]
    bad = []
    (page,) = read_pages(path, on_damaged=bad.append, readers=readers)
    assert page.pixels.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert [error.code for error in bad] == ["damaged"]
    assert describe(path, readers=readers).reader == "ramp"
    with pytest.raises(UnreadableImageError, match="on purpose"):
        list(read_pages(path, readers=readers))
    assert refusal(path).code == "not_an_image"


def test_bytes_in_memory_are_read_as_the_file_would_be(tmp_path):
    content = make_png(noise(9, 9))
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    (page,) = read_pages(path)
    (held,) = read_pages(tmp_path / "absent.jpg", content=content)
    assert held.notes == page.notes == ("the name ends in '.jpg' but the content is png",)
    assert np.array_equal(held.pixels, page.pixels)
    with pytest.raises(UnreadableImageError) as caught:
        list(read_pages(tmp_path / "absent.png", content=content[:60]))
    assert (caught.value.code, caught.value.path) == ("truncated", tmp_path / "absent.png")


def test_a_callback_that_fails_is_not_taken_for_damage(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bad.png", make_png(noise(9, 9))[:60])
    with pytest.raises(ZeroDivisionError):
        list(read_pages(path, on_damaged=lambda error: 1 / 0))


@pytest.mark.parametrize(
    "bad",
    [{"nan": "one"}, {"frames": "some"}, {"tiff_pages": "rows"}, {"array_layout": "wh"},
     {"alpha": "pink"}, {"max_pixels": 0}, {"max_values": 0}, {"volume_index": -1}],
    ids=str,
)  # fmt: skip
def test_options_out_of_range(bad):
    ((name, value),) = bad.items()
    with pytest.raises(OptionError) as caught:
        ReadOptions(**bad)
    assert f"--{name.replace('_', '-')} is {value!r}" in str(caught.value)


def test_errors_survive_the_way_between_processes(tmp_path):
    error = refusal(tmp_path / "absent.png")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.path, again.code, again.reason) == (error.path, error.code, error.reason)


def test_codes_are_words():
    assert all(code.isidentifier() and text for code, text in CODES.items())


def test_importing_the_readers_loads_no_decoder():
    code = (
        "import sys, likeness.readers; "
        "bad = {'PIL', 'nibabel', 'tifffile', 'scipy', 'pytest'} & set(sys.modules); "
        "sys.exit(repr(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_printed_about_damaged_files(tmp_path, capfd):
    """Decoders log and warn; the library stays silent."""
    script = tmp_path / "read.py"
    contents = {
        "a.tif": b"II*\x00\x08\x00\x00\x00\xff\x00" + noise(3000).tobytes(),
        "b.nii": make_nifti(noise(5, 5, 5), bitpix=3),
        "c.jpg": b"\xff\xd8\xff\xe0" + noise(3000).tobytes() + b"\xff\xd9",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    script.write_text(
        "import sys\n"
        "from likeness.errors import UnreadableImageError\n"
        "from likeness.readers import read_pages\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        list(read_pages(path))\n"
        "    except UnreadableImageError:\n"
        "        pass\n"
    )
    paths = [str(tmp_path / name) for name in contents]
    subprocess.run([sys.executable, str(script), *paths], check=True)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_the_words_of_a_decoder_are_the_same_in_every_run(tmp_path):
    """Addresses in memory are not: an account must not differ from run to run."""

    class Pointing(PngReader):
        def pages_of(self, source, options):
            msg = f"cannot identify image file {io.BytesIO()!r}"
            raise OSError(msg)
            yield

    path = tmp_path / "a.png"
    path.write_bytes(make_png(noise(4, 4)))
    with pytest.raises(UnreadableImageError) as caught:
        list(read_pages(path, readers=[Pointing()]))
    assert "0x" not in caught.value.reason
    assert "cannot identify image file an object in memory" in caught.value.reason
