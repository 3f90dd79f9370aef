import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from likeness.cli._run import run as run_command
from likeness.datasets import ImageSet, PrepareOptions, prepare_images
from likeness.errors import ImageMismatchError, InputError, OptionError, OutputError
from likeness.metrics import evaluate
from likeness.metrics.autoencoder import Autoencoding, open_autoencoder, train_autoencoder
from likeness.metrics.autoencoder.alterations import altered
from likeness.metrics.features import FeatureExtractor
from likeness.scores.second_stage import second_stage

FEW = Autoencoding(features=32, steps=400, width=8)
FEWER = Autoencoding(features=32, steps=4, width=8)


def pictures(count, seed, shape=(1, 32, 32)):
    fields = gaussian_filter(np.random.default_rng(seed).normal(size=(count, *shape)), (0, 0, 4, 4))
    scaled = fields / np.abs(fields).max(axis=(1, 2, 3), keepdims=True)
    return np.rint(128 + 110 * scaled).astype(np.uint8)


@pytest.fixture(scope="module", params=[0, 1])
def trained(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("autoencoder") / "made"
    images = ImageSet.from_arrays(pictures(60, request.param))
    return train_autoencoder(images, out, replace(FEW, seed=request.param)), out, images


def test_it_gives_back_more_than_the_mean_image(trained):
    record, _, images = trained
    pixels = images.read(0, 60) / 255
    assert record["error_of_mean_image"] == pytest.approx(
        ((pixels - pixels.mean(axis=0)) ** 2).mean()
    )
    # The images in training are altered, so giving them back is harder than without.
    assert record["error"] < 0.7 * record["error_of_mean_image"]


def test_features_of_a_turned_copy_point_to_the_original(trained):
    _, out, images = trained
    extractor = open_autoencoder(out)
    assert isinstance(extractor, FeatureExtractor)
    pixels = images.read(0, 60)
    originals = extractor.features(pixels)
    assert originals.shape == (60, 32)
    for turned in (pixels[..., ::-1], np.rot90(pixels, axes=(2, 3))):
        r = np.corrcoef(extractor.features(np.ascontiguousarray(turned)), originals)[:60, 60:]
        own = np.diag(r).mean()
        others = (r.sum() - np.trace(r)) / (60 * 59)
        assert own > others + 0.3


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    images = ImageSet.from_arrays(pictures(20, 0))
    records = {
        name: train_autoencoder(images, tmp_path / name, replace(FEWER, seed=seed))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    }
    assert records["first"] == records["again"]
    assert records["first"]["sha256"] != records["other"]["sha256"]
    content = [
        (tmp_path / name / records["first"]["tensors"]).read_bytes() for name in ("first", "again")
    ]
    assert content[0] == content[1]


def test_annotations_are_left_out_and_any_shape_goes(tmp_path):
    images = ImageSet.from_arrays(pictures(8, 1, (3, 40, 33)), channels=("t1", "flair", "seg"))
    record = train_autoencoder(images, tmp_path / "made", Autoencoding(16, 2, 8))
    assert record["channels"] == ["t1", "flair"]
    assert open_autoencoder(tmp_path / "made").features(pictures(3, 2, (2, 40, 33))).shape == (
        3,
        16,
    )


def test_alterations_are_flips_turns_and_bends():
    generator = torch.Generator().manual_seed(0)
    images = torch.from_numpy(pictures(40, 3).astype(np.float32) / 255)
    made = altered(images, generator)
    assert made.shape == images.shape
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    r = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(made.numpy(), images.numpy())]  # noqa: B905
    assert np.mean(np.array(r) < 0.9) > 0.5  # most are moved far from where they were


def test_evaluate_takes_it(trained):
    _, out, images = trained
    found = evaluate(
        images, ImageSet.from_arrays(pictures(40, 5)), extractors=[open_autoencoder(out)]
    )
    assert found.find("frechet_distance").num_features == 32


def test_an_audit_takes_it_as_an_encoder(trained):
    _, out, images = trained
    extractor = open_autoencoder(out)
    first, second = images.read(0, 2)
    moved = first + np.float32(0.3)  # a registered query is interpolated
    found = second_stage(moved, second, data_range=255.0, encoder=extractor.centred_features)
    expected = np.corrcoef(extractor.features(images.read(0, 2)))[0, 1]
    assert found.row()["learned"] == pytest.approx(expected)


def test_damage_and_misuse_are_named(trained, tmp_path):
    record, out, images = trained
    with pytest.raises(InputError, match="no autoencoder"):
        open_autoencoder(tmp_path)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    content = (out / record["tensors"]).read_bytes()
    (damaged / "autoencoder.json").write_text(json.dumps(record), encoding="utf-8")
    (damaged / record["tensors"]).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="not those of its record"):
        open_autoencoder(damaged)
    with pytest.raises(OutputError, match="--overwrite"):
        train_autoencoder(images, out, FEW)
    with pytest.raises(ImageMismatchError, match="trained on images of"):
        open_autoencoder(out).features(pictures(2, 0, (1, 48, 48)))
    with pytest.raises(OptionError, match="--features"):
        Autoencoding(features=4)


def test_command(tmp_path, capsys):
    from PIL import Image

    source = tmp_path / "source"
    source.mkdir()
    for k, one in enumerate(pictures(10, 6)):
        Image.fromarray(one[0]).save(source / f"P{k}_1.png")
    prepare_images(source, tmp_path / "set", options=PrepareOptions())
    command = ["autoencoder", str(tmp_path / "set"), "--out", str(tmp_path / "made"),
               "--features", "16", "--steps", "3", "--width", "8", "--device", "cpu"]  # fmt: skip
    assert run_command([*command, "--dry-run"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()
    assert run_command([*command, "-q"]) == 0
    assert "--autoencoder" in capsys.readouterr().out
    sets = ["--real", str(tmp_path / "set"), "--synthetic", str(tmp_path / "set")]
    with_it = ["evaluate", *sets, "--autoencoder", str(tmp_path / "made"), "--device", "cpu"]
    assert run_command([*with_it, "--bootstrap", "0", "-q"]) == 0
    assert "autoencoder" in capsys.readouterr().out
