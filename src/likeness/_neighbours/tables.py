"""The tables: pairs, images, patients. All hold ids of patients: readable by their owner only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import atomic_write
from likeness.types import TRANSFORMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from likeness._neighbours.compared import Compared
    from likeness._neighbours.people import Joined
    from likeness.datasets import ImageSet
    from likeness.types import Floats

FORMAT_NAME: Final = "likeness duplicates"
FORMAT_VERSION: Final = 1


def pairs_table(images: ImageSet, other: ImageSet, compared: Compared) -> Any:  # noqa: ANN401
    """Return one row per pair, equal pixels first, then the most similar.

    ``kind`` is ``equal`` or ``near``; ``same_patient`` is null where a patient is not known;
    ``similarity`` is r_ch at 64 x 64, ``correlation`` and ``correlation_mean`` are at full size in
    the same transform, which lays the first image on the second.
    """
    near = compared.near
    order = np.lexsort((near.reference, near.query, -near.similarity))
    rows: list[tuple[Any, ...]] = [
        ("equal", *_ids(images, other, a, b), 1.0, 1.0, 1.0, "identity")
        for a, b in compared.equal.tolist()
    ]
    rows += [
        (
            "near",
            *_ids(images, other, int(near.query[row]), int(near.reference[row])),
            float(near.similarity[row]),
            _number(near.correlation[row]),
            _number(near.correlation_mean[row]),
            TRANSFORMS[int(near.transform[row])],
        )
        for row in order.tolist()
    ]
    return table(
        [
            ("kind", "string"),
            ("first_id", "string"),
            ("second_id", "string"),
            ("first_patient", "string"),
            ("second_patient", "string"),
            ("same_patient", "bool"),
            ("similarity", "float64"),
            ("correlation", "float64"),
            ("correlation_mean", "float64"),
            ("transform", "string"),
        ],
        rows,
    )


def images_table(
    images: ImageSet,
    other: ImageSet,
    compared: Compared,
    joined: Joined | None,
) -> Any:  # noqa: ANN401
    """Return one row per image of the set: its nearest image of another patient, at full size.

    ``equal_to`` is the first image with the same pixels; ``num_near`` counts the almost equal
    pictures of other patients, each picture once per patient; ``picture`` is null where two sets
    were compared.
    """
    full, near = compared.full, compared.near
    same = images is other
    counts = np.bincount(near.query, minlength=len(images))
    if same:
        counts = counts + np.bincount(near.reference, minlength=len(images))
    # An image that was not compared because the same picture of the same patient was.
    first: dict[tuple[str, str | None], int] = {}
    rows = []
    for row, (image_id, patient, digest) in enumerate(
        zip(images.image_ids, images.patient_ids, images.pixel_hashes, strict=True)
    ):
        nearest = int(full.top.reference_index[row, 0])
        earlier = int(compared.first_equal[row])
        compared_row = first.setdefault((digest, patient), row)
        rows.append(
            (
                image_id,
                patient,
                None if nearest < 0 else other.image_ids[nearest],
                None if nearest < 0 else other.patient_ids[nearest],
                None if nearest < 0 else TRANSFORMS[int(full.top.transform[row, 0])],
                _number(full.top.correlation[row, 0]),
                _number(full.top_mean.correlation_mean[row, 0]),
                _number(full.identity[row]),
                None if earlier == row else images.image_ids[earlier],
                int(counts[compared_row]),
                None if joined is None else int(joined.picture[row]),
                bool(full.undefined_queries[row]),
            )
        )
    return table(
        [
            ("image_id", "string"),
            ("patient_id", "string"),
            ("nearest_id", "string"),
            ("nearest_patient", "string"),
            ("transform", "string"),
            ("correlation", "float64"),
            ("correlation_mean", "float64"),
            ("correlation_identity", "float64"),
            ("equal_to", "string"),
            ("num_near", "int32"),
            ("picture", "int32"),
            ("undefined", "bool"),
        ],
        rows,
    )


def patients_table(
    images: ImageSet, other: ImageSet, compared: Compared, joined: Joined | None
) -> Any:  # noqa: ANN401
    """Return one row per known patient of the set, and the other patient nearest at full size.

    ``person`` numbers those that are taken for one person with another id of the same set, and is
    null for everybody else.
    """
    highest = np.nan_to_num(compared.full.top.correlation[:, 0], nan=-2.0)
    codes = images.patient_codes
    # By patient, then the highest first, then the lower index.
    order = np.lexsort((np.arange(len(images)), -highest, codes))
    best = order[np.unique(codes[order], return_index=True)[1]]
    sizes = np.bincount(codes, minlength=images.num_patients)
    shared = _partners(images, other, compared)
    several = set() if joined is None else {code for group in joined.people for code in group}
    known = {name for name in images.patient_ids if name is not None}
    rows = []
    for code, name in enumerate(images.patient_names):
        if name not in known:
            continue
        row = int(best[code])
        nearest = int(compared.full.top.reference_index[row, 0])
        rows.append(
            (
                name,
                int(sizes[code]),
                int(joined.person[code]) if joined is not None and code in several else None,
                len(shared.get(code, ())),
                None if nearest < 0 else other.patient_ids[nearest],
                images.image_ids[row],
                None if nearest < 0 else other.image_ids[nearest],
                _number(compared.full.top.correlation[row, 0]),
            )
        )
    return table(
        [
            ("patient_id", "string"),
            ("num_images", "int32"),
            ("person", "int32"),
            ("num_near_patients", "int32"),
            ("nearest_patient", "string"),
            ("image_id", "string"),
            ("nearest_id", "string"),
            ("correlation", "float64"),
        ],
        rows,
    )


def table(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> Any:  # noqa: ANN401
    """Return a table of these columns (name, type), from rows."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns])
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)],
        schema=schema,
    )


