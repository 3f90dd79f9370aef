"""The Parquet tables of an audit folder; see design/0002-decisions.md for the columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from likeness._audit.comparisons import Highest
from likeness._audit.deciding import Flagged, Judged
from likeness._audit.null import Null
from likeness._audit.scoring import SetScores
from likeness._files import atomic_write
from likeness._findings import Comparison, PatientLeak
from likeness.datasets import ImageSet
from likeness.scores import FAMILIES, Family, PatientRanking
from likeness.types import TRANSFORMS, Flags, Floats

FORMAT_VERSION = 2
POSE = ("angle", "zoom", "shift_down", "shift_right", "sign")


def images_table(
    highest: Highest,
    rankings: dict[Family, PatientRanking],
    judged: Judged | None,
    flagged: Flagged,
    people: list[str],
    train: ImageSet,
) -> pa.Table:
    """Return one row per synthetic image.

    Parameters
    ----------
    judged
        None where there is no baseline.
    people
        Name of every group of training patients.
    """
    count = len(highest.query_ids)
    columns: dict[str, Any] = {
        "image_id": pa.array(highest.query_ids, pa.string()),
        **_correlations(highest),
    }
    deciding = None if judged is None else [judged.families[column] for column in judged.best]
    chosen = rankings["dihedral"] if judged is None else None
    image = judged.image if judged is not None else _first(chosen, "image", count)
    columns["match_id"] = _names([train.image_ids[i] if i >= 0 else None for i in image])
    columns["patient_id"] = _names(
        [str(train.patient_names[train.patient_codes[i]]) if i >= 0 else None for i in image]
    )
    columns["transform"] = _names(
        [
            transform_of(rankings, deciding[row] if deciding else "dihedral", row)
            if image[row] >= 0
            else None
            for row in range(count)
        ]
    )
    for number, family in enumerate(FAMILIES):
        ranking = rankings[family]
        columns[f"similarity_{family}"] = _floats(_top(ranking))
        columns[f"contrast_{family}"] = _floats(ranking.contrast())
        columns[f"p_{family}"] = _floats(
            np.full(count, np.nan) if judged is None else judged.p_family[:, number]
        )
        columns[f"patient_{family}"] = _names(
            [people[g] if g >= 0 else None for g in _first(ranking, "group", count)]
        )
    pose = rankings["registered"].placement
    for number, name in enumerate(POSE):
        there = pose.shape[1] > 0
        values = pose[:, 0, number].astype(np.float64) if there else np.full(count, np.nan)
        columns[name] = _floats(np.where(np.isnan(_top(rankings["registered"])), np.nan, values))
    nothing = np.full(count, np.nan)
    columns["family"] = _names(deciding or [None] * count)
    columns["p_value"] = _floats(nothing if judged is None else judged.p)
    columns["p_conservative"] = _floats(nothing if judged is None else judged.conservative)
    columns["extrapolated"] = pa.array(
        np.zeros(count, dtype=np.bool_) if judged is None else judged.extrapolated
    )
    columns["q_value"] = _floats(flagged.q_value)
    columns["flagged"] = pa.array(flagged.copies)
    columns["unusual"] = pa.array(flagged.unusual)
    columns["undefined"] = pa.array(np.asarray(image) < 0)
    return pa.table(columns)


def transform_of(rankings: dict[Family, PatientRanking], family: Family, row: int) -> str:
    """Return the flip or quarter turn with which a family lays a query on its best image."""
    if family == "dihedral":
        return TRANSFORMS[int(rankings[family].placement[row, 0, 0])]
    if family == "registered":
        return TRANSFORMS[int(rankings[family].placement[row, 0, 5])]
    return "identity"


def baseline_table(
    parts: list[tuple[Comparison, ImageSet, SetScores | None, Highest | None, Flags]], null: Null
) -> pa.Table:
    """Return one row per image of every comparison but synthetic -> train.

    Parameters
    ----------
    parts
        (comparison, queries, scores of some of them, full-size correlations of some of them,
        (n,) left out of what decides) for each comparison.
    null
        What the p-values are held against.
    """
    tables = [_baseline_part(*part, null) for part in parts]
    return pa.concat_tables(tables) if tables else pa.table({"comparison": pa.array([], "string")})


def _baseline_part(
    comparison: Comparison,
    queries: ImageSet,
    scores: SetScores | None,
    highest: Highest | None,
    left_out: Flags,
    null: Null,
) -> pa.Table:
    count = len(queries)
    seen = np.zeros(count, dtype=np.bool_)
    columns: dict[str, Any] = {}
    by_id = {name: row for row, name in enumerate(queries.image_ids)}
    for name in ("correlation", "correlation_identity", "correlation_mean"):
        values = np.full(count, np.nan)
        if highest is not None:
            rows = np.array([by_id[image] for image in highest.query_ids])
            values[rows] = getattr(highest, name)
            seen[rows] = True
        columns[name] = values
    for family in FAMILIES:
        similarity, contrast = np.full(count, np.nan), np.full(count, np.nan)
        if scores is not None and family in scores.rankings:
            rows = scores.rows[family]
            similarity[rows] = _top(scores.rankings[family])
            contrast[rows] = scores.rankings[family].contrast()
            seen[rows] = True
        columns[f"similarity_{family}"] = similarity
        columns[f"contrast_{family}"] = contrast
    kept = np.flatnonzero(seen)
    in_null = null.images if comparison == null.comparison else np.zeros(count, dtype=np.bool_)
    names = [str(queries.patient_names[code]) for code in queries.patient_codes[kept]]
    return pa.table(
        {
            "comparison": pa.array([comparison] * len(kept), pa.string()),
            "image_id": pa.array([queries.image_ids[row] for row in kept], pa.string()),
            "patient": pa.array(names, pa.string()),
            **{name: _floats(values[kept]) for name, values in columns.items()},
            "left_out": pa.array(left_out[kept]),
            "in_null": pa.array(in_null[kept]),
        }
    )


def patients_table(patients: list[PatientLeak]) -> pa.Table:
    """Return one row per training patient with an image listed as a copy."""
    return pa.table(
        {
            "patient_id": pa.array([p.patient_id for p in patients], pa.string()),
            "num_copies": pa.array([p.num_copies for p in patients], pa.int64()),
            "best_correlation": pa.array([p.best_correlation for p in patients], pa.float64()),
            "p_value": pa.array([p.p_value for p in patients], pa.float64()),
            "density_rank": pa.array([p.density_rank for p in patients], pa.float64()),
            "image_ids": pa.array([p.image_ids for p in patients], pa.list_(pa.string())),
            "match_ids": pa.array([p.match_ids for p in patients], pa.list_(pa.string())),
        }
    )


def write_table(path: Path, table: pa.Table, **metadata: str) -> None:
    """Write Parquet atomically, with the format version in its metadata."""
    notes = {"likeness_format_version": str(FORMAT_VERSION), **metadata}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **notes})
    with atomic_write(path, private=True) as stream:
        pq.write_table(table, stream)


def _correlations(highest: Highest) -> dict[str, Any]:
    return {
        name: _floats(getattr(highest, name))
        for name in ("correlation", "correlation_identity", "correlation_mean")
    }


def _top(ranking: PatientRanking) -> Floats:
    return ranking.similarity[:, 0] if ranking.depth else np.full(len(ranking), np.nan)


def _first(ranking: PatientRanking | None, field: str, count: int) -> Any:  # noqa: ANN401
    if ranking is None or not ranking.depth:
        return np.full(count, -1)
    return getattr(ranking, field)[:, 0]


def _names(values: Any) -> Any:  # noqa: ANN401 - a pyarrow array
    return pa.array(values, pa.string())


def _floats(values: Floats) -> Any:  # noqa: ANN401 - a pyarrow array
    return pa.array(values, pa.float64(), from_pandas=True)  # NaN becomes null
