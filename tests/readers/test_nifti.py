"""NIfTI: rows N1 to N16 and B2 of the catalogue of odd inputs, as far as they concern reading."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.readers.reader_files import (
    NIFTI_TYPES,
    RAS,
    REAL,
    make_nifti,
    needs,
    nifti_header,
    noise,
    real,
    refusal,
)

from likeness.errors import UnreadableImageError
from likeness.readers import ReadOptions, describe, read_pages, read_volume
from likeness.readers.nifti import NiftiReader
from likeness.testing.readers import ImageReaderTests, Sample


def write(folder: Path, content: bytes, name: str = "scan.nii") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def slices(ras: np.ndarray) -> list[np.ndarray]:
    """Return the pages of a volume in RAS+ order, pixel by pixel as the essay says."""
    right, anterior, superior = ras.shape
    pages = []
    for k in range(superior):
        page = np.empty((1, anterior, right), ras.dtype)
        for row, column in np.ndindex(anterior, right):
            # The top row is the most anterior, the left column the patient's right.
            page[0, row, column] = ras[right - 1 - column, anterior - 1 - row, k]
        pages.append(page)
    return pages


class TestNiftiContract(ImageReaderTests):
    has_checksum = True
    may_end_early = True

    def reader(self):
        return NiftiReader()

    def samples(self, folder):
        grey = noise(7, 6, 5)
        deep = noise(6, 5, 4, dtype="int16")
        return [
            Sample(write(folder, make_nifti(grey, packed=True), "a.nii.gz"), slices(grey)),
            Sample(write(folder, make_nifti(deep, packed=True), "b.nii.gz"), slices(deep)),
        ]


class TestPlainNiftiContract(ImageReaderTests):
    def reader(self):
        return NiftiReader()

    def samples(self, folder):
        floats = np.linspace(-3, 3, 7 * 6 * 5, dtype="f4").reshape(7, 6, 5)
        big = noise(5, 6, 3, dtype="uint16")
        return [
            Sample(write(folder, make_nifti(floats), "a.nii"), slices(floats)),
            Sample(write(folder, make_nifti(big, order=">"), "b.nii"), slices(big)),
        ]


def test_pair_of_header_and_voxels(tmp_path):
    voxels = noise(5, 6, 3, dtype="uint16")
    header = nifti_header(voxels, RAS, "<", magic=b"ni1\x00", vox_offset=0.0)
    path = write(tmp_path, header, "pair.hdr")
    write(tmp_path, voxels.tobytes(order="F"), "pair.img")
    pages = list(read_pages(path))
    assert all(np.array_equal(p.pixels, e) for p, e in zip(pages, slices(voxels), strict=True))
    assert describe(path).num_images == 3
    write(tmp_path, voxels.tobytes(order="F")[:-1], "pair.img")
    assert refusal(path).code == "truncated"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [t for t in NIFTI_TYPES if "complex" not in t])
def test_N8_number_types_and_byte_orders(tmp_path, dtype, order):
    voxels = (np.arange(60).reshape(5, 4, 3) - (20 if dtype[0] != "u" else 0)).astype(dtype)
    volume = read_volume(write(tmp_path, make_nifti(voxels, order=order)))
    assert volume.voxels.dtype == np.dtype(dtype)
    assert np.array_equal(volume.voxels, voxels)
    assert np.array_equal(volume.affine, RAS)
    assert volume.spacing_mm == (2.0, 3.0, 4.0)


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf, -np.inf])
def test_N1_no_slope_means_unscaled(tmp_path, slope):
    voxels = noise(4, 5, 3, dtype="int16")
    path = write(tmp_path, make_nifti(voxels, scl_slope=slope, scl_inter=np.nan))
    volume = read_volume(path)
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(volume.voxels, voxels)
    assert any(note.startswith("unscaled (scl_slope is") for note in volume.notes)


@pytest.mark.parametrize("intercept", [np.nan, np.inf])
def test_N2_slope_without_intercept(tmp_path, intercept):
    path = write(tmp_path, make_nifti(noise(4, 5, 3), scl_slope=2.0, scl_inter=intercept))
    error = refusal(path)
    assert error.code == "bad_scaling"
    assert "scl_inter" in error.reason


@pytest.mark.parametrize(("slope", "intercept"), [(-1.0, 0.0), (0.5, 10.0), (1.0, 3.0)])
def test_N3_slope_is_applied(tmp_path, slope, intercept):
    voxels = noise(4, 5, 3, dtype="int16")
    path = write(tmp_path, make_nifti(voxels, scl_slope=slope, scl_inter=intercept))
    volume = read_volume(path)
    assert volume.voxels.dtype == np.float64
    assert np.array_equal(volume.voxels, voxels.astype(float) * slope + intercept)
    assert describe(path).dtype == "float64"


def test_N3_native_integers_are_kept_where_nothing_is_scaled(tmp_path):
    volume = read_volume(write(tmp_path, make_nifti(noise(4, 5, 3), scl_slope=1.0)))
    assert volume.voxels.dtype == np.uint8
    assert volume.notes == ("axes RAS",)


@pytest.mark.parametrize("packed", [False, True])
def test_N4_truncated_says_both_numbers(tmp_path, packed):
    content = make_nifti(noise(20, 20, 20))[:-100]
    if packed:
        content = gzip.compress(content, mtime=0)
    error = refusal(write(tmp_path, content, "s.nii.gz" if packed else "s.nii"))
    assert error.code == "truncated"
    assert "7,900 of 8,000 bytes" in error.reason


def test_N5_wrong_checksum(tmp_path):
    content = bytearray(make_nifti(noise(9, 9, 9), packed=True))
    for place in (-8, -5, -4, -1):
        spoilt = content.copy()
        spoilt[place] ^= 1
        error = refusal(write(tmp_path, bytes(spoilt), "s.nii.gz"))
        assert error.code == "gzip_crc"


@pytest.mark.parametrize("missing", range(1, 9))
def test_N5_missing_checksum(tmp_path, missing):
    content = make_nifti(noise(9, 9, 9), packed=True)[:-missing]
    error = refusal(write(tmp_path, content, "s.nii.gz"))
    assert error.code == "gzip_crc"
    assert "before the checksum" in error.reason


def test_N5_cut_in_the_stream_says_how_much_is_missing(tmp_path):
    content = make_nifti(noise(30, 30, 30), packed=True)
    error = refusal(write(tmp_path, content[: len(content) // 2], "s.nii.gz"))
    assert error.code == "truncated"
    assert "of 27,000 bytes" in error.reason


def test_N5_two_gzip_members_are_one_stream(tmp_path):
    voxels = noise(9, 9, 9)
    content = make_nifti(voxels)
    joined = gzip.compress(content[:500]) + gzip.compress(content[500:]) + bytes(512)
    assert np.array_equal(read_volume(write(tmp_path, joined, "s.nii.gz")).voxels, voxels)
    error = refusal(write(tmp_path, gzip.compress(content) + b"junk", "s.nii.gz"))
    assert error.code == "trailing_bytes"


def test_N6_names_that_lie(tmp_path):
    voxels = noise(6, 7, 5)
    plain = read_volume(write(tmp_path, make_nifti(voxels), "plain.nii.gz"))
    packed = read_volume(write(tmp_path, make_nifti(voxels, packed=True), "packed.nii"))
    assert np.array_equal(plain.voxels, voxels)
    assert np.array_equal(packed.voxels, voxels)
    assert "not packed though named .gz" in plain.notes
    assert "packed with gzip though named otherwise" in packed.notes


def test_N7_twins_each_give_their_own_voxels(tmp_path):
    first, second = noise(6, 7, 5, seed=1), noise(6, 7, 5, seed=2)
    plain = write(tmp_path, make_nifti(first), "p.nii")
    packed = write(tmp_path, make_nifti(second, packed=True), "p.nii.gz")
    for path, voxels, twin in ((plain, first, "p.nii.gz"), (packed, second, "p.nii")):
        volume = read_volume(path)
        assert np.array_equal(volume.voxels, voxels)
        assert any(repr(twin) in note and "same folder" in note for note in volume.notes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_N9_not_finite(tmp_path, value):
    voxels = np.ones((5, 6, 4), "f4")
    voxels[1, 2, 3] = voxels[0, 0, 0] = value
    path = write(tmp_path, make_nifti(voxels))
    error = refusal(path)
    assert error.code == "non_finite"
    assert "2 of 120" in error.reason
    volume = read_volume(path, ReadOptions(nan="zero"))
    assert volume.voxels[1, 2, 3] == volume.voxels[0, 0, 0] == 0
    assert volume.voxels.sum() == 118
    assert "2 NaN or infinite numbers replaced by 0" in volume.notes


def test_N9_scaling_that_overflows_is_not_finite(tmp_path):
    voxels = np.full((5, 6, 4), 1e300)
    assert refusal(write(tmp_path, make_nifti(voxels, scl_slope=1e30))).code == "non_finite"


@pytest.mark.parametrize("shape", [(6, 5, 4, 1), (6, 5, 4, 1, 1), (6, 5, 4)])
def test_N10_trailing_axes_of_one(tmp_path, shape):
    voxels = noise(*shape)
    path = write(tmp_path, make_nifti(voxels))
    assert np.array_equal(read_volume(path).voxels, voxels.reshape(6, 5, 4))


@pytest.mark.parametrize("packed", [False, True])
def test_N10_four_axes_are_asked_about(tmp_path, packed):
    voxels = noise(6, 5, 4, 3)
    path = write(tmp_path, make_nifti(voxels, packed=packed))
    error = refusal(path)
    assert error.code == "ask_volume_index"
    assert "3 volumes" in error.reason
    for index in range(3):
        volume = read_volume(path, ReadOptions(volume_index=index))
        assert np.array_equal(volume.voxels, voxels[..., index])
    assert refusal(path, volume_index=3).code == "ask_volume_index"


def test_N10_two_axes(tmp_path):
    voxels = noise(6, 5)
    (page,) = read_pages(write(tmp_path, make_nifti(voxels)))
    assert page.pixels.shape == (1, 5, 6)
    assert page.slice_index == 0


def test_N10_two_axes_beyond_the_third(tmp_path):
    assert refusal(write(tmp_path, make_nifti(noise(4, 4, 4, 2, 2)))).code == "bad_size"


@pytest.mark.parametrize("code", [1, 32, 128, 1536, 1792, 2048, 2304])
def test_N11_types_that_are_no_grey_numbers(tmp_path, code):
    error = refusal(write(tmp_path, make_nifti(noise(6, 5, 4), datatype=code)))
    assert error.code == "dtype"
    assert f"'datatype' is {code}" in error.reason


def orientations():
    """All 48 ways in which the axes of a volume can lie."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            yield order, signs


