"""From arrays to the records of `Findings`."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import fields
from typing import Any

import numpy as np

from likeness._audit.comparisons import Highest
from likeness._audit.deciding import Flagged, Judged
from likeness._audit.null import Null
from likeness._audit.scoring import AllScores
from likeness._audit.yardstick import Yardstick
from likeness._findings import (
    AffectedPatients,
    Baseline,
    Copy,
    Counts,
    Distribution,
    MostCopied,
    PatientLeak,
)
from likeness.calibration.affected import affected_patients, density_rank, local_density
from likeness.datasets import ImageSet
from likeness.scores import PatientRanking
from likeness.types import Floats


def copies_from(records: list[dict[str, Any]]) -> list[Copy]:
    """Turn the records of pairs into copies, leaving out those that are not flagged."""
    names = [field.name for field in fields(Copy)]
    return [
        Copy(**{name: record[name] for name in names}) for record in records if record["flagged"]
    ]


def patients_from(
    copies: list[Copy], judged: Judged, flagged: Flagged, scores: AllScores, train: ImageSet
) -> tuple[list[PatientLeak], AffectedPatients]:
    """Gather the copies by person: most copies first, then the smaller p, then the id.

    Patients that are one person give one entry, with their joined names.
    """
    group_of = scores.people.of_images(train)
    found = affected_patients(
        judged.group,
        flagged.copies,
        judged.p,
        np.nan_to_num(judged.contrast, nan=-np.inf).max(axis=1),
        num_patients=scores.people.num_groups,
    )
    p_of = dict(zip(found.patient.tolist(), found.p.tolist(), strict=True))
    ranks = _density_ranks(scores, train)
    names = names_of_people(scores, train)
    row_of = {name: row for row, name in enumerate(train.image_ids)}
    by_person: dict[int, list[Copy]] = defaultdict(list)
    for copy in copies:
        by_person[int(group_of[row_of[copy.match_id]])].append(copy)
    leaks = [
        PatientLeak(
            patient_id=names[code],
            num_copies=len(group),
            best_correlation=max(copy.correlation for copy in group),
            p_value=p_of[code],
            density_rank=None if np.isnan(ranks[code]) else float(ranks[code]),
            image_ids=[copy.image_id for copy in group],
            match_ids=sorted({copy.match_id for copy in group}),
        )
        for code, group in by_person.items()
    ]
    leaks.sort(key=lambda leak: (-leak.num_copies, leak.p_value, leak.patient_id))
    affected = AffectedPatients(
        seen=len(leaks),
        singletons=found.num_once,
        doubletons=found.num_twice,
        chao1=float(found.at_least),
        next_new=float(found.next_is_new),
    )
    return leaks, affected


def names_of_people(scores: AllScores, train: ImageSet) -> list[str]:
    """Return the name of every group: that of its patients, joined where there are several."""
    names: list[list[str]] = [[] for _ in range(scores.people.num_groups)]
    for code, group in enumerate(scores.people.group_of_patient.tolist()):
        names[group].append(str(train.patient_names[code]))
    return [" = ".join(group) for group in names]


def nobody_affected() -> AffectedPatients:
    """Return the record for an audit without a list."""
    return AffectedPatients(seen=0, singletons=0, doubletons=0, chao1=0.0, next_new=0.0)


def _density_ranks(scores: AllScores, train: ImageSet) -> Floats:
    """Return (K,) 0 for who looks like fewest others, 1 for the opposite; NaN if unknown."""
    ranking, rows = scores.null.rankings["dihedral"], scores.null.rows["dihedral"]
    people = scores.people.num_groups
    density = local_density(
        ranking.similarity,
        ranking.group,
        scores.people.of_images(train)[rows],
        num_patients=people,
    )
    ranks: Floats = (density_rank(density) - 1) / max(people - 1, 1)
    ranks[np.isnan(density)] = np.nan
    return ranks


def most_copied_from(copies: list[Copy]) -> list[MostCopied]:
    """Return the training images that more than one copy points to."""
    counts = Counter((copy.match_id, copy.patient_id) for copy in copies)
    found = [MostCopied(match, patient, n) for (match, patient), n in counts.items() if n > 1]
    return sorted(found, key=lambda image: (-image.num_copies, image.match_id))


def distribution_of(highest: Highest, ranking: PatientRanking) -> Distribution:
    """Sum up one comparison; images without a correlation do not count.

    Parameters
    ----------
    ranking
        Dihedral family, of the same images or of more of them.
    """
    defined = highest.rows(~highest.undefined)
    score = ranking.similarity[:, :1].ravel()
    score = score[~np.isnan(score)]
    return Distribution(
        comparison=highest.comparison,
        num_images=len(defined.correlation),
        num_reference_patients=highest.num_reference_patients,
        mean_correlation_identity=_mean(defined.correlation_identity),
        mean_correlation=_mean(defined.correlation),
        mean_correlation_mean=_mean(defined.correlation_mean),
        median_correlation=_quantile(defined.correlation, 0.5),
        quantile_99_correlation=_quantile(defined.correlation, 0.99),
        maximum_correlation=_quantile(defined.correlation, 1.0),
        median_score=_quantile(score, 0.5),
        quantile_99_score=_quantile(score, 0.99),
        maximum_score=_quantile(score, 1.0),
    )


def baseline_from(
    scores: AllScores,
    null: Null,
    yardstick: Yardstick,
    train: ImageSet,
    test: ImageSet | None,
    *,
    fdr: float,
    fdr_gate: float,
    why_none: str,
) -> Baseline:
    """Describe what the p-values rest on."""
    images = test if null.comparison == "test->train" and test is not None else train
    return Baseline(
        comparison=null.comparison,
        reason=_what_it_is(null, scores.people.num_groups) if null.families else why_none,
        num_images=null.num_images,
        num_patients=len(np.unique(images.patient_codes[null.images])),
        num_groups=null.num_people,
        families=[each.describe(family) for family, each in null.families.items()],
        yardstick=yardstick.comparison,
        median=yardstick.quantile(0.5),
        quantile_99=yardstick.quantile(0.99),
        maximum=yardstick.quantile(1.0),
        fdr_copy=fdr,
        fdr_gate=fdr_gate,
    )


def _what_it_is(null: Null, num_people: int) -> str:
    if null.comparison == "test->train":
        return (
            f"{num_people} training people are too few to say what chance reaches, so images of "
            f"{null.num_people} held-out people, half of them all, against every training image; "
            "whether they are like the training people is not tested"
        )
    if null.images.all():
        return "every training image against the images of other people"
    return (
        f"{null.num_images} training images, spread over patients, against the images of other "
        "people"
    )


def counts_from(
    train: ImageSet,
    synthetic: ImageSet,
    test: ImageSet | None,
    highest: Highest,
    flagged: Flagged,
    *,
    num_patients: int,
    num_undefined: int,
    fdr: float,
) -> Counts:
    """Count everything."""
    copies = int(flagged.copies.sum())
    return Counts(
        synthetic=len(synthetic),
        train=len(train),
        test=0 if test is None else len(test),
        flagged=copies,
        unusual=int(flagged.unusual.sum()),
        expected=round(fdr * copies, 6),
        patients=num_patients,
        train_patients=train.num_patients,
        test_patients=0 if test is None else test.num_patients,
        undefined=num_undefined,
        pairs=highest.pairs,
    )


def _mean(values: Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _quantile(values: Floats, share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
