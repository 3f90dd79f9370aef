"""The audit in words: the methods paragraph and how to cite it."""

from __future__ import annotations

from likeness._findings import Baseline, Counts, Distribution, Membership, SelfCheck
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
    self_check: SelfCheck,
    membership: Membership,
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
    ]
    text += _decision(counts, baseline, grid)
    text += _checks(self_check, membership)
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
    return " ".join(text)


def _decision(counts: Counts, baseline: Baseline, grid: int) -> list[str]:
    if baseline.comparison is None:
        return [f"There is no baseline ({baseline.reason}), so no image could be judged."]
    names = ", ".join(row.family for row in baseline.families)
    whose, alone = "training", " without their own person"
    if baseline.comparison == "test->train":
        whose, alone = "held-out", ""
    return [
        "An image was judged by its contrast between patients, artanh r(1) - artanh r(2), with the "
        f"nearest and the second nearest person, in {len(baseline.families)} families ({names}): "
        f"r_ch of {grid} x {grid} block means as they are, over flips and quarter turns, r of "
        "slopes after registration, and r of the best part.",
        f"P-values come from {baseline.num_images} {whose} images of {baseline.num_groups} people "
        f"that went through the same search{alone}, with a generalised Pareto "
        "tail; they were multiplied by the number of families (Bonferroni) and listed by "
        f"Benjamini-Hochberg at a false discovery rate of {baseline.fdr_copy:g}: "
        f"{counts.flagged} images; at {baseline.fdr_gate:g}: {counts.unusual}.",
    ]


def _checks(check: SelfCheck, membership: Membership) -> list[str]:
    text = []
    if check.run:
        levels = "; ".join(f"{row.level} {row.caught} of {row.planted}" for row in check.levels)
        text.append(f"Planted copies caught as the only copy in the set: {levels}.")
    if check.negative is not None:
        text.append(
            f"Of {check.negative.num_images} real pictures of other people, judged alike, "
            f"{check.negative.num_flagged} were listed."
        )
    if membership.available and membership.p_value is not None:
        text.append(
            f"A permutation test of patient labels ({membership.permutations} permutations, "
            f"{membership.num_train_patients} training and {membership.num_test_patients} held-out "
            f"patients) on the contrast-weighted share of images nearest to training patients gave "
            f"p = {membership.p_value:.4f} (delta {membership.delta:.2f})."
        )
    return text


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