@pytest.mark.parametrize(("order", "signs"), list(orientations()), ids=str)
def test_N12_every_orientation_gives_the_same_volume(tmp_path, order, signs):
    ras = noise(5, 6, 7)
    stored = ras.transpose(order)[tuple(slice(None, None, s) for s in signs)]
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * RAS[world, world]
        affine[world, 3] = 0 if sign > 0 else RAS[world, world] * (ras.shape[world] - 1)
    path = write(tmp_path, make_nifti(np.ascontiguousarray(stored), affine))
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, ras)
    assert np.allclose(volume.affine, RAS)
    assert volume.spacing_mm == (2.0, 3.0, 4.0)
    letters = "".join(["LR", "PA", "IS"][w][s > 0] for w, s in zip(order, signs, strict=True))
    assert "".join(volume.axcodes) == letters
    assert f"axes {letters}" in volume.notes
    pages = list(read_pages(path))
    assert describe(path).shape == pages[0].pixels.shape == (1, 6, 5)
    assert all(np.array_equal(p.pixels, e) for p, e in zip(pages, slices(ras), strict=True))
    assert [page.slice_index for page in pages] == list(range(7))


def test_N12_qform_is_used_where_there_is_no_sform(tmp_path):
    voxels = noise(5, 6, 7)
    # A half turn about z: quaternion (0, 0, 0, 1).
    path = write(
        tmp_path,
        make_nifti(voxels, None, qform_code=1, quatern=[0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
                   pixdim=[1.0, 2.0, 3.0, 4.0, 1.0, 1.0, 1.0, 1.0]),
    )  # fmt: skip
    volume = read_volume(path)
    assert volume.axcodes == ("L", "P", "S")
    assert np.array_equal(volume.voxels, voxels[::-1, ::-1])


@pytest.mark.parametrize(("degrees", "noted"), [(3, False), (12, True)])
def test_N12_oblique_is_noted(tmp_path, degrees, noted):
    angle = np.radians(degrees)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    volume = read_volume(write(tmp_path, make_nifti(noise(5, 6, 7), affine)))
    assert any(n.startswith(f"oblique by {degrees}.0 degrees") for n in volume.notes) == noted


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (None, "neither sform nor qform is set"),
        (np.zeros((4, 4)), "its affine spans no volume"),
        (np.full((4, 4), np.nan), "its affine spans no volume"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "spans no volume"),
    ],
    ids=["unset", "zero", "nan", "flat"],
)
def test_N13_without_orientation_the_stored_order_stays(tmp_path, affine, words):
    voxels = noise(5, 6, 7)
    path = write(tmp_path, make_nifti(voxels, affine, pixdim=[1.0, 2.0, 3.0, 4.0] + [1.0] * 4))
    volume = read_volume(path)
    assert volume.axcodes is None
    assert np.array_equal(volume.voxels, voxels)
    assert volume.spacing_mm == (2.0, 3.0, 4.0)
    assert any(words in note for note in volume.notes)
    for k, page in enumerate(read_pages(path)):
        assert np.array_equal(page.pixels[0], voxels[:, :, k].T)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=9, max_size=9), st.integers(0, 3))
