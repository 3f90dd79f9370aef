"""The pairs behind the list, measured again at full size, with their pictures.

They are kept in the audit folder so that the report can be rendered again when the images are
elsewhere. They are patients' images: the files are readable by their owner only.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness._audit.deciding import FamilyNull, Flagged, Judged
from likeness._audit.saved_results import SavedResults
from likeness._audit.tables import transform_of
from likeness._audit.yardstick import Yardstick
from likeness._files import atomic_write, make_folder, write_json
from likeness._progress import Progress
from likeness.datasets import ImageSet
from likeness.scores import Family
from likeness.scores.registration import Pose, align, describe_pose
from likeness.scores.second_stage import second_stage
from likeness.search._threads import count_threads
from likeness.similarity import (
    apply_transform,
    correlation,
    correlation_mean,
    correlation_per_channel,
)
from likeness.types import Floats, Image, Integers, Transform

_READ_AT_ONCE = 256
_TURN_WORDS = {
    "identity": "",
    "flip_h": "mirrored left to right",
    "flip_v": "mirrored top to bottom",
    "rot90": "turned by a quarter to the left",
    "rot180": "turned upside down",
    "rot270": "turned by a quarter to the right",
    "transpose": "mirrored along a diagonal",
    "antitranspose": "mirrored along the other diagonal",
}


@dataclass(frozen=True)
class Pair:
    """A synthetic image and the training image it points to."""

    record: dict[str, Any]
    synthetic: Image
    """Laid on the training image."""
    train: Image
    residual: NDArray[np.float32]
    """(C, H, W) what the training image does not explain, in units of the range of each channel of
    the synthetic image; NaN where a moved image shows nothing."""
    match: int
    """Row of the training image."""


def worst_first(judged: Judged, flagged: Flagged, count: int) -> Integers:
    """Return the rows of at most `count` images: copies first, then unusual ones, each by p."""
    contrast = np.nan_to_num(judged.contrast, nan=-np.inf).max(axis=1)
    order = np.lexsort(
        (np.arange(len(judged.p)), -contrast, judged.p, ~flagged.unusual, ~flagged.copies)
    )
    scored = order[judged.image[order] >= 0]
    return scored[:count]


@dataclass(frozen=True)
class PairMaker:
    """Measures pairs; all share the sets, the null and the yardstick."""

    synthetic: ImageSet
    train: ImageSet
    channels: tuple[int, ...]
    judged: Judged
    flagged: Flagged
    nulls: dict[Family, FamilyNull]
    people: list[str]
    yardstick: Yardstick
    data_range: float | None = None
    """For structural similarity; None for that of the integer type."""

    saved: SavedResults | None = None
    """Where pairs that were measured before are found."""

    def make(self, row: int, *, shown: bool) -> Pair:
        """Measure one pair at full size; its pictures are empty where they are not `shown`."""
        family = self.judged.families[self.judged.best[row]]
        match = int(self.judged.ranking(row).image[row, 0])
        turn: Transform = transform_of(dict(self.judged.rankings), family, row)  # type: ignore[assignment]
        start = _start(self.judged, family, row, match, turn)
        measured, pictures = self._measured(row, match, family, turn, start, shown=shown)
        record = {
            "image_id": self.synthetic.image_ids[row],
            "match_id": self.train.image_ids[match],
            "patient_id": str(self.train.patient_names[self.train.patient_codes[match]]),
            **self._decision(row, family),
            "transform": turn,
            **measured,
            "flagged": bool(self.flagged.copies[row]),
            "unusual": bool(self.flagged.unusual[row]),
        }
        reached = record["correlation"]
        record["baseline_correlation_above"] = (
            None if reached is None else self.yardstick.num_above(float(reached))
        )
        record["baseline_correlation_size"] = len(self.yardstick.correlations)
        return Pair(record, pictures["synthetic"], pictures["train"], pictures["residual"], match)

    def _measured(
        self, row: int, match: int, family: Family, turn: Transform, start: Pose, *, shown: bool
    ) -> tuple[dict[str, Any], dict[str, Image]]:
        """Return the numbers of a pair that only its pixels decide, and its pictures."""
        key = ""
        if self.saved is not None:
            key = self.saved.key("evidence", row, match, family, turn, asdict(start), shown)
            found = self.saved.load(key)
            if found is not None:
                return found
        measured, pictures = self._measure(row, match, family, turn, start)
        if not shown:
            pictures = {name: np.empty((0, 0, 0), image.dtype) for name, image in pictures.items()}
        if self.saved is not None:
            self.saved.save(key, measured, pictures)
        return measured, pictures

    def _measure(
        self, row: int, match: int, family: Family, turn: Transform, start: Pose
    ) -> tuple[dict[str, Any], dict[str, Image]]:
        channels = list(self.channels)
        query = self.synthetic.take([row])[0][channels]
        train = self.train.take([match])[0][channels]
        turned = np.ascontiguousarray(apply_transform(query, turn))
        aligned = align(query, train, start)
        is_moved = family == "registered"
        laid = aligned.warped if is_moved else turned
        measures = second_stage(laid, train, data_range=self.data_range)
        residual = _in_units(measures.fit.residual, laid)
        if is_moved:
            residual[:, ~aligned.overlap] = np.nan
        numbers = {
            "alteration": _alteration(
                family, turn, aligned.pose, self.train.image_shape, inverted=measures.fit.inverted
            ),
            "correlation": _number(correlation(turned, train)),
            "correlation_mean": _number(correlation_mean(turned, train)),
            "correlation_per_channel": [
                None if v is None else _number(v) for v in correlation_per_channel(turned, train)
            ],
            "correlation_registered": _number(aligned.correlation),
            "overlap": float(aligned.overlap.mean()),
            "masked_correlation": measures.masked_correlation,
            "structural_similarity": measures.structural_similarity,
            "mutual_information": measures.mutual_information,
            "residual": measures.fit.relative_residual,
        }
        return numbers, {"synthetic": laid, "train": train, "residual": residual}

    def _decision(self, row: int, family: Family) -> dict[str, Any]:
        ranking = self.judged.ranking(row)
        second = int(ranking.group[row, 1]) if ranking.depth > 1 else -1
        column = int(self.judged.best[row])
        return {
            "family": family,
            "p_value": float(self.judged.p[row]),
            "p_conservative": float(self.judged.conservative[row]),
            "extrapolated": bool(self.judged.extrapolated[row]),
            "q_value": float(self.flagged.q_value[row]),
            "contrast": _number(self.judged.contrast[row, column]),
            "similarity": _number(ranking.similarity[row, 0]),
            "second_patient_id": self.people[second] if second >= 0 else "",
            "second_similarity": _number(ranking.similarity[row, 1]) if second >= 0 else None,
            "baseline_above": int(self.judged.above[row]),
            "baseline_size": len(self.nulls[family].contrast),
        }


def range_of(images: ImageSet) -> float | None:
    """Return the range of the pixels of a set of floats; None for integers, whose type has one."""
    if images.dtype.kind != "f":
        return None
    low, high = np.inf, -np.inf
    for start in range(0, len(images), _READ_AT_ONCE):
        pixels = images.read(start, min(start + _READ_AT_ONCE, len(images)))
        low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
    return high - low if high > low else 1.0


def make_pairs(
    maker: PairMaker, rows: Integers, *, shown: int, threads: int | None, progress: Progress
) -> tuple[list[Pair], list[dict[str, Any]]]:
    """Measure all pairs; keep the pictures of the first `shown`."""
    pairs: list[Pair] = []
    records: list[dict[str, Any]] = []
    with (
        ThreadPoolExecutor(count_threads(threads)) as pool,
        progress.task("evidence", len(rows), unit="pairs") as task,
    ):
        places = range(len(rows))
        for place, pair in zip(
            places,
            pool.map(lambda k: maker.make(int(rows[k]), shown=k < shown), places),
            strict=True,
        ):
            records.append(pair.record)
            if place < shown:
                pairs.append(pair)
            task.advance()
    return pairs, records


def write_evidence(
    folder: Path, pairs: list[Pair], train: ImageSet, channels: tuple[int, ...]
) -> None:
    """Write `pairs.json` and `pairs.npz`, with the slices next to each training image."""
    make_folder(folder, private=True)
    names = ("synthetic", "train", "previous", "next", "residual")
    columns: dict[str, list[Image]] = {name: [] for name in names}
    has: dict[str, list[bool]] = {"has_previous": [], "has_next": []}
    for pair in pairs:
        columns["synthetic"].append(pair.synthetic)
        columns["train"].append(pair.train)
        columns["residual"].append(pair.residual)
        pair.record["channels"] = [train.channels[channel] for channel in channels]
        for side, neighbour in zip(("previous", "next"), train.neighbours(pair.match), strict=True):
            has[f"has_{side}"].append(neighbour is not None)
            if neighbour is None:
                pair.record[f"{side}_id"] = None
                columns[side].append(np.zeros_like(pair.train))
            else:
                pair.record[f"{side}_id"] = train.image_ids[neighbour]
                columns[side].append(train.take([neighbour])[0][list(channels)])
    if pairs:
        arrays = {name: np.stack(images) for name, images in columns.items()}
        arrays.update({name: np.array(values) for name, values in has.items()})
        with atomic_write(folder / "pairs.npz", private=True) as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    write_json(folder / "pairs.json", [pair.record for pair in pairs], private=True)


def _start(judged: Judged, family: Family, row: int, match: int, turn: Transform) -> Pose:
    """Return where the alignment begins: the registered pose where it is of the same pair."""
    registered = judged.rankings["registered"]
    if family == "registered" or (
        registered.depth and int(registered.image[row, 0]) == match and family == "plain"
    ):
        return Pose.from_placement(registered.placement[row, 0])
    return Pose(transform=turn)


def _alteration(
    family: Family, turn: str, pose: Pose, shape: tuple[int, int, int], *, inverted: bool
) -> str:
    if family == "registered":
        return describe_pose(pose, shape[1], shape[2])
    words = ["part of the image"] if family == "tiles" else []
    words += [_TURN_WORDS[turn]] if _TURN_WORDS[turn] else []
    words += ["inverted"] if inverted else []
    return "; ".join(words)


def _in_units(residual: Floats, image: Image) -> NDArray[np.float32]:
    low = image.min(axis=(1, 2), keepdims=True).astype(np.float64)
    spread = image.max(axis=(1, 2), keepdims=True) - low
    return (residual / np.where(spread > 0, spread, 1.0)).astype(np.float32)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
