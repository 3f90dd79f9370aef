"""What holds for the synthetic set as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._audit.checks import MANY_UNKNOWN, MOST_CONTAMINATED, num_unknown
from likeness._findings import EqualSize, Interval, Membership
from likeness.calibration.equal_size import expected_maximum, matched_share
from likeness.calibration.membership import MembershipTest, fewest_leaked, membership_test
from likeness.scores import PatientRanking, fisher
from likeness.types import Flags, Floats

if TYPE_CHECKING:
    from likeness._audit.duplicates import Contamination
    from likeness._audit.inputs import Inputs
    from likeness._audit.options import AuditOptions
    from likeness._audit.scoring import AllScores
    from likeness.datasets import ImageSet

DRAWS: Final = 2_000
INNOCENT: Final = 0.01
"""Where innocent pictures have a p-value this close to 0 or 1, the test says nothing of others."""
UNEVEN: Final = 0.01
"""Training and held-out patients whose numbers of images differ so that chance gives as much in
fewer cases are not exchangeable: whoever has more images comes closer to everything."""
FEWEST_PEOPLE: Final = 3
"""With two people on a side there are too few ways to exchange labels."""


def membership_of(
    inputs: Inputs,
    scores: AllScores,
    contamination: Contamination | None,
    options: AuditOptions,
    innocent_p: float | None,
) -> Membership:
    """Run the membership test of the synthetic images, or say why it cannot be run.

    Parameters
    ----------
    innocent_p
        What the same test says of pictures of held-out people; None if it was not tried.
    """
    reason = why_not(inputs, contamination)
    if not reason and innocent_p is not None and not INNOCENT <= innocent_p <= 1 - INNOCENT:
        where = (
            "to training patients too" if innocent_p < INNOCENT else "away from training patients"
        )
        reason = (
            f"pictures of held-out people, which no generator made, point {where} "
            f"(p = {innocent_p:.2g}): the two groups differ in more than training"
        )
    if reason or scores.synthetic_test is None or contamination is None or inputs.test is None:
        return Membership(available=False, reason=reason)
    train, test = inputs.train, inputs.test
    usable_patients = usable_people(test, contamination)
    found = run_membership(
        scores.synthetic["dihedral"],
        scores.synthetic_test,
        usable_patients,
        scores.people.num_groups,
        strata=strata_of(train, test, scores, options),
        options=options,
    )
    in_train, in_test = found.num_train, found.num_test
    shares = matched_share(
        scores.synthetic["dihedral"].similarity,
        scores.synthetic_test.keep_groups(usable_patients).similarity,
        num_train=in_train,
        num_test=in_test,
    )
    defined = shares[~np.isnan(shares)]
    return Membership(
        available=True,
        reason="",
        num_train_patients=in_train,
        num_test_patients=in_test,
        permutations=found.permutations,
        matched_share=found.share,
        expected_share=found.expected,
        band_low=found.share_band[0],
        band_high=found.share_band[1],
        p_value=found.p,
        delta=found.delta,
        fewest_leaked_05=fewest_leaked(in_train, in_test, 0.05),
        fewest_leaked_01=fewest_leaked(in_train, in_test, 0.01),
        equal_size_share=float(defined.mean()) if len(defined) else None,
    )


def why_not(inputs: Inputs, contamination: Contamination | None) -> str:
    """Return why nothing can be said of the set as a whole; empty where it can."""
    if inputs.test is None or contamination is None:
        return "there is no test set"
    for role, images in (("training", inputs.train), ("test", inputs.test)):
        unknown = num_unknown(images)
        if unknown > MANY_UNKNOWN * len(images):
            return f"the patients of {unknown} of {len(images)} {role} images are not known"
    if contamination.share > MOST_CONTAMINATED:
        return (
            f"{contamination.share:.1%} of the test images are also training images or of training "
            "patients"
        )
    usable = usable_people(inputs.test, contamination)
    if int(usable.sum()) < FEWEST_PEOPLE or inputs.train.num_patients < FEWEST_PEOPLE:
        return (
            f"{int(usable.sum())} held-out and {inputs.train.num_patients} training patients are "
            "too few for any p-value to be small"
        )
    return _why_uneven(inputs.train, inputs.test)


def _why_uneven(train: ImageSet, test: ImageSet) -> str:
    """Return why patients cannot be exchanged, if they have different numbers of images."""
    from scipy.stats import mannwhitneyu

    counts = [np.bincount(images.patient_codes) for images in (train, test)]
    if len(set(counts[0].tolist()) | set(counts[1].tolist())) == 1:
        return ""
    if mannwhitneyu(*counts, method="asymptotic").pvalue >= UNEVEN:
        return ""
    return (
        f"training patients have {counts[0].mean():.3g} images on average, held-out ones "
        f"{counts[1].mean():.3g}: whoever has more images comes closer to everything; give both "
        "alike"
    )


def usable_people(test: ImageSet, contamination: Contamination) -> Flags:
    """Return (K2,) test patients of whom no image is contaminated."""
    usable = np.ones(test.num_patients, dtype=np.bool_)
    usable[test.patient_codes[contamination.images]] = False
    return usable


def innocent_membership(
    inputs: Inputs,
    scores: AllScores,
    contamination: Contamination | None,
    options: AuditOptions,
) -> float | None:
    """Return the p-value of the membership test for real pictures that no generator made.

    A random half of the held-out people play the synthetic set; the other half stays held out.
    None where there are too few.
    """
    if why_not(inputs, contamination) or inputs.test is None or contamination is None:
        return None
    test = inputs.test
    people = np.flatnonzero(usable_people(test, contamination))
    if len(people) < 2 * FEWEST_PEOPLE or scores.test is None:
        return None
    rng = np.random.default_rng([options.seed, 10])
    halves = np.zeros(test.num_patients, dtype=np.bool_)
    halves[rng.permutation(people)[: len(people) // 2]] = True
    rows = scores.test.rows["dihedral"]
    playing = halves[test.patient_codes[rows]]
    staying = usable_people(test, contamination) & ~halves
    others = scores.among_test(inputs, test.patient_codes[rows[playing]], rows[playing])
    return run_membership(
        scores.test.rankings["dihedral"].rows(playing),
        others,
        staying,
        scores.people.num_groups,
        strata=strata_of(inputs.train, test, scores, options),
        options=options,
    ).p


def run_membership(
    in_train: PatientRanking,
    in_test: PatientRanking,
    usable_patients: Flags,
    num_train: int,
    *,
    strata: NDArray[np.int64] | None,
    options: AuditOptions,
) -> MembershipTest:
    """Pool both rankings and test which side the images point to."""
    nearest, contrast = pooled_nearest(in_train, in_test.keep_groups(usable_patients), num_train)
    is_train = np.concatenate(
        [np.ones(num_train, dtype=np.bool_), np.zeros(len(usable_patients), dtype=np.bool_)]
    )
    takes_part = np.concatenate([np.ones(num_train, dtype=np.bool_), usable_patients])
    renamed = np.cumsum(takes_part) - 1
    return membership_test(
        np.where(nearest < 0, -1, renamed[nearest]),
        contrast,
        is_train[takes_part],
        strata=None if strata is None else strata[takes_part],
        permutations=options.permutations,
        seed=options.seed,
    )


def pooled_nearest(
    in_train: PatientRanking, in_test: PatientRanking, num_train: int
) -> tuple[NDArray[np.int64], Floats]:
    """Return the nearest person of both sides together, and by how much it stands out.

    Returns
    -------
    nearest
        (n,) train groups first, then test patients from `num_train`; -1 for none.
    contrast
        (n,).
    """
    first, second = in_train.head(2), in_test.head(2)
    similarity = np.concatenate([first.similarity, second.similarity], axis=1)
    group = np.concatenate(
        [first.group, np.where(second.group < 0, -1, second.group + num_train)], axis=1
    ).astype(np.int64)
    order = np.argsort(np.where(np.isnan(similarity), np.inf, -similarity), axis=1, kind="stable")
    best = np.take_along_axis(similarity, order[:, :2], axis=1)
    z = fisher(best)
    nearest = np.take_along_axis(group, order[:, :1], axis=1)[:, 0]
    contrast: Floats = z[:, 0] - z[:, 1]
    return nearest, contrast


def strata_of(
    train: ImageSet, test: ImageSet, scores: AllScores, options: AuditOptions
) -> NDArray[np.int64] | None:
    """Return the stratum of every train group and test patient, or None for a plain split."""
    if options.strata is None:
        return None
    names: dict[object, int] = {}
    found = np.zeros(scores.people.num_groups + test.num_patients, dtype=np.int64)
    codes = np.concatenate(
        [scores.people.of_images(train), test.patient_codes + scores.people.num_groups]
    )
    for code, name in zip(codes.tolist(), [*train.classes, *test.classes], strict=True):
        found[code] = names.setdefault(name, len(names))
    return found


def equal_size(
    inputs: Inputs, scores: AllScores, contamination: Contamination | None, *, seed: int
) -> EqualSize | None:
    """Compare synthetic -> train with synthetic -> test as if there were equally many people.

    Returns None where there is no usable test set, or no image has a similarity on both sides.
    """
    if why_not(inputs, contamination) or contamination is None or inputs.test is None:
        return None
    assert scores.synthetic_test is not None
    usable_patients = usable_people(inputs.test, contamination)
    num_train = scores.people.num_groups
    train = scores.synthetic["dihedral"].similarity
    test = scores.synthetic_test.keep_groups(usable_patients).similarity
    num_test = int(usable_patients.sum())
    size = min(num_train, num_test)
    defined = ~np.isnan(train[:, 0]) & ~np.isnan(test[:, 0])
    if not defined.any():
        return None
    in_train = expected_maximum(train[defined], size, total=num_train).value
    in_test = expected_maximum(test[defined], size, total=num_test).value
    difference = in_train - in_test
    rng = np.random.default_rng([seed, 9])
    draws = rng.integers(0, len(difference), (DRAWS, len(difference)))
    low, high = np.quantile(difference[draws].mean(axis=1), [0.025, 0.975])
    return EqualSize(
        num_patients=size,
        train_mean=float(in_train.mean()),
        test_mean=float(in_test.mean()),
        difference=Interval(float(difference.mean()), float(low), float(high)),
        train_mean_all=float(train[defined, 0].mean()),
    )