def test_N14_turning_twice_changes_nothing(tmp_path_factory, numbers, digits):
    """The canonical order is stable, or the file is refused, above all where axes nearly tie."""
    affine = np.eye(4)
    affine[:3, :3] = np.round(np.reshape(numbers, (3, 3)), digits)
    folder = tmp_path_factory.mktemp("turn")
    path = write(folder, make_nifti(noise(3, 4, 5), affine))
    try:
        first = read_volume(path)
    except UnreadableImageError:
        assert refusal(path).code == "orientation"
        return
    if first.axcodes is None:
        return
    again = read_volume(
        write(folder, make_nifti(np.ascontiguousarray(first.voxels), first.affine), "again.nii")
    )
    assert np.array_equal(first.voxels, again.voxels)
    assert again.axcodes == ("R", "A", "S")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"sizeof_hdr": 347}, "sizeof_hdr"),
        ({"magic": b"nope"}, "magic"),
        ({"dim": [0, 5, 5, 5, 1, 1, 1, 1]}, "dim[0]"),
        ({"dim": [8, 5, 5, 5, 1, 1, 1, 1]}, "dim[0]"),
        ({"dim": [-1, 5, 5, 5, 1, 1, 1, 1]}, "dim[0]"),
        ({"dim": [3, 0, 5, 5, 1, 1, 1, 1]}, "dim[1]"),
        ({"dim": [3, 5, -5, 5, 1, 1, 1, 1]}, "dim[2]"),
        ({"datatype": 77}, "datatype"),
        ({"datatype": 0}, "datatype"),
        ({"vox_offset": 0.0}, "vox_offset"),
        ({"vox_offset": -352.0}, "vox_offset"),
        ({"vox_offset": 352.5}, "vox_offset"),
        ({"vox_offset": 1e9}, "vox_offset"),
        ({"vox_offset": float("nan")}, "vox_offset"),
        ({"vox_offset": float("inf")}, "vox_offset"),
        ({"sform_code": 0, "qform_code": 1, "quatern": [9.0] * 6}, "quatern"),
        ({"sform_code": 0, "qform_code": 1, "pixdim": [1.0, -1.0] + [1.0] * 6}, "pixdim"),
    ],
    ids=str,
)
@pytest.mark.parametrize("packed", [False, True])
def test_N15_bad_fields_are_named(tmp_path, fields, field, packed):
    error = refusal(write(tmp_path, make_nifti(noise(5, 5, 5), packed=packed, **fields)))
    assert error.code == "bad_header"
    assert field in error.reason


