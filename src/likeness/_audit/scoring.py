"""All scores of an audit, each set compared in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness._audit.comparisons import sample_of_patients
from likeness._audit.people import People, find_people
from likeness.scores import FAMILIES, Family, PatientRanking, Scorer, ScorerOptions, ScoreStore
from likeness.scores.registration import RegistrationOptions

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._audit.baselines import Places
    from likeness._audit.inputs import Inputs
    from likeness._audit.options import AuditOptions
    from likeness._cluster import Cluster
    from likeness._progress import Progress
    from likeness.datasets import ImageSet
    from likeness.types import Flags, Integers

ORIENTED: tuple[Family, ...] = ("plain", "dihedral")
LOCAL: tuple[Family, ...] = ("registered", "tiles")
"""Families whose null is taken from a smaller sample, for they cost more."""
FEWEST_TEST_PEOPLE = 50
"""With fewer held-out people, training patients play the innocent in the self-check."""


@dataclass(frozen=True)
class SetScores:
    """Images of one real set with their rankings among the training patients.

    The oriented families hold more images than the local ones, whose rows are among theirs.
    """

    rows: dict[Family, Integers]
    """Per family, the rows of the set that were compared, rising."""
    rankings: dict[Family, PatientRanking]

    def at(self, rows: Integers) -> dict[Family, PatientRanking]:
        """Return the rankings of some rows that all families hold."""
        return {
            family: ranking.rows(np.searchsorted(self.rows[family], rows))
            for family, ranking in self.rankings.items()
        }

    def keep(self, keep: Flags) -> SetScores:
        """Return what belongs to the rows of the set that are marked in `keep`."""
        chosen = {family: keep[rows] for family, rows in self.rows.items()}
        return SetScores(
            {family: rows[chosen[family]] for family, rows in self.rows.items()},
            {family: ranking.rows(chosen[family]) for family, ranking in self.rankings.items()},
        )

    @property
    def in_all_families(self) -> Integers:
        """Rows of the set that every family holds."""
        return min(self.rows.values(), key=len)


@dataclass(frozen=True)
class AllScores:
    """Everything that the decisions rest on."""

    people: People
    scorer: Scorer
    """Among the training images, by group."""
    oriented_by_patient: PatientRanking
    """The dihedral ranking of the null before patients were merged, for near-duplicates."""
    null: SetScores
    """The training images among the images of other people."""
    synthetic: dict[Family, PatientRanking]
    test: SetScores | None
    """Test images among the training images."""
    synthetic_test: PatientRanking | None
    """Synthetic images among the test patients, dihedral family."""
    test_scorer: Scorer | None
    """Among the test images, by patient."""

    @property
    def train_varies(self) -> Flags:
        """(m,) training images that are not constant."""
        return not_constant(self.scorer)

    def among_test(self, inputs: Inputs, own: NDArray[np.int32], rows: Integers) -> PatientRanking:
        """Rank the other test patients of some test images, dihedral family."""
        assert self.test_scorer is not None
        assert inputs.test is not None
        ranked = self.test_scorer.score(
            inputs.test.subset(rows), excluded=own, families=ORIENTED, name="test -> test"
        )
        return ranked["dihedral"]


def not_constant(scorer: Scorer) -> Flags:
    """Return (m,) which references of a scorer vary in any channel."""
    return np.asarray(scorer.reference_scale.varies.any(axis=1))


def score_all(
    inputs: Inputs,
    options: AuditOptions,
    *,
    places: Places,
    progress: Progress,
    cluster: Cluster | None = None,
) -> AllScores:
    """Compare training, test and synthetic images with the training images.

    Parameters
    ----------
    cluster
        What computes; None for this process alone.
    """
    train = inputs.train
    settings = ScorerOptions(
        transforms=options.transforms,
        registration=RegistrationOptions(transforms=options.transforms),
        memory_bytes=options.memory_bytes // 2,
        threads=options.threads,
    )

    def scorer(references: ImageSet, work: Path, groups: NDArray[np.int32] | None = None) -> Scorer:
        make = Scorer if cluster is None else cluster.scorer
        return make(
            references,
            channels=inputs.channels,
            groups=groups,
            options=settings,
            store=ScoreStore(work / "scores"),
            progress=progress,
        )

    sample = sample_of_patients(train.patient_codes, options.train_sample, options.seed)
    sampled = train.subset(sample)
    among_patients = scorer(train, places.kept)
    by_patient = among_patients.score(
        sampled, excluded=train.patient_codes[sample], families=ORIENTED, name="train -> train"
    )
    people = find_people(train, sample, by_patient["dihedral"], varies=not_constant(among_patients))
    groups = people.of_images(train)
    by_group = scorer(train, places.kept, groups)
    oriented = by_patient
    if people.merged:
        oriented = {
            family: ranking.merge_groups(people.group_of_patient).without(groups[sample])
            for family, ranking in by_patient.items()
        }
    few = sample_of_patients(train.patient_codes, options.local_sample, options.seed)
    local = by_group.score(
        train.subset(few), excluded=groups[few], families=LOCAL, name="train -> train, aligned"
    )
    null = SetScores(_rows(sample, few), {**oriented, **local})
    test = synthetic_test = None
    if inputs.test is not None:
        codes = inputs.test.patient_codes
        many = sample_of_patients(codes, options.train_sample, options.seed)
        test = SetScores(
            dict.fromkeys(ORIENTED, many),
            by_group.score(inputs.test.subset(many), families=ORIENTED, name="test -> train"),
        )
        if options.self_check and inputs.test.num_patients >= FEWEST_TEST_PEOPLE:
            # Enough people to play the innocent in the self-check: one image of each.
            rng = np.random.default_rng([options.seed, 6])
            drawn = rng.permutation(one_per_person(codes, many, rng))
            one_each = np.sort(drawn[: options.local_sample])
            aligned = by_group.score(
                inputs.test.subset(one_each), families=LOCAL, name="test -> train, aligned"
            )
            test = SetScores(
                {**test.rows, **dict.fromkeys(LOCAL, one_each)}, {**test.rankings, **aligned}
            )
    synthetic = scorer(train, places.own, groups).score(
        inputs.synthetic, depth=_depth(inputs), name="synthetic -> train"
    )
    by_test_patient = None
    if inputs.test is not None:
        by_test_patient = scorer(inputs.test, places.kept)
        synthetic_test = scorer(inputs.test, places.own).score(
            inputs.synthetic, families=ORIENTED, depth=_depth(inputs), name="synthetic -> test"
        )["dihedral"]
    return AllScores(
        people,
        by_group,
        by_patient["dihedral"],
        null,
        synthetic,
        test,
        synthetic_test,
        by_test_patient,
    )


def one_per_person(people: NDArray[np.int32], rows: Integers, rng: np.random.Generator) -> Integers:
    """Draw one of the rows of every person; sorted."""
    shuffled = rng.permutation(rows)
    _, first = np.unique(people[shuffled], return_index=True)
    return np.sort(shuffled[first])


def _depth(inputs: Inputs) -> int:
    """Return how many people must be kept for the equal-size comparison, at most 512.

    The weights of the closed form fall like (1 - n/K)^j; what is cut off weighs less than 1e-6.
    """
    if inputs.test is None:
        return 64
    few, many = sorted((inputs.train.num_patients, inputs.test.num_patients))
    if few == many:
        return 64
    return int(np.clip(np.ceil(np.log(1e-6) / np.log1p(-few / many)), 64, 512))


def _rows(many: Integers, few: Integers) -> dict[Family, Integers]:
    return {family: many if family in ORIENTED else few for family in FAMILIES}
