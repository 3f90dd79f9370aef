"""What must hold before anything may be shown of a set: reasons against it, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._release.policy import ReleasePolicy

if TYPE_CHECKING:
    from likeness._findings import Findings
    from likeness._release.audit_folder import AuditContent
    from likeness._release.reviews import Review
    from likeness._release.sets import Sets
    from likeness.datasets import ImageSet

MANY_UNKNOWN: Final = 0.05
"""Share of training images without a patient above which "another patient" means nothing."""

_COVERED: Final = ("Every file used", "Test set")
"""Checks of the audit for which the policy has rules of its own."""


def unmet(audit: AuditContent, sets: Sets, policy: ReleasePolicy, review: Review) -> list[str]:
    """Return why nothing can be shown; empty if all requirements are met."""
    findings = audit.findings
    return [
        *_complete(audit, sets, policy),
        *_training_files(findings, policy),
        *_people(findings, sets, policy),
        *_channels(findings, sets),
        *_baseline(audit, policy),
        *_checks(findings, policy),
        *_approval(policy, review),
        *_verdict(findings, policy),
    ]


def compared_channels(findings: Findings, images: ImageSet) -> tuple[str, ...]:
    """Return the channels that the audit compared: those named, or all but annotations.

    Parameters
    ----------
    images
        The training set, whose annotations count.
    """
    named = findings.provenance.settings.get("channels")
    if named:
        wanted = named.split(",") if isinstance(named, str) else list(named)
        return tuple(name for name in images.channels if name in wanted)
    kept = tuple(name for name in images.channels if name not in images.annotation_channels)
    return kept or images.channels


def _complete(audit: AuditContent, sets: Sets, policy: ReleasePolicy) -> Iterator[str]:
    findings, images = audit.findings, audit.images
    counts = findings.counts
    told = {
        "synthetic images": (counts.synthetic, len(images)),
        "flagged images": (counts.flagged, int(np.count_nonzero(images.flagged))),
        "unusual images": (counts.unusual, int(np.count_nonzero(images.unusual))),
        "images without a score": (counts.undefined, int(np.count_nonzero(images.undefined))),
        "training images": (counts.train, len(sets.train)),
    }
    for what, (said, counted) in told.items():
        if said != counted:
            yield f"The findings speak of {said} {what}, the tables of {counted}: run it again."
    if sorted(images.image_ids) != sorted(sets.synthetic.image_ids):
        yield "The table of images and the synthetic set do not hold the same images."
    for row in findings.sets:
        if row.num_found != row.num_used + row.num_left_out:
            yield (
                f"The account of the {row.role} files does not add up: {row.num_found} found, "
                f"{row.num_used} used, {row.num_left_out} left out."
            )
    if not policy.complete_search:
        return
    search = [check for check in findings.checks if check.name == "Complete search"]
    if not search or any(check.status != "PASS" for check in search) or counts.pairs <= 0:
        yield "The audit does not say that every pair of images was compared."


def _training_files(findings: Findings, policy: ReleasePolicy) -> Iterator[str]:
    skipped = sum(row.num_skipped for row in findings.sets if row.role == "train")
    if skipped > policy.max_skipped_train:
        yield (
            f"{skipped} training files could not be read, so copies of them cannot be found (the "
            f"policy allows {policy.max_skipped_train}). Mend or remove them and run the audit "
            "again."
        )


def _people(findings: Findings, sets: Sets, policy: ReleasePolicy) -> Iterator[str]:
    unknown = sum(patient is None for patient in sets.train.patient_ids)
    if unknown > MANY_UNKNOWN * len(sets.train):
        yield (
            f"The patients of {unknown} of {len(sets.train)} training images are not known, so "
            "nobody can say what images of other people reach. Give --patient-id to the audit."
        )
    if not policy.patient_disjoint:
        return
    if sets.test is not None:
        shared = {*sets.train.patient_ids} & {*sets.test.patient_ids} - {None}
        if shared:
            yield (
                f"{len(shared)} patients are in the training and in the test set. Correct the "
                "split and run the audit again."
            )
        equal = {*sets.train.pixel_hashes} & {*sets.test.pixel_hashes}
        if equal and not shared:
            yield (
                f"{len(equal)} images are in the training and in the test set, so the same people "
                "are. Take them out of one and run the audit again."
            )


def _channels(findings: Findings, sets: Sets) -> Iterator[str]:
    allowed = {*compared_channels(findings, sets.train), *sets.train.annotation_channels}
    missing = [name for name in sets.synthetic.channels if name not in allowed]
    if missing:
        yield (
            f"The channels {', '.join(missing)} are in the synthetic set but were not compared "
            "with the training images. Audit all channels, or prepare a set without them."
        )


def _baseline(audit: AuditContent, policy: ReleasePolicy) -> Iterator[str]:
    baseline = audit.findings.baseline
    if baseline.comparison is None:
        yield f"The audit has no baseline, so nothing could be judged: {baseline.reason}"
        return
    fewest = min(baseline.num_images, len(audit.null))
    if fewest < policy.min_baseline_images:
        yield (
            f"The baseline has {fewest} real images; the policy asks for "
            f"{policy.min_baseline_images}."
        )
    if not np.isfinite(audit.null.similarity["registered"]).any():
        yield "No baseline image was compared after registration; run the audit again."


def _checks(findings: Findings, policy: ReleasePolicy) -> Iterator[str]:
    check = findings.self_check
    if policy.self_check and not check.run:
        yield f"The audit ran no self-check: {check.reason or 'no reason is given'}"
    elif policy.self_check and not check.passed:
        yield f"The self-check of the audit failed: {check.reason or 'no reason is given'}"
    for row in findings.checks:
        if row.status == "FAIL" and row.name not in _COVERED:
            yield f"A check of the audit failed: {row.name}: {row.detail}. {row.action}".rstrip()


def _approval(policy: ReleasePolicy, review: Review) -> Iterator[str]:
    missing = sorted(set(policy.approvers) - set(review.approved_by))
    if missing:
        yield (
            f"The policy asks for the approval of {', '.join(missing)}; the review file does not "
            "have it (approved_by)."
        )


def _verdict(findings: Findings, policy: ReleasePolicy) -> Iterator[str]:
    if policy.conclusive and findings.verdict.code == "INCONCLUSIVE":
        why = " ".join(findings.verdict.reasons) or findings.verdict.sentence
        yield f"The verdict of the audit is INCONCLUSIVE: {why}"
