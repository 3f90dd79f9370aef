"""Files of an image set, read back by others and by ourselves."""

import numpy as np
import pytest
from PIL import Image

from likeness.datasets import ImageSet, PrepareOptions, prepare_images
from likeness.datasets.exporting import export_images
from likeness.errors import OptionError
from likeness.readers import read_volume

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 9, 7), dtype=np.uint8)
NAMES = ("t1", "t2", "flair", "t1ce", "seg")


def image_set(pixels=PIXELS, channels=NAMES, ids=("a/b#z001", "a2", "a3")):
    return ImageSet.from_arrays(pixels, image_ids=list(ids), channels=channels)


def test_pillow_reads_the_pixels_of_each_channel(tmp_path):
    paths = export_images(image_set(), tmp_path / "out")
    assert len(paths) == 15
    assert paths[2].name == "a_b_z001_flair.png"
    for number, path in enumerate(paths):
        with Image.open(path) as picture:
            assert picture.mode == "L"
            assert np.array_equal(np.asarray(picture), PIXELS[number // 5, number % 5])


def test_the_papers_folders(tmp_path):
    export_images(image_set(), tmp_path, layout="paper")
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("a2*.png"))
    assert found == ["FLAIR/a2flair.png", "Seg/a2seg.png", "T1/a2T1.png", "T1CE/a2T1ce.png",
                     "T2/a2T2.png"]  # fmt: skip


def test_our_own_reader_lays_nifti_slices_as_they_were(tmp_path):
    paths = export_images(image_set(), tmp_path, file_format="nifti")
    for number, path in enumerate(paths):
        volume = read_volume(path)
        assert volume.voxels.shape == (7, 9, 1)
        found = volume.axial_slice(0)
        assert np.array_equal(found, PIXELS[number // 5, number % 5])


def test_one_channel_prepared_again_has_the_same_pixels(tmp_path):
    export_images(image_set(PIXELS[:, :1], ("grey",), ("a1", "a2", "a3")), tmp_path / "files")
    again = prepare_images(tmp_path / "files", tmp_path / "set", options=PrepareOptions()).image_set
    assert np.array_equal(again.read(0, 3), PIXELS[:, :1])


@pytest.mark.parametrize("file_format", ["png", "nifti"])
def test_a_second_call_writes_what_is_missing_only(tmp_path, file_format):
    paths = export_images(image_set(), tmp_path, file_format=file_format)
    before = {path: path.read_bytes() for path in paths}
    paths[4].unlink()
    paths[7].write_bytes(b"half")
    kept = paths[0].stat().st_mtime_ns
    export_images(image_set(), tmp_path, file_format=file_format)
    assert {path: path.read_bytes() for path in paths} == before
    assert paths[0].stat().st_mtime_ns == kept


def test_files_of_another_set_are_not_mixed_with_these(tmp_path):
    export_images(image_set(), tmp_path)
    fewer = image_set().subset([0, 1])
    with pytest.raises(OptionError, match=r"5 files that are not of this set.*'a3_flair.png'"):
        export_images(fewer, tmp_path)
    assert len(list(tmp_path.iterdir())) == 15


def test_sixteen_bits_stay(tmp_path):
    deep = (PIXELS.astype(np.uint16) * 257)[:, :1]
    paths = export_images(image_set(deep, ("grey",)), tmp_path)
    with Image.open(paths[1]) as picture:
        assert np.array_equal(np.asarray(picture), deep[1, 0])


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OptionError, match="the same file"):
        export_images(image_set(ids=("a/b", "a#b", "c")), tmp_path)
    with pytest.raises(OptionError, match="float32"):
        export_images(image_set(PIXELS.astype(np.float32)), tmp_path)
    with pytest.raises(OptionError, match="'jpeg'"):
        export_images(image_set(), tmp_path, file_format="jpeg")
    assert not list(tmp_path.iterdir())
