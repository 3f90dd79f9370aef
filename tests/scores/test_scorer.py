"""One way of scoring: the same for every caller, resumable, and independent of company."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from likeness.datasets import ImageSet
from likeness.scores import FAMILIES, Scorer, ScorerOptions, ScoreStore, indexes, stages
from likeness.scores.registration import RegistrationOptions
from likeness.scores.tiles import TileOptions

FIELDS = ("similarity", "group", "image", "placement")


def pictures(count, seed, channels=1, size=64):
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(count, channels, size, size)), (0, 0, 4, 4))
    return np.rint(128 + 90 * smooth / np.abs(smooth).max()).astype(np.uint8)


@pytest.fixture(scope="module")
def references():
    return ImageSet.from_arrays(pictures(40, 1), patient_ids=[f"p{i // 2}" for i in range(40)])


@pytest.fixture(scope="module")
def queries(references):
    copies = references.take([4, 9])
    return ImageSet.from_arrays(np.concatenate([copies, pictures(4, 2)]))


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for family in one:
        for field in FIELDS:
            np.testing.assert_array_equal(
                getattr(one[family], field), getattr(other[family], field)
            )


def test_a_copy_is_first_in_every_family_and_stands_out(references, queries):
    found = Scorer(references).score(queries)
    assert set(found) == set(FAMILIES)
    for ranking in found.values():
        assert ranking.image[:2, 0].tolist() == [4, 9]
        assert ranking.similarity[:2, 0] == pytest.approx([1, 1], abs=1e-3)
        contrast = ranking.contrast()
        assert contrast[:2].min() > 2 * contrast[2:].max()


def test_the_own_group_is_never_met(references):
    codes = references.patient_codes
    found = Scorer(references).score(references, excluded=codes)
    for ranking in found.values():
        assert not (ranking.group == codes[:, None]).any()
        assert (ranking.group[:, 1] >= 0).all()


def test_groups_replace_patients(references, queries):
    merged = np.zeros(40, dtype=np.int32)
    merged[20:] = 1
    found = Scorer(references, groups=merged).score(queries)
    for ranking in found.values():
        assert set(ranking.group[ranking.group >= 0].tolist()) <= {0, 1}
        assert ranking.group[:2, 0].tolist() == [0, 0]


def test_parts_and_threads_and_memory_change_no_bit(references, queries, monkeypatch):
    whole = Scorer(references, options=ScorerOptions(threads=2)).score(queries)
    monkeypatch.setattr(stages, "PART_QUERIES", dict.fromkeys(stages.STAGES, 2))
    parts = Scorer(references, options=ScorerOptions(threads=1, memory_bytes=1 << 20)).score(
        queries
    )
    assert_equal(whole, parts)


def test_finished_parts_are_not_computed_again(references, queries, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "PART_QUERIES", dict.fromkeys(stages.STAGES, 4))
    store = ScoreStore(tmp_path / "scores")
    first = Scorer(references, store=store).score(queries)
    again = Scorer(references, store=store)
    monkeypatch.setattr(again, "_compute", lambda *_: pytest.fail("computed again"))
    assert_equal(first, again.score(queries))


def test_a_damaged_or_foreign_part_is_computed_again(references, queries, tmp_path):
    store = ScoreStore(tmp_path)
    first = Scorer(references, store=store).score(queries, families=("plain",))
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:-40])
    assert_equal(first, Scorer(references, store=store).score(queries, families=("plain",)))
    other = Scorer(references, options=ScorerOptions(grid=32), store=store)
    coarse = other.score(queries, families=("plain",))
    assert not np.array_equal(coarse["plain"].similarity, first["plain"].similarity)


def test_a_part_alone_is_the_part_of_the_whole(references, queries, tmp_path, monkeypatch):
    """And a scoring begun part by part, by others, is ended without computing anything."""
    sizes = {"oriented": 4, "tiles": 4, "registered": 2}
    monkeypatch.setattr(stages, "PART_QUERIES", sizes)
    whole = Scorer(references).score(queries)
    worker = Scorer(references, store=ScoreStore(tmp_path))
    question = worker.question(queries)
    found = worker.score_part(question, "registered", 2, 4)
    np.testing.assert_array_equal(
        found["registered"].similarity, whole["registered"].similarity[2:4]
    )
    for stage in stages.STAGES:
        for start, stop in stages.part_ranges(stage, len(queries)):
            worker.score_part(question, stage, start, stop)
    again = Scorer(references, store=ScoreStore(tmp_path))
    monkeypatch.setattr(again, "_compute", lambda *_: pytest.fail("computed again"))
    assert_equal(whole, again.score(queries))
    assert_equal(
        {"registered": whole["registered"]}, again.score(queries, families=("registered",))
    )


def test_registered_scores_that_are_saved_need_no_other_family(references, queries, tmp_path):
    first = Scorer(references, store=ScoreStore(tmp_path)).score(queries, families=("registered",))
    again = Scorer(references, store=ScoreStore(tmp_path))
    for path in tmp_path.glob("*.npz"):
        with np.load(path) as file:
            if "registered_group" not in file:
                path.unlink()
    again._compute = lambda *_: pytest.fail("computed again")
    assert_equal(first, again.score(queries, families=("registered",)))


def keys(scorer, queries, **settings):
    question = scorer.question(queries, **settings)
    return {stage: question.key(stage, 0, 4) for stage in stages.STAGES}


def test_keys_change_with_all_that_changes_the_numbers_and_nothing_else(references, queries):
    usual = keys(Scorer(references), queries)
    assert len(set(usual.values())) == 3
    same = Scorer(references, options=ScorerOptions(threads=1, memory_bytes=1 << 25))
    assert keys(same, queries) == usual
    assert keys(same, queries, depth=64) == usual

    def changed(found):
        return {stage for stage in stages.STAGES if found[stage] != usual[stage]}

    everything = set(stages.STAGES)
    merged = np.zeros(40, dtype=np.int32)
    own = np.zeros(6, dtype=np.int32)
    assert changed(keys(Scorer(references, groups=merged), queries)) == everything
    assert changed(keys(Scorer(references.subset(range(39))), queries)) == everything
    assert changed(keys(Scorer(references), queries.subset(range(5)))) == everything
    assert changed(keys(Scorer(references), queries, excluded=own)) == everything
    assert changed(keys(Scorer(references), queries, depth=20)) == {"oriented"}

    def with_options(**options):
        return changed(keys(Scorer(references, options=ScorerOptions(**options)), queries))

    assert with_options(grid=32) == everything
    assert with_options(local_depth=3) == {"tiles", "registered"}
    assert with_options(tiles=TileOptions(shrinkage=0.1)) == {"tiles", "registered"}
    assert with_options(registration=RegistrationOptions(candidates=3)) == {"registered"}
    assert with_options(transforms=("identity",)) == {"oriented", "registered"}


def test_scorers_of_the_same_references_share_what_is_derived_of_them(references):
    first, second = Scorer(references), Scorer(references, groups=np.zeros(40, dtype=np.int32))
    assert first.reference_scale is second.reference_scale
    coarse = Scorer(references, options=ScorerOptions(grid=32))
    assert coarse.reference_scale is not first.reference_scale


def test_an_index_pays_for_many_small_scorings(references, queries, monkeypatch):
    made = []
    monkeypatch.setattr(indexes, "index_pays", lambda count, _: count > 10)
    monkeypatch.setattr(
        indexes.OrientationIndex, "of", classmethod(lambda *_, **__: made.append(1))
    )
    scorer = Scorer(references.subset(range(39)))
    scorer.score(queries, families=("plain",))
    assert not made
    scorer.score(queries, families=("plain",))
    assert made