@pytest.mark.parametrize(
    ("dim", "code"),
    [
        ([3, 32767, 32767, 5, 1, 1, 1, 1], "too_many_pixels"),
        ([3, 5, 5, 32767, 1, 1, 1, 1], "truncated"),
        ([3, 2000, 2000, 32767, 1, 1, 1, 1], "too_large"),
        ([7, 5, 5, 5, 32767, 32767, 32767, 32767], "bad_size"),
    ],
    ids=str,
)
@pytest.mark.parametrize("packed", [False, True])
def test_N15_huge_axes(tmp_path, dim, code, packed):
    path = write(tmp_path, make_nifti(noise(5, 5, 5), packed=packed, dim=dim))
    assert refusal(path).code == code


def test_N15_bitpix_that_contradicts_is_noted(tmp_path):
    volume = read_volume(write(tmp_path, make_nifti(noise(5, 5, 5), bitpix=16)))
    assert any("'bitpix' is 16" in note for note in volume.notes)


def test_N15_header_only(tmp_path):
    content = make_nifti(noise(5, 5, 5))
    for length in (348, 351):
        assert refusal(write(tmp_path, content[:length])).code == "bad_header"
    assert refusal(write(tmp_path, content[:347])).code in {"truncated", "not_an_image"}
    assert refusal(write(tmp_path, content[:352])).code == "truncated"


