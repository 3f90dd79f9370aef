"""NPY and NPZ: rows A1 to A3, A12 and B2 of the catalogue of odd inputs."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.readers.reader_files import noise, one, refusal

from likeness.errors import UnreadableImageError
from likeness.readers import ReadOptions, describe, read_pages
from likeness.readers.arrays import NpyReader, NpzReader
from likeness.testing.readers import ImageReaderTests, Sample


def npy(folder: Path, array: np.ndarray, name: str = "array.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def npz(
    folder: Path, name: str = "batch.npz", *, packed: bool = False, **arrays: np.ndarray
) -> Path:
    (np.savez_compressed if packed else np.savez)(folder / name, **arrays)
    return folder / name


def spoilt_header(folder: Path, text: str, data: bytes = bytes(1000), *, version: int = 1) -> Path:
    """Write an NPY file whose header is `text`."""
    width = 2 if version == 1 else 4
    line = text.encode().ljust(117) + b"\n"
    path = folder / "spoilt.npy"
    path.write_bytes(
        b"\x93NUMPY" + bytes([version, 0]) + len(line).to_bytes(width, "little") + line + data
    )
    return path


class TestNpyContract(ImageReaderTests):
    num_damaged = 100

    def reader(self):
        return NpyReader()

    def samples(self, folder):
        batch = noise(4, 12, 10, 3)
        deep = noise(3, 2, 11, 12, dtype="int16")
        fortran = np.asfortranarray(noise(9, 12, 10).astype("f4"))
        return [
            Sample(npy(folder, batch, "nhwc.npy"), list(batch.transpose(0, 3, 1, 2))),
            Sample(
                npy(folder, deep.astype(">i2"), "nchw.npy"),
                list(deep),
                ReadOptions(array_layout="nchw"),
            ),
            Sample(npy(folder, fortran, "nhw.npy"), list(fortran[:, None])),
        ]


class TestNpzContract(ImageReaderTests):
    has_checksum = True

    def reader(self):
        return NpzReader()

    def samples(self, folder):
        batch = noise(4, 12, 10, 3)
        pages = list(batch.transpose(0, 3, 1, 2))
        labels = np.arange(4)
        return [
            Sample(npz(folder, "stored.npz", arr_0=batch, arr_1=labels), pages),
            Sample(npz(folder, "packed.npz", packed=True, arr_0=batch), pages),
        ]


@pytest.mark.parametrize(
    ("shape", "layout", "num_images", "page"),
    [
        ((20, 30), "hw", 1, (1, 20, 30)),
        ((20, 30, 3), "hwc", 1, (3, 20, 30)),
        ((20, 30, 8), "hwc", 1, (8, 20, 30)),
        ((12, 20, 30), "nhw", 12, (1, 20, 30)),
        ((12, 20, 30, 4), "nhwc", 12, (4, 20, 30)),
        ((5, 20, 30, 4), "nhwc", 5, (4, 20, 30)),
        ((1, 20, 30, 1), "nhwc", 1, (1, 20, 30)),
        ((12, 4, 20, 30), "nchw", 12, (4, 20, 30)),
        ((2, 1, 20, 30), "nchw", 2, (1, 20, 30)),
    ],
    ids=str,
)
@pytest.mark.parametrize("fortran", [False, True])
def test_A3_axes_are_found(tmp_path, shape, layout, num_images, page, fortran):
    array = noise(*shape)
    path = npy(tmp_path, np.asfortranarray(array) if fortran else array)
    assert describe(path).shape == page
    assert describe(path).num_images == num_images
    pages = list(read_pages(path))
    assert len(pages) == num_images
    for index, found in enumerate(pages):
        image = array[index] if "n" in layout else array
        if layout.endswith("c"):
            expected = np.stack([image[..., c] for c in range(shape[-1])])
        else:
            expected = image.reshape(page)
        assert np.array_equal(found.pixels, expected)
        assert found.member == (str(index) if "n" in layout else None)


@pytest.mark.parametrize(
    "shape",
    [(5, 20, 30), (4, 20, 30, 4), (3, 4, 20, 4), (12, 20, 30, 40), (8, 8), (20, 3), (3, 20, 3)],
)
def test_A3_ambiguous_axes_are_asked_about(tmp_path, shape):
    if shape == (4, 20, 30, 4):
        assert describe(npy(tmp_path, noise(*shape))).shape == (4, 20, 30)
        return
    error = refusal(npy(tmp_path, noise(*shape)))
    assert error.code == "ask_array_layout"
    assert "--array-layout" in error.reason


@pytest.mark.parametrize(
    ("layout", "num_images", "page"),
    [("chw", 1, (5, 20, 30)), ("nhw", 5, (1, 20, 30)), ("hwc", 1, (30, 5, 20))],
)
def test_A3_the_option_decides(tmp_path, layout, num_images, page):
    path = npy(tmp_path, noise(5, 20, 30))
    header = describe(path, ReadOptions(array_layout=layout))
    assert (header.num_images, header.shape) == (num_images, page)
    assert refusal(path, array_layout="nhwc").code == "ask_array_layout"


@pytest.mark.parametrize("shape", [(20,), (), (2, 2, 20, 20, 3), (0, 20, 20), (4, 0, 20, 3)])
def test_A3_arrays_that_hold_no_images(tmp_path, shape):
    assert refusal(npy(tmp_path, np.zeros(shape, "u1"))).code == "bad_size"


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", ">u2", ">f4", "f2", "f8", "<i8", ">u8"])
def test_A3_number_types(tmp_path, dtype):
    array = (np.arange(600).reshape(20, 30) % 2).astype(dtype)
    page = one(npy(tmp_path, array))
    expected = array.astype("u1") * 255 if dtype == "?" else array
    assert np.array_equal(page.pixels[0], expected)
    assert page.pixels.dtype == (np.uint8 if dtype == "?" else np.dtype(dtype).newbyteorder("="))
    assert describe(tmp_path / "array.npy").dtype == page.pixels.dtype.name


def test_bool_other_than_0_and_1_is_black_and_white(tmp_path):
    path = npy(tmp_path, np.zeros((20, 30), bool))
    content = bytearray(path.read_bytes())
    content[-600:-598] = b"\x02\x80"
    path.write_bytes(content)
    assert one(path).pixels.ravel()[:3].tolist() == [255, 255, 0]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((20, 20), "c16"),
        np.zeros((20, 20), "U3"),
        np.zeros((20, 20), "S2"),
        np.zeros((20, 20), "M8[s]"),
        np.zeros((20, 20), [("a", "u1")]),
        np.zeros((20, 20), "V4"),
    ],
    ids=lambda a: str(a.dtype),
)
def test_A3_types_that_are_no_images(tmp_path, array):
    assert refusal(npy(tmp_path, array)).code == "dtype"


@pytest.mark.skipif(np.dtype("longdouble").itemsize <= 8, reason="no long double here")
def test_A3_numbers_that_differ_between_machines(tmp_path):
    assert refusal(npy(tmp_path, np.zeros((20, 20), "longdouble"))).code == "dtype"


def test_A1_pickled_objects_are_never_loaded(tmp_path):
    """The audit hook of Python would report any unpickling."""
    path = tmp_path / "objects.npy"
    np.save(path, np.array([[{"a": 1}, print]], dtype=object), allow_pickle=True)
    seen = []
    watching = True

    def hook(event, _):
        if watching and event == "pickle.find_class":
            seen.append(event)

    sys.addaudithook(hook)
    try:
        assert refusal(path).code == "object_array"
        np.savez(tmp_path / "objects.npz", allow_pickle=True, arr_0=np.array([[{}]], dtype=object))
        assert refusal(tmp_path / "objects.npz").code == "object_array"
        folder = Path(np.__file__).parent / "lib" / "tests" / "data"
        for sample in folder.glob("*objarr*"):
            assert refusal(sample).code == "object_array"
    finally:
        watching = False
    assert not seen


def test_A2_more_declared_than_there_is(tmp_path):
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000, 10000, 10000), }"
    error = refusal(spoilt_header(tmp_path, text))
    assert error.code == "truncated"
    assert "800,000,000,128 bytes, 1,128 are there" in error.reason


@pytest.mark.parametrize("order", [False, True])
def test_A2_limits(tmp_path, order):
    text = f"{{'descr': '|u1', 'fortran_order': {order}, 'shape': (20, 50), }}"
    path = spoilt_header(tmp_path, text)
    assert refusal(path, max_pixels=999).code == "too_many_pixels"
    assert refusal(path, max_values=999).code == "too_large"
    assert one(path).pixels.shape == (1, 20, 50)


def test_A2_a_batch_is_limited_by_its_images_unless_they_are_interleaved(tmp_path):
    array = noise(50, 20, 20)
    options = ReadOptions(max_values=400)
    assert len(list(read_pages(npy(tmp_path, array), options))) == 50
    assert refusal(npy(tmp_path, np.asfortranarray(array)), max_values=400).code == "too_large"


def test_A3_truncated_says_both_numbers(tmp_path):
    path = npy(tmp_path, noise(20, 30))
    path.write_bytes(path.read_bytes()[:-1])
    error = refusal(path)
    assert error.code == "truncated"
    assert "728 bytes, 727 are there" in error.reason


def test_A3_empty_file(tmp_path):
    (tmp_path / "empty.npy").touch()
    assert refusal(tmp_path / "empty.npy").code == "empty_file"


def test_trailing_bytes_are_noted(tmp_path):
    path = npy(tmp_path, noise(20, 30))
    path.write_bytes(path.read_bytes() + b"12")
    assert one(path).notes == ("2 bytes after the array ignored",)
    assert refusal(path, strict=True).code == "trailing_bytes"


@pytest.mark.parametrize(
    "text",
    [
        "not a dictionary",
        "__import__('os').system('true')",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10, -10), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [10, 10], }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 10), }",
        "{'descr': '<f4', 'fortran_order': 2, 'shape': (10, 10), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 60,
    ],
)
def test_headers_that_are_no_headers(tmp_path, text):
    assert refusal(spoilt_header(tmp_path, text)).code == "bad_header"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_and_long_integers_of_python_2(tmp_path, version):
    text = "{'descr': '|u1', 'fortran_order': False, 'shape': (20L, 50L), }"
    assert one(spoilt_header(tmp_path, text, version=version)).pixels.shape == (1, 20, 50)
    path = spoilt_header(tmp_path, text, version=9)
    assert refusal(path).code == "bad_header"


def test_one_row_that_is_not_finite_does_not_hide_the_others(tmp_path):
    array = np.ones((12, 20, 30), "f4")
    array[7, 3, 3] = np.nan
    path = npy(tmp_path, array)
    assert refusal(path).code == "non_finite"
    bad: list[UnreadableImageError] = []
    pages = list(read_pages(path, on_damaged=bad.append))
    assert len(pages) == 11
    assert [str(error.path) for error in bad] == [f"{path}::7"]
    replaced = list(read_pages(path, ReadOptions(nan="zero")))[7]
    assert replaced.pixels[0, 3, 3] == 0
    assert replaced.notes == ("1 NaN or infinite numbers replaced by 0",)


def test_A12_constant_images_are_read_as_they_are(tmp_path):
    """Whether a correlation is defined is decided later; a reader hides nothing."""
    pages = list(read_pages(npy(tmp_path, np.full((10, 20, 30), 7, "u1"))))
    assert all((page.pixels == 7).all() for page in pages)


def test_labels_of_a_batch_are_ignored_and_noted(tmp_path):
    batch = noise(5, 20, 20, 3)
    for packed in (False, True):
        path = npz(tmp_path, packed=packed, arr_0=batch, arr_1=np.arange(5))
        pages = list(read_pages(path))
        assert [page.member for page in pages] == list("01234")
        assert pages[0].notes == ("arrays ignored: arr_1 (5,)",)
        assert np.array_equal(np.stack([p.pixels for p in pages]), batch.transpose(0, 3, 1, 2))


def test_several_arrays_are_asked_about(tmp_path):
    first, second = noise(20, 30), noise(20, 30, seed=1)
    path = npz(tmp_path, first=first, second=second)
    error = refusal(path)
    assert error.code == "ask_array_name"
    assert "first, second" in error.reason
    assert np.array_equal(one(path, array_name="second").pixels[0], second)
    assert refusal(path, array_name="third").code == "ask_array_name"
    assert refusal(npz(tmp_path, a=np.arange(3))).code == "no_images"


def test_B2_npz_bomb_is_refused(tmp_path):
    path = npz(tmp_path, packed=True, arr_0=np.zeros((40, 1024, 1024), "u1"))
    assert path.stat().st_size < 100_000
    error = refusal(path)
    assert error.code == "bomb"
    assert "arr_0.npy" in str(error.path)


def test_B2_small_black_images_are_no_bomb(tmp_path):
    path = npz(tmp_path, packed=True, arr_0=np.zeros((10, 1024, 1024), "u1"))
    assert len(list(read_pages(path))) == 10


def test_npz_checksum_is_compared_before_the_first_row(tmp_path):
    path = npz(tmp_path, arr_0=noise(50, 20, 20))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        end = archive.start_dir
    content[end - 100] ^= 1  # in the last rows
    path.write_bytes(content)
    pages = read_pages(path)
    with pytest.raises(UnreadableImageError, match="zip_crc"):
        next(pages)


def test_npz_that_holds_other_files(tmp_path):
    stream = io.BytesIO()
    np.save(stream, noise(20, 30))
    path = tmp_path / "mixed.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", stream.getvalue())
        archive.writestr("b.png", b"")
    assert refusal(path).code == "unsupported"


def test_npz_member_that_is_no_array(tmp_path):
    path = tmp_path / "false.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", b"text, not an array")
    assert refusal(path).code == "bad_header"


def test_memory_of_one_image_is_enough(tmp_path):
    """Rows are read one by one, so that a large batch does not have to fit into memory."""
    import tracemalloc

    path = npz(tmp_path, arr_0=noise(2000, 100, 100))
    tracemalloc.start()
    for _ in read_pages(path):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000 < 2000 * 100 * 100
