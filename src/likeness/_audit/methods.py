"""The audit in words: the methods paragraph and how to cite it."""

from __future__ import annotations

from likeness._findings import Baseline, Counts, Distribution
from likeness.types import TRANSFORMS, Transform

PAPER = (
    "Akbar MU, Wang W, Eklund A. Beware of diffusion models for synthesizing medical images - a "
    "comparison with GANs in terms of memorizing brain MRI and chest x-ray images. Machine "
    "Learning: Science and Technology 6, 015022 (2025)."
)


def methods_paragraph(
    *,
    version: str,
    counts: Counts,
    shape: tuple[int, ...],
    channels: list[str],
    transforms: tuple[Transform, ...],
    baseline: Baseline,
    distributions: list[Distribution],
    engine: str,
    grid: int,
) -> str:
    """Return the methods paragraph with the numbers of this run."""
    size = f"{shape[1]} x {shape[2]}"
    text = [
        f"Each of {counts.synthetic} synthetic images was compared with each of {counts.train} "
        f"training images of {counts.train_patients} patients ({len(channels)} "
        f"{'channel' if len(channels) == 1 else 'channels'} of {size} pixels), "
        f"{orientations(transforms)}, by exact search (Likeness {version}, {engine}).",
        "Similarity is Pearson's correlation, over all pixels and channels as one vector (r_cat) "
        "and as the mean over channels (r_ch).",
        f"The decision score of an image is its highest r_ch at {grid} x {grid} block means.",
    ]
    if baseline.threshold is not None and baseline.threshold_source == "baseline":
        text.append(
            f"The threshold {baseline.threshold:.4f} is the conformal quantile of the same score "
            f"of {baseline.num_images} baseline images of {baseline.num_patients} patients "
            f"({baseline.reason}) for a false-flag rate of {baseline.false_flag_rate:g}."
        )
    elif baseline.threshold is not None:
        text.append(f"The threshold {baseline.threshold:.4f} was set by hand and not calibrated.")
    means = [
        f"{row.comparison.replace('->', ' -> ')} {row.mean_correlation_identity:.4f}"
        for row in distributions
        if row.mean_correlation_identity is not None
    ]
    if means:
        text.append(
            f"Mean highest r_cat without flips and turns (the number of the paper below): "
            f"{'; '.join(means)}. Comparisons with different numbers of patients do not compare."
        )
    text.append(
        "There is no threshold, so no image could be flagged."
        if baseline.threshold is None
        else f"{counts.flagged} images were flagged, where {counts.expected:.1f} were expected by "
        "chance."
    )
    return " ".join(text)


def orientations(transforms: tuple[Transform, ...]) -> str:
    """Say in which orientations the synthetic images were compared."""
    if len(transforms) == len(TRANSFORMS):
        return "in eight orientations (flips and quarter turns)"
    if len(transforms) > 1:
        return (
            f"in {len(transforms)} orientations (flips and half turns: quarter turns do not fit "
            "pictures that are not square)"
        )
    return "as they are, not flipped or turned"


def seen_alterations(transforms: tuple[Transform, ...]) -> str:
    """Return which alterations of a copy the comparison sees through."""
    if len(transforms) == len(TRANSFORMS):
        return "noise, intensity, flips and quarter turns"
    return (
        "noise, intensity, flips and half turns" if len(transforms) > 1 else "noise and intensity"
    )


def citation_document(methods: str, version: str) -> str:
    """Return the text of `CITATION.md`."""
    return (
        "# How to describe and cite this audit\n\n"
        "## Methods\n\n"
        f"{methods}\n\n"
        "## Cite\n\n"
        f"- Software: Likeness {version} (Apache-2.0).\n"
        f"- Method and motivation: {PAPER}\n"
    )
