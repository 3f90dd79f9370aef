"""`likeness.evaluate` on small sets: every number against its own reference."""

import json

import numpy as np
import pytest
from tests.metrics.encoders import write_encoder

from likeness import EvaluateOptions, evaluate
from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.metrics import measures, run
from likeness.metrics.evaluation import FORMAT
from likeness.metrics.frechet import frechet_distance
from likeness.metrics.kernel_distance import kernel_distance
from likeness.metrics.manifolds import memberships
from likeness.metrics.onnx_features import OnnxFeatures
from likeness.metrics.principal_components import PrincipalComponents


def pictures(count, channels=1, seed=0, lift=0):
    """Smooth pictures of differing brightness, 12 x 12."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 3, 12)
    waves = np.sin(rows[:, None] * rng.uniform(0.5, 2, (count, channels, 1, 1)) + rows)
    noisy = 110 + 50 * waves + lift + rng.normal(0, 8, (count, channels, 12, 12))
    return noisy.clip(0, 255).astype(np.uint8)


def named(images, prefix="P", per_patient=2):
    patients = [f"{prefix}{n // per_patient}" for n in range(len(images))]
    return ImageSet.from_arrays(images, patient_ids=patients)


FEW = EvaluateOptions(bootstrap=40)
PCA = PrincipalComponents(components=4)


@pytest.fixture(scope="module")
def real():
    return named(pictures(60))


@pytest.fixture(scope="module")
def synthetic():
    return pictures(30, seed=1, lift=60)


@pytest.fixture(scope="module")
def result(real, synthetic):
    test = named(pictures(24, seed=2), prefix="T")
    return evaluate(real, synthetic, test=test, extractors=[PCA], options=FEW)


def test_the_values_are_those_of_the_features(result, real, synthetic):
    fitted = PCA.fit(real)
    first, second = fitted.features(real.read(0, 60)), fitted.features(synthetic)
    inside = memberships(first, second, k=5)
    mmd = kernel_distance(first, second, np.ones((1, 60)), np.ones((1, 30)))[0]
    expected = {
        "frechet_distance": frechet_distance(first, second),
        "kernel_distance": mmd,
        "precision": inside.precision.mean(),
        "recall": inside.recall.mean(),
        "density": inside.density.mean(),
        "coverage": inside.coverage.mean(),
    }
    for name, value in expected.items():
        found = result.find(name)
        assert found.value == pytest.approx(value, rel=1e-9), name
        assert found.low <= found.value <= found.high, name
        assert (found.num_real, found.num_compared, found.num_features) == (60, 30, 4)
        assert (found.draws, found.interval) == (40, "normal")


def test_real_images_of_others_come_closer_than_a_lifted_set(result):
    matched = result.find("frechet_distance", compared="synthetic_matched")
    baseline = result.find("frechet_distance", compared="test")
    assert matched.num_compared == baseline.num_compared == 24
    assert baseline.high < matched.low
    assert any("24 synthetic images" in warning for warning in result.warnings)


def test_no_inception_score_without_classes(result):
    assert all(one.measure != "inception_score" for one in result.measurements)
    with pytest.raises(KeyError, match="no inception_score of synthetic"):
        result.find("inception_score")


def test_it_is_json_and_says_what_it_is_of(result, tmp_path):
    path = result.write(tmp_path / "new")
    content = json.loads(path.read_text())
    assert content["format_name"] == FORMAT
    assert content == json.loads(json.dumps(result.to_json()))
    assert content["sets"]["real"]["patients"] == 30
    assert content["sets"]["synthetic"]["patients"] is None
    assert content["settings"]["bootstrap"] == 40
    assert content["software"]["torchmetrics"] != "absent"


def test_the_same_call_gives_the_same_and_another_seed_other_intervals(real, synthetic, result):
    test = named(pictures(24, seed=2), prefix="T")
    again = evaluate(real, synthetic, test=test, extractors=[PCA], options=FEW)
    assert again == result
    other = EvaluateOptions(bootstrap=40, seed=1)
    changed = evaluate(real, synthetic, test=test, extractors=[PCA], options=other)
    assert changed.find("precision").value == result.find("precision").value
    assert changed.find("frechet_distance").high != result.find("frechet_distance").high


def test_no_bootstrap_no_interval(real, synthetic):
    found = evaluate(real, synthetic, extractors=[PCA], options=EvaluateOptions(bootstrap=0))
    assert all((one.low, one.high, one.draws) == (None, None, 0) for one in found.measurements)
    assert any("No held-out images" in warning for warning in found.warnings)


def test_patients_are_drawn_not_images():
    """With every image six times over in one patient, image-wise intervals would be too narrow."""
    images = np.repeat(pictures(20), 6, axis=0)
    other = pictures(40, seed=1)
    wide = evaluate(named(images, per_patient=6), other, extractors=[PCA])
    narrow = evaluate(images, other, extractors=[PCA])
    spread = [found.find("kernel_distance") for found in (wide, narrow)]
    assert spread[0].value == spread[1].value
    assert spread[0].high - spread[0].low > 1.3 * (spread[1].high - spread[1].low)


def test_channels_apart_their_mean_and_together():
    real, other = pictures(40, 2), pictures(30, 2, seed=1)
    apart = evaluate(real, other, extractors=[PCA], options=FEW)
    assert apart.features[0]["channels"] == "each of the 2 channels apart, and their mean"
    for name in ("frechet_distance", "density"):
        values = [apart.find(name, channel=f"channel_{c}").value for c in range(2)]
        assert values[0] != values[1]
        mean = apart.find(name)
        assert mean.channel == "mean"
        assert mean.value == pytest.approx(np.mean(values))
        assert mean.low < mean.value < mean.high
    alone = evaluate(
        real, other, extractors=[PCA],
        options=EvaluateOptions(bootstrap=40, channels=("channel_1",)),
    )  # fmt: skip
    assert alone.find("frechet_distance") == apart.find("frechet_distance", channel="channel_1")
    assert alone.channels_left_out == ("channel_0",)
    together = evaluate(
        real, other, extractors=[PCA],
        options=EvaluateOptions(bootstrap=0, channel_mode="together"),
    )  # fmt: skip
    assert {one.channel for one in together.measurements} == {"all"}


def test_the_interval_of_a_mean_is_of_draws_that_are_the_same_in_all_channels():
    """Twice the same channel: the mean's interval is the channel's, not a narrower one."""
    real, other = (np.repeat(pictures(n, seed=n), 2, axis=1) for n in (40, 30))
    found = evaluate(real, other, extractors=[PCA], options=FEW)
    mean, one = (found.find("kernel_distance", channel=c) for c in ("mean", "channel_0"))
    assert (mean.low, mean.high) == pytest.approx((one.low, one.high))


def test_annotations_are_left_out_unless_asked_for():
    def annotated(images):
        made = ImageSet.from_arrays(images, channels=("t1", "seg"))
        record = {"annotation_channels": ["seg"]}
        return ImageSet(made._store, made._table, made.channels, record=record)

    sets = annotated(pictures(30, 2)), annotated(pictures(20, 2, seed=1))
    found = evaluate(*sets, extractors=[PCA], options=EvaluateOptions(bootstrap=0))
    assert (found.channels, found.channels_left_out) == (("t1",), ("seg",))
    both = EvaluateOptions(bootstrap=0, annotations=True)
    assert evaluate(*sets, extractors=[PCA], options=both).channels == ("t1", "seg")


@pytest.fixture
def encoder(tmp_path):
    write_encoder(tmp_path / "e.onnx", channels=3, classes=4)
    return OnnxFeatures(tmp_path / "e.onnx", classes="logits")


def test_an_encoder_with_classes_gives_an_inception_score_of_synthetic_images_only(encoder):
    found = evaluate(
        pictures(40), pictures(30, seed=1), test=pictures(30, seed=2),
        extractors=[PCA, encoder], options=FEW,
    )  # fmt: skip
    score = found.find("inception_score", features="onnx")
    assert 1 <= score.low <= score.value <= score.high <= 4
    assert score.deviation > 0
    assert found.features[1]["channels"] == "the one channel repeated three times"
    rows = {one.compared for one in found.measurements if one.measure == "inception_score"}
    assert rows == {"synthetic"}


def test_features_are_kept_and_used_again(encoder, tmp_path, monkeypatch):
    sets = pictures(40), pictures(30, seed=1)
    cache = tmp_path / "kept"
    first = evaluate(*sets, extractors=[encoder], options=FEW, cache=cache)
    assert len(list(cache.iterdir())) == 2
    monkeypatch.setattr(encoder, "_run", None)  # cannot be asked again
    assert evaluate(*sets, extractors=[encoder], options=FEW, cache=cache) == first


def test_too_few_images_for_their_features_are_warned_of():
    found = evaluate(
        pictures(40), pictures(12, seed=1), extractors=[PrincipalComponents(20)],
        options=EvaluateOptions(bootstrap=0),
    )  # fmt: skip
    assert any("12 images for 20 features (pca): the covariance" in w for w in found.warnings)


def test_a_handful_of_images_has_what_numbers_there_are():
    found = evaluate(
        pictures(40), pictures(3, seed=1), extractors=[PCA], options=EvaluateOptions(bootstrap=0)
    )
    assert found.find("frechet_distance").value > 0
    assert found.find("precision").value is None
    assert found.find("precision").note == "needs more than 5 images of each set"
    assert any("needs more than 5 images" in warning for warning in found.warnings)


def test_pairs_of_many_images_are_of_some_of_them(monkeypatch):
    monkeypatch.setattr(measures, "MOST_PAIRED", 20)
    found = evaluate(pictures(40), pictures(30, seed=1), extractors=[PCA], options=FEW)
    assert found.find("precision").note == "of 20 real and 20 compared images, evenly spaced"
    assert found.find("frechet_distance").note is None


def test_patients_in_both_real_sets_and_unknown_ones_are_warned_of():
    found = evaluate(
        named(pictures(40)), pictures(30, seed=1), test=named(pictures(30, seed=2)),
        extractors=[PCA], options=EvaluateOptions(bootstrap=0),
    )  # fmt: skip
    assert any("15 patients are in the real and in the held-out" in w for w in found.warnings)
    found = evaluate(
        pictures(40), pictures(30, seed=1), extractors=[PCA], options=EvaluateOptions(bootstrap=0)
    )
    assert any("patients of the real images are not known" in w for w in found.warnings)


def test_sets_and_options_that_do_not_fit(tmp_path):
    good = pictures(10)
    with pytest.raises(ImageMismatchError, match="differ in shape, channels or number type"):
        evaluate(good, pictures(10, 2))
    with pytest.raises(ImageMismatchError, match="features are computed from 8-bit"):
        evaluate(good.astype(np.uint16), good.astype(np.uint16))
    with pytest.raises(InputError, match=r"nothing at .*absent.* \(for synthetic\)"):
        evaluate(good, tmp_path / "absent")
    with pytest.raises(OptionError, match=r"Channels \['t2'\] cannot be evaluated"):
        evaluate(good, good, options=EvaluateOptions(channels=("t2",)))
    with pytest.raises(OptionError, match="with different names"):
        evaluate(good, good, extractors=[PCA, PrincipalComponents(2)])
    for wrong in ({"k": 0}, {"bootstrap": 5}, {"seed": -1}, {"channel_mode": "both"}):
        with pytest.raises(OptionError, match=r"give at least 1 neighbour|Channels are passed"):
            EvaluateOptions(**wrong)


def test_an_absent_package_is_named(monkeypatch):
    from likeness.errors import MissingExtraError

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"need torch.*likeness\[metrics\]"):
        run.evaluate(pictures(10), pictures(10))