def test_N16_header_without_voxels(tmp_path):
    header = nifti_header(noise(5, 5, 5), RAS, "<", magic=b"ni1\x00", vox_offset=0.0)
    error = refusal(write(tmp_path, header, "lone.hdr"))
    assert error.code == "missing_pair"
    assert "lone.img" in error.reason


def test_voxels_without_header(tmp_path):
    write(tmp_path, nifti_header(noise(5, 5, 5), RAS, "<", magic=b"ni1\x00"), "pair.hdr")
    error = refusal(write(tmp_path, noise(5, 5, 5).tobytes(), "pair.img"))
    assert error.code == "missing_pair"
    assert "pair.hdr" in error.reason


def test_analyze_is_not_taken_for_nifti(tmp_path):
    header = nifti_header(noise(5, 5, 5), None, "<", magic=bytes(4))
    assert refusal(write(tmp_path, header, "old.hdr")).code == "type_not_allowed"


def test_B2_gzip_bomb_is_refused_by_its_header(tmp_path):
    header = make_nifti(noise(2, 2, 2), dim=[3, 4000, 4000, 4000, 1, 1, 1, 1])
    path = write(tmp_path, gzip.compress(header + bytes(1 << 20)), "bomb.nii.gz")
    assert refusal(path).code == "too_large"


def test_B2_reading_stops_soon_after_the_declared_size(tmp_path):
    content = gzip.compress(make_nifti(noise(5, 5, 5)) + bytes(64 << 20))
    error = refusal(write(tmp_path, content, "long.nii.gz"))
    assert error.code == "trailing_bytes"


