"""The pictures behind the worst pairs, saved with the audit.

They are kept in the audit folder so that the report can be rendered again when the images are
elsewhere. They are patients' images: the files are readable by their owner only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from likeness._audit.comparisons import Highest
from likeness._files import atomic_write, make_folder, write_json
from likeness.datasets import ImageSet
from likeness.similarity import (
    apply_transform,
    correlation,
    correlation_mean,
    correlation_per_channel,
)
from likeness.types import Flags, Floats, Image, Integers


def worst_first(highest: Highest, flagged: Flags, count: int) -> Integers:
    """Return the rows of the `count` highest scores, flagged ones first, ties by row."""
    score = np.where(np.isnan(highest.score), -np.inf, highest.score)
    order = np.lexsort((np.arange(len(score)), -score, ~flagged))
    return order[: min(count, int(np.isfinite(score).sum()))]


def pair_of(
    highest: Highest,
    row: int,
    synthetic: ImageSet,
    train: ImageSet,
    channels: tuple[int, ...],
) -> tuple[Image, Image]:
    """Return a synthetic image, turned to lie on its match, and the matched training image."""
    query = synthetic.take([row])[0][list(channels)]
    match = train.take([int(highest.match[row])])[0][list(channels)]
    return np.ascontiguousarray(apply_transform(query, highest.transform_name(row))), match


def describe_pair(
    highest: Highest, row: int, turned: Image, match: Image, train: ImageSet, baseline: Floats
) -> dict[str, Any]:
    """Return the record of one pair, its correlations computed anew from the two images."""
    index = int(highest.match[row])
    score = float(highest.score[row])
    return {
        "image_id": highest.query_ids[row],
        "match_id": train.image_ids[index],
        "patient_id": train.patient_names[train.patient_codes[index]],
        "transform": highest.transform_name(row),
        "correlation": _number(correlation(turned, match)),
        "correlation_mean": _number(correlation_mean(turned, match)),
        "correlation_per_channel": list(correlation_per_channel(turned, match)),
        "score": score,
        "baseline_above": int((baseline >= score).sum()),
        "baseline_size": len(baseline),
    }


def write_evidence(
    folder: Path,
    records: list[dict[str, Any]],
    pairs: list[tuple[Image, Image]],
    matches: list[int],
    train: ImageSet,
    channels: tuple[int, ...],
) -> None:
    """Write `pairs.json` and `pairs.npz`.

    Parameters
    ----------
    records
        One record per pair, worst first, from `describe_pair`.
    pairs
        (synthetic turned, training image), both (C, H, W).
    matches
        Index of the training image of each pair; its adjacent slices are saved too.
    """
    make_folder(folder, private=True)
    columns: dict[str, list[Image]] = {"synthetic": [], "train": [], "previous": [], "next": []}
    has: dict[str, list[bool]] = {"has_previous": [], "has_next": []}
    for record, (turned, match), index in zip(records, pairs, matches, strict=True):
        columns["synthetic"].append(turned)
        columns["train"].append(match)
        record["channels"] = [train.channels[channel] for channel in channels]
        for side, neighbour in zip(("previous", "next"), train.neighbours(index), strict=True):
            there = neighbour is not None
            record[f"{side}_id"] = train.image_ids[neighbour] if neighbour is not None else None
            has[f"has_{side}"].append(there)
            columns[side].append(
                train.take([neighbour])[0][list(channels)]
                if neighbour is not None
                else np.zeros_like(match)
            )
    if pairs:
        arrays = {name: np.stack(images) for name, images in columns.items()}
        arrays.update({name: np.array(values) for name, values in has.items()})
        with atomic_write(folder / "pairs.npz", private=True) as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    write_json(folder / "pairs.json", records, private=True)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