def write_table(path: Path, content: Any, metadata: Mapping[str, str]) -> None:  # noqa: ANN401
    """Write a table as Parquet, atomically and readable by its owner only."""
    import pyarrow.parquet as pq

    with atomic_write(path, private=True) as stream:
        pq.write_table(content.replace_schema_metadata(dict(metadata)), stream)


def quantiles(values: Floats) -> dict[str, float | int | None]:
    """Return number, mean, median, 95 % and 99 % quantile and maximum; NaN is left out."""
    defined = np.asarray(values, dtype=np.float64)
    defined = defined[~np.isnan(defined)]
    if not len(defined):
        return {
            "images": 0, "mean": None, "median": None, "quantile_95": None, "quantile_99": None,
            "maximum": None,
        }  # fmt: skip
    median, high, higher = (float(np.quantile(defined, share)) for share in (0.5, 0.95, 0.99))
    return {
        "images": len(defined),
        "mean": float(defined.mean()),
        "median": median,
        "quantile_95": high,
        "quantile_99": higher,
        "maximum": float(defined.max()),
    }


def _partners(images: ImageSet, other: ImageSet, compared: Compared) -> dict[int, set[int]]:
    """Return, for each patient of the set, the patients with an equal or almost equal picture."""
    near = compared.near
    found: dict[int, set[int]] = {}
    pairs = np.concatenate([compared.equal, np.stack([near.query, near.reference], axis=1)])
    same = images is other
    for first, second in pairs.tolist():
        a, b = int(images.patient_codes[first]), int(other.patient_codes[second])
        if same and a == b:
            continue
        found.setdefault(a, set()).add(b)
        if same:
            found.setdefault(b, set()).add(a)
    return found


def _ids(images: ImageSet, other: ImageSet, first: int, second: int) -> tuple[Any, ...]:
    a, b = images.patient_ids[first], other.patient_ids[second]
    alike = None if a is None or b is None else a == b
    return images.image_ids[first], other.image_ids[second], a, b, alike


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
