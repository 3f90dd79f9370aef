"""The second stage measures few pairs in many ways, and sorts them on request."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.datasets.phantoms import add_noise, chest_image
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.scores.second_stage import rerank, second_stage
from likeness.similarity import (
    high_pass_correlation,
    intensity_fit,
    masked_correlation,
    normalized_mutual_information,
    structural_similarity,
)


@pytest.fixture(scope="module")
def chests():
    return np.stack([chest_image(9, patient, size=(96, 96)) for patient in range(6)])[:, None]


def means_encoder(images):
    """Means of a 4 x 4 grid: a feature as good as any."""
    n, channels, height, width = images.shape
    grid = images.reshape(n, channels, 4, height // 4, 4, width // 4).astype(float)
    return grid.mean(axis=(3, 5)).reshape(n, -1) - 100


def test_every_measure_is_its_function(chests):
    query, reference = add_noise(chests[0], 0.3, seed=1), chests[0]
    stage = second_stage(query, reference, encoder=means_encoder)
    assert stage.structural_similarity == structural_similarity(query, reference)
    assert stage.mutual_information == normalized_mutual_information(query, reference)
    assert stage.masked_correlation == masked_correlation(query, reference)
    assert stage.high_pass_correlation == high_pass_correlation(query, reference)
    fit = intensity_fit(query, reference)
    assert (stage.fit.gain, stage.fit.relative_residual) == (fit.gain, fit.relative_residual)
    assert 0.05 <= stage.foreground_share <= 1
    a, b = means_encoder(np.stack([query, reference]))
    cosine = a @ b / np.sqrt((a @ a) * (b @ b))
    assert stage.learned == pytest.approx(cosine, abs=1e-12)
    assert second_stage(query, reference).learned is None
    assert second_stage(query, reference, data_range=20).structural_similarity < (
        stage.structural_similarity
    )


def test_an_inverted_copy_is_labelled(chests):
    stage = second_stage(255 - chests[0], chests[0])
    assert stage.fit.inverted
    assert stage.fit.relative_residual < 1e-9
    assert stage.fit.gain[0] == pytest.approx(-1)
    assert not second_stage(chests[0], chests[1]).fit.inverted


@pytest.mark.parametrize(
    "by",
    [
        "structural_similarity",
        "mutual_information",
        "masked_correlation",
        "high_pass_correlation",
        "relative_residual",
        "learned",
    ],
)
def test_every_measure_puts_the_copy_first(chests, by):
    query = add_noise(chests[3], 0.2, seed=2)
    rows = rerank(query, chests, indices=[10, 11, 12, 13, 14, 15], by=by, encoder=means_encoder)
    assert rows[0]["index"] == 13
    assert rows[0]["rank"] == 4
    assert [row["rank_second"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert sorted(row["rank"] for row in rows) == [1, 2, 3, 4, 5, 6]
    values = [row[by] for row in rows]
    assert values == sorted(values, reverse=by != "relative_residual")
    single = second_stage(query, chests[3], encoder=means_encoder).row()
    assert {key: rows[0][key] for key in single} == pytest.approx(single)


def test_only_the_top_is_looked_at(chests):
    rows = rerank(chests[5], chests, indices=range(6), top=2)
    assert sorted(row["index"] for row in rows) == [0, 1]
    assert len(rerank(chests[0], np.repeat(chests, 5, axis=0), indices=range(30))) == 20
    assert rerank(chests[0], chests[:0], indices=[]) == []


def test_undefined_measures_come_last(chests):
    references = np.concatenate([np.full_like(chests[:1], 7), chests[1:3]])
    rows = rerank(chests[0], references, indices=[0, 1, 2], by="masked_correlation")
    assert rows[-1]["index"] == 0
    assert rows[-1]["masked_correlation"] is None


def test_a_registered_query_may_be_of_floats(chests):
    query = chests[0].astype(float) + 0.25
    stage = second_stage(query, chests[0], encoder=lambda images: means_encoder(images))
    assert stage.structural_similarity > 0.999
    assert stage.fit.offset[0] == pytest.approx(0.25, abs=1e-6)


def test_what_cannot_be_measured_is_refused(chests):
    with pytest.raises(ImageMismatchError, match="shape"):
        second_stage(chests[0], chests[0][:, :50])
    with pytest.raises(OptionError, match="encoder"):
        rerank(chests[0], chests, indices=range(6), by="learned")
    with pytest.raises(OptionError, match="top"):
        rerank(chests[0], chests, indices=range(6), top=0)
    with pytest.raises(OptionError, match="indices"):
        rerank(chests[0], chests, indices=[1])
    for bad in (np.zeros((2, 3)), np.ones((5, 3)), np.full((2, 3), np.nan), np.ones(2)):
        with pytest.raises(InputError, match="encoder"):
            second_stage(chests[0], chests[1], encoder=lambda _, bad=bad: bad)
