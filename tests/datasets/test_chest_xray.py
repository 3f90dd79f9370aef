import numpy as np
import pytest
from PIL import Image
from tests.datasets.making import pixels, png

from likeness.datasets import ChestXrayOptions, prepare_chest_xray
from likeness.datasets.splits import SplitRule
from likeness.errors import OptionError


def smooth(seed, shape):
    small = Image.fromarray(pixels(seed, (6, 5)))
    return np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    arrays = {
        "NORMAL/IM-0115-0001.jpeg": smooth(1, (40, 50)),
        "NORMAL/NORMAL2-IM-0115-0001.jpeg": smooth(2, (60, 50)),
        "PNEUMONIA/person1_bacteria_1.jpeg": smooth(3, (30, 30)),
        "PNEUMONIA/person1_bacteria_2.jpeg": smooth(4, (30, 31)),
        "PNEUMONIA/person1_virus_1.jpeg": np.repeat(smooth(5, (35, 30))[..., None], 3, axis=2),
    }
    for name, array in arrays.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path, format="JPEG", quality=95)
    return root


def test_mixed_jpegs_become_grey_squares(source, tmp_path):
    made = prepare_chest_xray(source, tmp_path / "out", options=ChestXrayOptions(size=16))
    images = made.image_set
    assert images.image_shape == (1, 16, 16)
    assert images.dtype == np.uint8
    assert images.classes == ("NORMAL", "NORMAL", "PNEUMONIA", "PNEUMONIA", "PNEUMONIA")
    assert images.patient_ids == (
        "IM-0115", "NORMAL2-IM-0115", "person1_bacteria", "person1_bacteria", "person1_virus",
    )  # fmt: skip
    for name, image in zip(images.image_ids, images.read(0, 5), strict=True):
        picture = Image.open(source / name).convert("L")
        assert np.array_equal(image[0], picture.resize((16, 16), Image.Resampling.BICUBIC))
    assert images.record["transforms"][1]["resampling"] == "bicubic"


def test_the_filter_takes_effect(source, tmp_path):
    sets = [
        prepare_chest_xray(
            source, tmp_path / name, options=ChestXrayOptions(size=16, resampling=name)
        ).image_set.read(0, 5)
        for name in ("bicubic", "nearest")
    ]
    assert not np.array_equal(*sets)


def test_colour_and_deep_images_are_left_out(source, tmp_path):
    png(source / "NORMAL/IM-0200-0001.png", pixels(1, (20, 20, 3)))
    png(source / "NORMAL/IM-0201-0001.png", pixels(1).astype(np.uint16))
    options = ChestXrayOptions(size=16, max_skipped=0.5)
    made = prepare_chest_xray(source, tmp_path / "out", options=options)
    assert {item.path: item.code for item in made.accounting.left_out} == {
        "NORMAL/IM-0200-0001.png": "mixed_colour",
        "NORMAL/IM-0201-0001.png": "not_8_bit",
    }
    options = ChestXrayOptions(size=16, max_skipped=0.5, grey="luma")
    assert len(prepare_chest_xray(source, tmp_path / "out2", options=options).image_set) == 6


def test_a_split_keeps_children_together(source, tmp_path):
    made = prepare_chest_xray(
        source, tmp_path / "out", options=ChestXrayOptions(size=8), split=SplitRule(test_share=0.5)
    )
    train, test = made.sets["train"], made.sets["test"]
    assert not set(train.patient_ids) & set(test.patient_ids)
    assert train.num_patients + test.num_patients == 4


@pytest.mark.parametrize("values", [{"size": 0}, {"grey": "keep"}, {"resampling": "x"}])
def test_options_are_checked(values):
    with pytest.raises(OptionError, match="--"):
        ChestXrayOptions(**values)
