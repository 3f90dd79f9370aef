"""Pixels come back as they were, from files that hold nothing else."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pytest

from likeness._release.encoding import choose_layout, encode, file_name, shown_channels
from likeness._release.staging import read_back, write_images
from likeness.datasets import ImageSet
from likeness.errors import OptionError

TYPES = ("uint8", "uint16", "int16", "int32", "float32", "float64")


def images(dtype="uint8", channels=("t1", "flair"), count=3, shape=(12, 9)):
    rng = np.random.default_rng(4)
    size = (count, len(channels), *shape)
    values = (
        rng.normal(size=size) * 50 if np.dtype(dtype).kind == "f" else rng.integers(0, 255, size)
    )
    if dtype == "uint16":
        values = values * 257
    return ImageSet.from_arrays(values.astype(dtype), channels=channels)


@pytest.mark.parametrize("choice", ["png", "nifti", "npz"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [("grey",), ("t1", "flair"), ("red", "green", "blue")])
def test_what_is_written_is_read_by_the_ordinary_readers(tmp_path, choice, dtype, channels):
    source = images(dtype, channels)
    if choice == "png" and dtype not in ("uint8", "uint16"):
        with pytest.raises(OptionError, match=f"type {dtype} .* choose nifti or npz"):
            choose_layout(source, choice)
        return
    staged = write_images(tmp_path, source, np.array([2, 0]), choose_layout(source, choice))
    ((rows, read),) = read_back(staged, source)
    assert rows.tolist() == [2, 0]
    assert read.dtype == source.dtype
    assert np.array_equal(read.read(0, 2), source.take([2, 0]))


def test_float16_fits_into_npz_only():
    with pytest.raises(OptionError, match="choose npz"):
        choose_layout(images("float16"), "nifti")
    assert choose_layout(images("float16"), "keep").format == "npz"


def test_an_unknown_format_is_refused():
    with pytest.raises(OptionError, match="expected one of keep, png"):
        choose_layout(images(), "jpeg")


@pytest.mark.parametrize(
    ("dtype", "channels", "choice", "names"),
    [
        ("uint8", ("grey",), "png", [".png"]),
        ("uint8", ("t1", "flair"), "png", ["_t1.png", "_flair.png"]),
        ("uint8", ("red", "green", "blue"), "png", [".png"]),
        ("uint16", ("red", "green", "blue"), "png", ["_red.png", "_green.png", "_blue.png"]),
        ("uint8", ("t1", "seg"), "nifti", ["_t1.nii.gz", "_seg.nii.gz"]),
        ("float32", ("t1", "seg"), "npz", [".npz"]),
        ("uint8", ("P0042", "Mueller"), "png", ["_channel0.png", "_channel1.png"]),
    ],
)
def test_names_of_files(dtype, channels, choice, names):
    layout = choose_layout(images(dtype, channels), choice)
    assert [part.ending for part in layout.parts] == names


def test_channel_names_that_are_not_known_are_not_told():
    assert shown_channels(("T1", "patient7", "flair")) == ("t1", "channel1", "flair")
    assert file_name(12, "_t1.png") == "synthetic_000012_t1.png"


@pytest.mark.parametrize("kind", ["png", "nifti", "npz"])
def test_equal_pixels_are_equal_bytes_at_any_time(kind, monkeypatch):
    pixels = images(channels=("grey",)).take([0])[0]
    first = encode(pixels, kind)
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert encode(pixels.copy(order="F"), kind) == first


def test_a_nifti_says_nothing_but_shape_and_type():
    pixels = images(channels=("grey",)).take([0])[0]
    packed = encode(pixels, "nifti")
    assert packed[4:8] == b"\0\0\0\0"  # no time
    assert packed[3] == 0  # no name, no comment
    header = gzip.decompress(packed)[:352]
    assert header[4:40].strip(b"\0") in (b"", b"r")  # data type and name of old, "r" for regular
    assert header[148:252].strip(b"\0") == b""  # description, auxiliary file
    assert header[252:256].strip(b"\0") == b""  # no orientation
    assert header[328:344].strip(b"\0") == b""  # name of the intent
    assert header[348:352] == b"\0\0\0\0"  # no extension


def test_an_npz_has_no_time_and_one_array():
    packed = encode(images(channels=("grey",)).take([0])[0], "npz")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (member,) = archive.infolist()
        assert (member.filename, member.date_time) == ("image.npy", (1980, 1, 1, 0, 0, 0))
        assert (member.comment, member.extra, archive.comment) == (b"", b"", b"")
