"""The findings as the lines that a terminal shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likeness._findings.records import Findings


def describe(findings: Findings) -> list[str]:
    """Return the end state of an audit: what was read, the yardsticks, the verdict."""
    lines = [*_read(findings), *_correlations(findings), *_baseline(findings), ""]
    lines += [findings.verdict.code.replace("_", " ")]
    lines += _flags(findings)
    lines += [f"  {reason}" for reason in findings.verdict.reasons]
    return [*lines, *_set_level(findings), *_self_check(findings)]


def _read(findings: Findings) -> list[str]:
    provenance = findings.provenance
    lines = [
        f"likeness {provenance.versions['likeness']}   run {provenance.run_id}   "
        f"engine {provenance.engine} ({provenance.engine_check})"
    ]
    for number, row in enumerate(findings.sets):
        patients = f" of {row.num_patients} patients" if row.num_patients else ""
        lines.append(
            f"{'read' if number == 0 else '':<10} {row.role:<10} {row.num_images} images"
            f"{patients}; files: {row.num_found} found = {row.num_used} used + "
            f"{row.num_left_out} left out"
        )
    return lines


def _correlations(findings: Findings) -> list[str]:
    lines = [f"{'highest r':<20}   mean*   median     99 %      max"]
    for dist in findings.distributions:
        values = (
            dist.mean_correlation_identity,
            dist.median_correlation,
            dist.quantile_99_correlation,
            dist.maximum_correlation,
        )
        shown = "   ".join("   -  " if value is None else f"{value:.4f}" for value in values)
        lines.append(f"  {dist.comparison.replace('->', ' -> '):<18}  {shown}")
    return [*lines, "  * without flips and turns, as in the paper"]


def _baseline(findings: Findings) -> list[str]:
    baseline = findings.baseline
    if baseline.comparison is None:
        return [f"baseline   none: {baseline.reason}"]
    if baseline.comparison == "test->train":
        return [
            f"baseline   {baseline.num_images} held-out images against the training images "
            f"({baseline.num_groups} people; training people are too few)"
        ]
    return [
        f"baseline   {baseline.num_images} training images against other people's "
        f"({baseline.num_groups} people)"
    ]


def _flags(findings: Findings) -> list[str]:
    counts = findings.counts
    if findings.baseline.comparison is None:
        return []
    mistakes = (
        f" (of these at most {counts.expected:.1f} by mistake, on average)"
        if counts.flagged
        else ""
    )
    are = "are copies" if findings.verdict.code == "COPIES_FOUND" else "are listed as copies"
    lines = [
        f"  {counts.flagged} of {counts.synthetic} synthetic images {are}"
        f"{mistakes}; {counts.unusual - counts.flagged} more are unusually close"
    ]
    patients_known = any(row.role == "train" and row.num_patients for row in findings.sets)
    if findings.patients and not patients_known:
        lines.append(
            f"  {counts.patients} of {counts.train} training images affected; whose they are "
            "is not known: give --patient-id"
        )
    elif findings.patients:
        worst = findings.patients[0]
        lines.append(
            f"  {counts.patients} of {counts.train_patients} training patients affected; "
            f"most: {worst.patient_id}, {worst.num_copies} "
            f"{'image' if worst.num_copies == 1 else 'images'}"
        )
    return lines


def _set_level(findings: Findings) -> list[str]:
    test = findings.membership
    if not test.available or test.p_value is None:
        return [f"set level  not available: {test.reason}"]
    limit = (
        "no number of copied patients would be noticed by this"
        if test.fewest_leaked_05 is None
        else f"fewer than {test.fewest_leaked_05} copied patients would not be noticed by this"
    )
    return [
        f"set level  {test.matched_share:.1%} point to training patients, "
        f"{test.expected_share:.1%} expected; p = {test.p_value:.4f} ({limit})"
    ]


def _self_check(findings: Findings) -> list[str]:
    check = findings.self_check
    if not check.run:
        return [f"self-check not run: {check.reason}"]
    lines = []
    if check.negative is not None:
        negative = check.negative
        lines.append(
            f"self-check {negative.num_flagged} of {negative.num_images} real images of other "
            f"people flagged; {'passed' if check.passed else 'FAILED: ' + check.reason}"
        )
    for level in check.levels:
        bound = "-" if level.rate_bound is None else f"{level.rate_bound:.2%}"
        lines.append(
            f"           {level.level}: {level.caught} of {level.planted} planted copies caught "
            f"({level.words}); rate of such copies below {bound}"
        )
    return lines
