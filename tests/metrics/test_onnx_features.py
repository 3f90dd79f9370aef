"""Encoders from ONNX files: what they compute, what is refused."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tests.metrics.encoders import write_encoder
from torch.nn import functional

from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.metrics.features import FeatureExtractor, is_classifier
from likeness.metrics.onnx_features import OnnxFeatures, OnnxInput


def some_images(count=5, channels=1, side=12):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def reference(images, kernel):
    values = functional.conv2d(torch.from_numpy(images).double(), torch.from_numpy(kernel).double(),
                               padding=1)  # fmt: skip
    return values.clamp(min=0).mean(dim=(2, 3)).numpy()


def test_features_are_what_the_file_computes(tmp_path):
    kernel, _ = write_encoder(tmp_path / "e.onnx", channels=3)
    given = OnnxInput(scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    encoder = OnnxFeatures(tmp_path / "e.onnx", given=given)
    images = some_images(channels=3)
    mean, std = (np.array(x).reshape(1, 3, 1, 1) for x in (given.mean, given.std))
    expected = reference(((images / 255) - mean) / std, kernel)
    found = encoder.features(images)
    assert found == pytest.approx(expected, abs=1e-5)
    assert (encoder.num_features, encoder.num_channels, encoder.num_classes) == (6, 3, 0)
    assert found.dtype == np.float64
    assert isinstance(encoder, FeatureExtractor)
    assert not is_classifier(encoder)


def test_an_output_with_two_axes_of_one_pixel(tmp_path):
    write_encoder(tmp_path / "flat.onnx")
    write_encoder(tmp_path / "square.onnx", four_dimensional=True)
    images = some_images()
    flat, square = (
        OnnxFeatures(tmp_path / f"{n}.onnx").features(images) for n in ("flat", "square")
    )
    assert np.array_equal(flat, square)


def test_images_are_resized_to_what_the_file_takes_or_what_is_asked_for(tmp_path):
    kernel, _ = write_encoder(tmp_path / "fixed.onnx", side=24)
    write_encoder(tmp_path / "free.onnx")
    images = some_images()
    resized = functional.interpolate(torch.from_numpy(images).double(), size=(24, 24),
                                     mode="bilinear", align_corners=False).numpy()  # fmt: skip
    expected = reference(resized / 255, kernel)
    assert OnnxFeatures(tmp_path / "fixed.onnx").features(images) == pytest.approx(
        expected, abs=1e-5
    )
    asked = OnnxFeatures(tmp_path / "free.onnx", given=OnnxInput(size=24))
    assert asked.features(images) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match="not 16"):
        OnnxFeatures(tmp_path / "fixed.onnx", given=OnnxInput(size=16))


@pytest.mark.parametrize("softmax", [False, True])
def test_class_scores_of_a_second_output(tmp_path, softmax):
    kernel, matrix = write_encoder(tmp_path / "e.onnx", classes=4, softmax=softmax)
    kind = "probabilities" if softmax else "logits"
    encoder = OnnxFeatures(tmp_path / "e.onnx", classes=kind)
    images = some_images()
    features, logits = encoder.features_and_logits(images)
    expected = torch.from_numpy(reference(images / 255, kernel) @ matrix).softmax(dim=1).numpy()
    assert torch.from_numpy(logits).softmax(dim=1).numpy() == pytest.approx(expected, abs=1e-5)
    assert np.array_equal(features, encoder.features(images))
    assert encoder.num_classes == 4
    assert is_classifier(encoder)
    if not softmax:
        with pytest.raises(InputError, match="holds no probabilities"):
            OnnxFeatures(tmp_path / "e.onnx", classes="probabilities")


def test_the_key_is_of_the_file_and_of_the_input(tmp_path):
    write_encoder(tmp_path / "e.onnx")
    write_encoder(tmp_path / "other.onnx", features=7)
    keys = {
        OnnxFeatures(tmp_path / "e.onnx").key,
        OnnxFeatures(tmp_path / "other.onnx").key,
        OnnxFeatures(tmp_path / "e.onnx", given=OnnxInput(size=24)).key,
        OnnxFeatures(tmp_path / "e.onnx", given=OnnxInput(scale=1.0)).key,
        OnnxFeatures(tmp_path / "e.onnx", given=OnnxInput(mean=(0.1,))).key,
        OnnxFeatures(tmp_path / "e.onnx", given=OnnxInput(std=(0.1,))).key,
    }
    assert len(keys) == 6
    assert OnnxFeatures(tmp_path / "e.onnx").key in keys


def test_weights_in_other_files_are_refused_wherever_the_process_is(tmp_path, monkeypatch):
    write_encoder(tmp_path / "e.onnx", external=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="keeps weights in other files"):
        OnnxFeatures("e.onnx")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 8}, "takes exactly 8 images at once"),
        ({"channels": 1, "classes": 0}, "class scores are expected"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, options, said):
    write_encoder(tmp_path / "e.onnx", **options)
    with pytest.raises(InputError, match=said):
        OnnxFeatures(tmp_path / "e.onnx", classes="logits")


def test_an_input_that_is_no_batch_of_images(tmp_path):
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 5])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [given], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "e.onnx")
    with pytest.raises(InputError, match=r"takes x tensor\(float\) \['n', 5\]; expected one input"):
        OnnxFeatures(tmp_path / "e.onnx")


def test_what_is_no_encoder(tmp_path):
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(InputError, match="cannot be run"):
        OnnxFeatures(tmp_path / "text.onnx")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        OnnxFeatures(tmp_path / "absent.onnx")


def test_options_that_do_not_fit(tmp_path):
    write_encoder(tmp_path / "e.onnx", channels=3)
    with pytest.raises(OptionError, match="takes 3 channels; --onnx-mean has 2 numbers"):
        OnnxFeatures(tmp_path / "e.onnx", given=OnnxInput(mean=(0.1, 0.2)))
    for wrong in ({"size": 0}, {"std": (0.0,)}, {"scale": float("nan")}, {"mean": ()}):
        with pytest.raises(OptionError, match="cannot have size"):
            OnnxInput(**wrong)
    with pytest.raises(ImageMismatchError, match=r"\(n, 3, H, W\), not \(5, 1, 12, 12\)"):
        OnnxFeatures(tmp_path / "e.onnx").features(some_images())
