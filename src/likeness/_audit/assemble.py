"""From comparisons and a decision to `Findings`."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from likeness._audit.comparisons import Highest
from likeness._findings import Copy, Counts, Distribution, MostCopied, PatientLeak, Verdict
from likeness.calibration import Decision
from likeness.datasets import ImageSet
from likeness.types import Floats


def copies_from(records: list[dict[str, Any]]) -> list[Copy]:
    """Turn the records of flagged pairs (see `evidence.describe_pair`) into copies."""
    keys = (
        "image_id",
        "match_id",
        "patient_id",
        "correlation",
        "correlation_mean",
        "transform",
        "score",
        "baseline_above",
        "correlation_per_channel",
    )
    return [Copy(**{key: record[key] for key in keys}) for record in records]


def patients_from(copies: list[Copy]) -> list[PatientLeak]:
    """Gather the copies by patient: most copies first, then the higher score, then the id."""
    groups: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        groups[copy.patient_id].append(copy)
    leaks = [
        PatientLeak(
            patient_id=patient,
            num_copies=len(group),
            best_correlation=max(copy.correlation for copy in group),
            best_score=max(copy.score for copy in group),
            image_ids=[copy.image_id for copy in group],
            match_ids=sorted({copy.match_id for copy in group}),
        )
        for patient, group in groups.items()
    ]
    return sorted(leaks, key=lambda leak: (-leak.num_copies, -leak.best_score, leak.patient_id))


def most_copied_from(copies: list[Copy]) -> list[MostCopied]:
    """Return the training images that more than one flagged image points to."""
    counts = Counter((copy.match_id, copy.patient_id) for copy in copies)
    found = [MostCopied(match, patient, n) for (match, patient), n in counts.items() if n > 1]
    return sorted(found, key=lambda image: (-image.num_copies, image.match_id))


def distribution_of(highest: Highest) -> Distribution:
    """Sum up one comparison; images without a score do not count."""
    defined = highest.rows(~highest.undefined)
    return Distribution(
        comparison=highest.comparison,
        num_images=len(defined.score),
        num_reference_patients=highest.num_reference_patients,
        mean_correlation_identity=_mean(defined.correlation_identity),
        mean_correlation=_mean(defined.correlation),
        mean_correlation_mean=_mean(defined.correlation_mean),
        median_correlation=_quantile(defined.correlation, 0.5),
        quantile_99_correlation=_quantile(defined.correlation, 0.99),
        maximum_correlation=_quantile(defined.correlation, 1.0),
        median_score=_quantile(defined.score, 0.5),
        quantile_99_score=_quantile(defined.score, 0.99),
        maximum_score=_quantile(defined.score, 1.0),
    )


def counts_from(
    train: ImageSet,
    synthetic: ImageSet,
    test: ImageSet | None,
    highest: Highest,
    decision: Decision,
    patients: list[PatientLeak],
) -> Counts:
    """Count everything."""
    return Counts(
        synthetic=len(synthetic),
        train=len(train),
        test=0 if test is None else len(test),
        flagged=int(decision.flagged.sum()),
        expected=round(decision.expected, 6),
        patients=len(patients),
        train_patients=train.num_patients,
        test_patients=0 if test is None else test.num_patients,
        undefined=int(highest.undefined.sum()),
        pairs=highest.pairs,
    )


def verdict_from(
    decision: Decision,
    counts: Counts,
    *,
    test_used: bool,
    obstacles: list[str],
    false_flag_rate: float,
    alterations: str,
) -> Verdict:
    """Put the decision into a sentence that a reader without statistics can repeat.

    Parameters
    ----------
    test_used
        Whether held-out test images are the baseline.
    obstacles
        What forbids a clearance though no copy was found. Copies that were found stand.
    false_flag_rate
        At most this share of the baseline lies above the threshold.
    alterations
        What the comparison sees through, in words.
    """
    if decision.code == "NO_COPY_DETECTED" and obstacles:
        sentence = f"The available data do not allow a statement: {obstacles[0]}"
        return Verdict("INCONCLUSIVE", sentence, [*obstacles, *decision.reasons])
    only = "" if test_used else " This is a statement on copies only: there is no usable test set."
    compared = (
        f"We compared {counts.synthetic} synthetic images with {counts.train} training images "
        f"of {counts.train_patients} patients. "
    )
    others = f"{100 * (1 - false_flag_rate):.4g} % of the real pictures of other people"
    if decision.code == "COPIES_FOUND":
        sentence = f"{compared}{_copies_found(decision, counts, others)}{only}"
    elif decision.code == "NO_COPY_DETECTED":
        sentence = (
            f"{compared}None of them was recognised as a copy.{only} This says nothing about "
            f"alterations beyond {alterations}, about recognising a person by other means, about "
            "the generator itself, or about images outside this set."
        )
    else:
        sentence = (
            "The available data do not allow a statement: "
            f"{decision.reasons[0] if decision.reasons else ''}"
        )
    return Verdict(decision.code, sentence, list(decision.reasons))


def _copies_found(decision: Decision, counts: Counts, others: str) -> str:
    """Say which images are taken for copies: all flagged ones only if chance does not explain them.

    With few people behind the threshold chance can flag many; the near-duplicates stand alone then.
    """
    closer = f"closer to a picture of one training patient than at least {others} do"
    treat = "These images should be treated as pictures of the patients concerned."
    if decision.exceeds_chance:
        return (
            f"{counts.flagged} of them come {closer}; {counts.expected:.1f} would be expected by "
            f"chance alone. {_patients(counts.patients)} affected. {treat}"
        )
    return (
        f"{int(decision.certain.sum())} of them almost equal a picture of one training patient, "
        f"more than any picture of the baseline does. {treat} In all, "
        f"{counts.flagged} come {closer}, where {counts.expected:.1f} would be expected by chance "
        "alone and chance could give as many: look at the pairs."
    )


def _patients(number: int) -> str:
    return "1 training patient is" if number == 1 else f"{number} training patients are"


def _mean(values: Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _quantile(values: Floats, share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