@pytest.mark.parametrize("packed", [False, True])
def test_trailing_bytes_are_noted(tmp_path, packed):
    content = make_nifti(noise(5, 5, 5)) + bytes(10)
    path = write(tmp_path, gzip.compress(content) if packed else content)
    assert "10 bytes after the voxels ignored" in read_volume(path).notes
    assert refusal(path, strict=True).code == "trailing_bytes"


def test_nifti_2_as_nibabel_writes_it(tmp_path):
    voxels = noise(5, 6, 7, dtype="int16")
    for name in ("two.nii", "two.nii.gz"):
        nibabel.save(nibabel.Nifti2Image(voxels, RAS), tmp_path / name)
        volume = read_volume(tmp_path / name)
        assert np.array_equal(volume.voxels, voxels)
        assert np.array_equal(volume.affine, RAS)


def test_nifti_2_bad_magic(tmp_path):
    nibabel.save(nibabel.Nifti2Image(noise(5, 6, 7), RAS), tmp_path / "two.nii")
    content = bytearray((tmp_path / "two.nii").read_bytes())
    content[8] ^= 1
    error = refusal(write(tmp_path, bytes(content)))
    assert (error.code, "magic" in error.reason) == ("bad_header", True)


def test_extensions_are_stepped_over(tmp_path):
    voxels = noise(5, 6, 7)
    image = nibabel.Nifti1Image(voxels, RAS)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 500))
    nibabel.save(image, tmp_path / "more.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "more.nii.gz").voxels, voxels)


def test_a_volume_must_be_nifti(tmp_path):
    np.save(tmp_path / "a.npy", noise(20, 20))
    with pytest.raises(UnreadableImageError, match="must be NIfTI; this file is npy"):
        read_volume(tmp_path / "a.npy")


def test_the_identity_is_noted_as_a_possible_default(tmp_path):
    volume = read_volume(write(tmp_path, make_nifti(noise(5, 6, 7), np.eye(4))))
    assert any("the affine is the identity" in note for note in volume.notes)


def test_sizes_are_limited_per_slice_and_per_volume(tmp_path):
    path = write(tmp_path, make_nifti(noise(5, 6, 7)))
    assert refusal(path, max_values=209).code == "too_large"
    assert refusal(path, max_pixels=29).code == "too_many_pixels"
    assert len(list(read_pages(path, ReadOptions(max_values=210, max_pixels=30)))) == 7


def test_offset_of_single_file_inside_its_header(tmp_path):
    struct_offset = struct.pack("<f", 347.0)
    content = bytearray(make_nifti(noise(5, 5, 5)))
    content[108:112] = struct_offset
    assert refusal(write(tmp_path, bytes(content))).code == "bad_header"


@real
def test_real_four_sequences_agree_with_nibabel():
    folder = needs(REAL / "ms" / "patient07")
    for path in sorted(folder.glob("*.nii.gz")):
        image = nibabel.as_closest_canonical(nibabel.load(path))
        expected = np.asanyarray(image.dataobj)
        volume = read_volume(path)
        assert volume.voxels.dtype == expected.dtype
        assert np.array_equal(volume.voxels, expected)
        assert np.allclose(volume.affine, image.affine)
        assert volume.axcodes == ("L", "A", "S")


@real
def test_real_lower_grade_gliomas_agree_with_nibabel():
    folders = sorted(path for path in needs(REAL / "lgg").iterdir() if path.is_dir())[:3]
    for path in (path for folder in folders for path in sorted(folder.glob("*.nii.gz"))):
        expected = np.asanyarray(nibabel.load(path).dataobj)
        pages = list(read_pages(path))
        assert describe(path).num_images == len(pages) == expected.shape[2]
        for k, page in enumerate(pages):
            assert page.pixels.dtype == np.uint8
            # These files say RAS+ by an identity affine.
            assert np.array_equal(page.pixels[0], expected[::-1, ::-1, k].T)
