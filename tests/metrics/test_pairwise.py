import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import pearsonr
from tests.metrics.test_autoencoder import pictures

from likeness.cli import measures as measures_command
from likeness.cli._run import run as run_command
from likeness.datasets import ImageSet, PrepareOptions, prepare_images
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.metrics.autoencoder import Autoencoding, open_autoencoder, train_autoencoder
from likeness.metrics.pairwise import (
    PIXEL_MEASURES,
    forecast_seconds,
    measure_pairs,
    most_similar,
)
from likeness.similarity import normalized_mutual_information, structural_similarity


class SomeFeatures:
    """Pixels along the diagonal: easily computed another way."""

    name, key, record, num_classes, together = "diagonal", "", {}, 0, 4

    def __init__(self, shape):
        self.num_channels, self.num_features = shape[0], shape[1]

    def features(self, images):
        return images[:, 0].astype(np.float64).diagonal(axis1=1, axis2=2)


def test_every_pair_is_that_of_its_two_images():
    first, second = pictures(3, 0, (2, 32, 32)), pictures(70, 1, (2, 32, 32))  # two blocks
    second[68] = first[1]
    queries, references = ImageSet.from_arrays(first), ImageSet.from_arrays(second)
    found = {name: measure_pairs(queries, references, name) for name in PIXEL_MEASURES}
    for row, column in ((0, 0), (1, 68), (2, 63), (2, 64), (0, 69)):
        a, b = first[row], second[column]
        r = pearsonr(a.ravel().astype(float), b.ravel().astype(float)).statistic
        assert found["correlation"][row, column] == pytest.approx(r, abs=1e-12)
        assert found["ssim"][row, column] == structural_similarity(a, b)
        known = normalized_mutual_information(a, b)
        assert found["mutual-information"][row, column] == known
    for values in found.values():
        assert values.shape == (3, 70)
        assert most_similar(values).reference[1] == 68


def test_features_are_correlated():
    first, second = pictures(5, 0), pictures(9, 1)
    values = measure_pairs(
        ImageSet.from_arrays(first), ImageSet.from_arrays(second), SomeFeatures((1, 32))
    )
    for row in range(5):
        for column in range(9):
            a, b = (one[0].astype(float).diagonal() for one in (first[row], second[column]))
            assert values[row, column] == pytest.approx(pearsonr(a, b).statistic, abs=1e-12)


def test_what_is_not_defined_is_nan_and_is_nobody():
    first = pictures(2, 0)
    first[0] = 7
    sets = ImageSet.from_arrays(first), ImageSet.from_arrays(pictures(4, 1))
    for measure in ("correlation", "mutual-information", SomeFeatures((1, 32))):
        values = measure_pairs(*sets, measure)
        assert np.isnan(values[0]).all()
        assert not np.isnan(values[1]).any()
        best = most_similar(values)
        assert best.reference[0] == -1
        assert np.isnan(best.value[0])
        assert best.value[1] == values[1].max()


def test_the_first_of_equals_and_no_matrix():
    assert most_similar(np.array([[0.1, 0.9, 0.9]])).reference.tolist() == [1]
    with pytest.raises(InputError, match="matrix"):
        most_similar(np.empty((3, 0)))


def test_sets_that_do_not_fit_are_refused():
    some = ImageSet.from_arrays(pictures(2, 0))
    with pytest.raises(OptionError, match="no measure 'likeness'"):
        measure_pairs(some, some, "likeness")
    with pytest.raises(ImageMismatchError, match="shape"):
        measure_pairs(some, ImageSet.from_arrays(pictures(2, 0, (1, 40, 40))), "ssim")
    with pytest.raises(ImageMismatchError, match="8 bits"):
        measure_pairs(*(ImageSet.from_arrays(pictures(2, 0).astype(np.uint16)),) * 2, "ssim")
    with pytest.raises(ImageMismatchError, match="11 x 11"):
        measure_pairs(*(ImageSet.from_arrays(np.zeros((2, 1, 8, 8), np.uint8)),) * 2, "ssim")


def test_annotations_are_left_out():
    first, second = pictures(2, 0, (2, 32, 32)), pictures(3, 1, (2, 32, 32))
    both = [ImageSet.from_arrays(one, channels=("t1", "seg")) for one in (first, second)]
    alone = [ImageSet.from_arrays(one[:, :1], channels=("t1",)) for one in (first, second)]
    assert np.array_equal(measure_pairs(*both, "ssim"), measure_pairs(*alone, "ssim"))


def test_a_forecast_grows_with_the_pairs(monkeypatch):
    ticks = iter(np.arange(100.0))
    monkeypatch.setattr("likeness.metrics.pairwise.time.perf_counter", lambda: next(ticks))
    queries, references = ImageSet.from_arrays(pictures(6, 0)), ImageSet.from_arrays(pictures(9, 1))
    # Eight pairs take a tick; eight of both images of an extractor too, beside six queries.
    assert forecast_seconds(queries, references, "ssim") == pytest.approx(54 / 8)
    found = forecast_seconds(queries, references, SomeFeatures((1, 32)))
    assert found == pytest.approx(15 / 14)


@pytest.fixture
def folders(tmp_path):
    from PIL import Image

    for name, seed, count in (("queries", 0, 3), ("references", 1, 5)):
        (tmp_path / f"{name}-files").mkdir()
        images = pictures(count, seed)
        if name == "references":
            images[2] = pictures(3, 0)[1]
        for k, one in enumerate(images):
            Image.fromarray(one[0]).save(tmp_path / f"{name}-files" / f"P{k}_1.png")
        prepare_images(tmp_path / f"{name}-files", tmp_path / name, options=PrepareOptions())
    return tmp_path


def test_command(folders, capsys, monkeypatch):
    made = folders / "autoencoder"
    train_autoencoder(ImageSet.open(folders / "references"), made, Autoencoding(16, 2, 8))
    out = folders / "measures.parquet"
    words = ["measures", "--queries", str(folders / "queries"), "--references",
             str(folders / "references"), "--out", str(out)]  # fmt: skip
    several = ["--measure", f"correlation,ssim,mutual-information,autoencoder:{made}"]
    assert run_command([*words, *several, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == 15
    assert not out.exists()
    assert run_command([*words, *several, "-q"]) == 0
    assert "compared   3 queries with 5 references" in capsys.readouterr().out
    rows = pq.read_table(out).to_pylist()
    assert len(rows) == 12
    ids = ImageSet.open(folders / "queries").image_ids
    copied = ImageSet.open(folders / "references").image_ids[2]
    for row in rows:
        if row["query_id"] == ids[1]:
            assert row["reference_id"] == copied
            top = 2 if row["measure"] == "mutual-information" else 1
            assert row["value"] == pytest.approx(top)
    assert run_command([*words, "-q"]) == 7
    assert "--overwrite" in capsys.readouterr().err
    assert run_command([*words, "--overwrite", "--matrix", "--measure", "ssim", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == 15
    table = pq.read_table(out).to_pylist()
    values = np.array([row["value"] for row in table]).reshape(3, 5)
    extractor = open_autoencoder(made)
    assert extractor.num_features == 16
    sets = (ImageSet.open(folders / name) for name in ("queries", "references"))
    assert np.array_equal(values, measure_pairs(*sets, "ssim"))
    monkeypatch.setattr(measures_command, "_LONG_SECONDS", 0.0)
    assert run_command([*words, "--overwrite", "-q"]) == 2
    assert "--long" in capsys.readouterr().err
    assert run_command([*words, "--overwrite", "--long", "-q"]) == 0
    assert run_command([*words, "--overwrite", "--measure", "mse"]) == 2
