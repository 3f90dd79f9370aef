"""The tables of an audit: one row per image, per pair, per patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from likeness._audit.comparisons import Highest
from likeness._files import atomic_write
from likeness._findings import PatientLeak
from likeness.datasets import ImageSet
from likeness.types import Flags, Floats

FORMAT_VERSION = 1


def images_table(highest: Highest, flagged: Flags, train: ImageSet) -> pa.Table:
    """Return one row per synthetic image."""
    return _per_image(highest, flagged, train)


def baseline_table(parts: list[tuple[Highest, Flags, ImageSet]]) -> pa.Table:
    """Return one row per query image of every other comparison.

    Parameters
    ----------
    parts
        (highest, left out of the baseline, references) per comparison.
    """
    tables = []
    for highest, left_out, references in parts:
        table = _per_image(highest, np.zeros(len(left_out), dtype=bool), references)
        names = pa.array([highest.comparison] * len(table), pa.string())
        table = table.add_column(0, "comparison", names)
        tables.append(table.append_column("left_out", pa.array(left_out)))
    return pa.concat_tables(tables) if tables else pa.table({"comparison": pa.array([], "string")})


def patients_table(patients: list[PatientLeak]) -> pa.Table:
    """Return one row per training patient with a flagged image."""
    return pa.table(
        {
            "patient_id": pa.array([p.patient_id for p in patients], pa.string()),
            "num_copies": pa.array([p.num_copies for p in patients], pa.int64()),
            "best_correlation": pa.array([p.best_correlation for p in patients], pa.float64()),
            "best_score": pa.array([p.best_score for p in patients], pa.float64()),
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


def _per_image(highest: Highest, flagged: Flags, references: ImageSet) -> pa.Table:
    rows = range(len(highest.query_ids))
    there = highest.match >= 0
    return pa.table(
        {
            "image_id": pa.array(highest.query_ids, pa.string()),
            "correlation": _floats(highest.correlation),
            "correlation_identity": _floats(highest.correlation_identity),
            "correlation_mean": _floats(highest.correlation_mean),
            "score": _floats(highest.score),
            "match_id": pa.array(
                [references.image_ids[highest.match[i]] if there[i] else None for i in rows],
                pa.string(),
            ),
            "patient_id": pa.array(
                [_patient(references, int(highest.match[i])) if there[i] else None for i in rows],
                pa.string(),
            ),
            "transform": pa.array(
                [highest.transform_name(i) if there[i] else None for i in rows], pa.string()
            ),
            "flagged": pa.array(flagged),
            "undefined": pa.array(highest.undefined),
        }
    )


def _patient(references: ImageSet, index: int) -> str:
    return str(references.patient_names[references.patient_codes[index]])


def _floats(values: Floats) -> Any:  # noqa: ANN401 - a pyarrow array
    return pa.array(values, pa.float64(), from_pandas=True)  # NaN becomes null
