"""What a reader of an evaluation must be warned of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from likeness.metrics.evaluation import Measurement
    from likeness.metrics.plan import Plan

_FEW_PATIENTS: Final = 10


def cautions(
    plan: Plan, sizes: list[tuple[str, int]], measurements: list[Measurement]
) -> list[str]:
    """Return a sentence for each.

    Parameters
    ----------
    sizes
        Name and number of features of each extractor.
    """
    sets = plan.sets
    said: list[str] = []
    for name, width in sizes:
        fewest = min(len(sets.real), *(len(rows) for _, rows in plan.rows.values()))
        if fewest <= width:
            said.append(
                f"{fewest:,} images for {width:,} features ({name}): the covariance is singular "
                "and the Fréchet distance too large, the more so the fewer the images. Compare it "
                "with nothing but distances of equally many images; the kernel distance has no "
                "such bias."
            )
    if sets.test is None:
        said.append(
            "No held-out images were given (--test): what a perfect generator would reach is not "
            "known, and the numbers say little by themselves."
        )
    else:
        if "synthetic_matched" in plan.rows:
            said.append(
                f"There are fewer held-out images than synthetic ones: compare the baseline with "
                f"the line of {len(plan.rows['test'][1]):,} synthetic images."
            )
        known = {patient for patient in sets.real.patient_ids if patient is not None}
        shared = known & set(sets.test.patient_ids)
        if shared:
            said.append(
                f"{len(shared):,} patients are in the real and in the held-out images: the "
                "baseline is too good."
            )
    for role, images in sets.items():
        if role == "synthetic":
            continue
        if not images.has_patient_ids:
            said.append(
                f"The patients of the {role} images are not known: each image counts as one, and "
                "intervals are too narrow if there are several of a patient."
            )
        elif images.num_patients < _FEW_PATIENTS:
            said.append(
                f"There are only {images.num_patients} patients in the {role} images: intervals "
                "are too narrow."
            )
    notes = {one.note for one in measurements if one.note is not None}
    return said + sorted(f"Note: {note}." for note in notes)
