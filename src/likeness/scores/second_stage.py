"""A closer look at a few pairs: several measures at full size, none of which decides anything.

They are too slow for all pairs and need no null: a person reads them beside the two pictures. Where
the copy was shifted or turned, pass the query as registration laid it on the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from likeness.errors import InputError, OptionError
from likeness.similarity.high_pass import high_pass_correlation
from likeness.similarity.information import normalized_mutual_information
from likeness.similarity.masked import foreground, masked_correlation
from likeness.similarity.residual import IntensityFit, intensity_fit
from likeness.similarity.structural import structural_similarity
from likeness.types import Floats, Images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.types import Image

Encoder: TypeAlias = Callable[[Images], Floats]
"""Images (n, C, H, W) to features (n, d). See the warning at `second_stage`."""

Measure = Literal[
    "structural_similarity",
    "mutual_information",
    "masked_correlation",
    "high_pass_correlation",
    "relative_residual",
    "learned",
]
Row: TypeAlias = dict[str, float | int | bool | None]


@dataclass(frozen=True)
class SecondStage:
    """What the measures say of one pair; None where one is not defined for it."""

    structural_similarity: float
    """In [-1, 1]."""
    mutual_information: float | None
    """Normalised, in [1, 2]."""
    masked_correlation: float | None
    """r over the foreground of the query, in [-1, 1]."""
    foreground_share: float
    """Part of the picture over which the two above it are taken, in (0, 1]."""
    high_pass_correlation: float | None
    """r of the fine structure, in [-1, 1]."""
    fit: IntensityFit
    """Gain and offset per channel, the residual map, its relative size, and whether inverted."""
    learned: float | None
    """Cosine of the features of the caller's encoder, in [-1, 1]; None without one."""

    def row(self) -> Row:
        """Return the measures as numbers for a table; gains and offsets per channel."""
        row: Row = {
            "structural_similarity": self.structural_similarity,
            "mutual_information": self.mutual_information,
            "masked_correlation": self.masked_correlation,
            "foreground_share": self.foreground_share,
            "high_pass_correlation": self.high_pass_correlation,
            "relative_residual": self.fit.relative_residual,
            "inverted": self.fit.inverted,
            "learned": self.learned,
        }
        for channel, (gain, offset) in enumerate(zip(self.fit.gain, self.fit.offset, strict=True)):
            row[f"gain_{channel}"] = gain
            row[f"offset_{channel}"] = offset
        return row


def second_stage(
    query: Image,
    reference: Image,
    *,
    data_range: float | None = None,
    encoder: Encoder | None = None,
) -> SecondStage:
    """Measure one pair in all ways.

    Parameters
    ----------
    query, reference
        (C, H, W), same shape, at least 11 x 11; number types may differ.
    data_range
        For structural similarity, see there. None: that of the integer type.
    encoder
        Turns images (n, C, H, W) into features (n, d). None: no learned feature.

    Returns
    -------
    SecondStage

    Warnings
    --------
    An encoder that was trained on the training patients sees their images differently from those
    of anybody else: training and held-out images are then no longer exchangeable, and no p-value
    may rest on it. Train it on training and test patients together, or on other data. The learned
    feature is shown beside a pair and is never used for a p-value or a decision.

    Raises
    ------
    ImageMismatchError
        If shapes differ or a side is shorter than 11.
    InputError
        If a value is not finite, or the encoder does not return one finite row per image.
    OptionError
        If there is no range for structural similarity.
    """
    learned = None if encoder is None else _cosines(query, reference[None], encoder)[0]
    return _measure(query, reference, data_range, learned)


def rerank(
    query: Image,
    references: Images,
    *,
    indices: Sequence[int] | NDArray[np.integer],
    by: Measure = "structural_similarity",
    top: int = 20,
    data_range: float | None = None,
    encoder: Encoder | None = None,
) -> list[Row]:
    """Take a closer look at the most similar references of a query.

    Parameters
    ----------
    query
        (C, H, W).
    references
        (k, C, H, W), the most similar first.
    indices
        (k,) which image of the reference set each is.
    by
        The measure after which the rows are sorted, best first; equal ones stay in order, and those
        where it is not defined come last.
    top
        How many of the references are looked at, at least 1.
    data_range, encoder
        As in `second_stage`, with its warning.

    Returns
    -------
    list of dict
        One per reference: ``index``; ``rank``, its place before, from 1; ``rank_second``, its place
        now; and the numbers of `SecondStage.row`.

    Raises
    ------
    ImageMismatchError, InputError
        As `second_stage`.
    OptionError
        If a setting is out of range, or `by` is "learned" and there is no encoder.
    """
    if top < 1 or len(indices) != len(references):
        msg = (
            f"`top` must be at least 1 (got {top}) and `indices` hold one number per reference "
            f"(got {len(indices)} for {len(references)})."
        )
        raise OptionError(msg)
    if by == "learned" and encoder is None:
        msg = "Sorting after the learned feature needs an encoder: pass `encoder`."
        raise OptionError(msg)
    chosen = references[:top]
    learned: list[float | None] = [None] * len(chosen)
    if encoder is not None and len(chosen):
        learned = list(_cosines(query, chosen, encoder))
    rows: list[Row] = []
    for place, (reference, cosine) in enumerate(zip(chosen, learned, strict=True)):
        measured = _measure(query, reference, data_range, cosine)
        rows.append({"index": int(indices[place]), "rank": place + 1, **measured.row()})
    sign = 1.0 if by == "relative_residual" else -1.0
    rows.sort(key=lambda row: np.inf if (value := row[by]) is None else sign * value)
    return [
        {"index": row["index"], "rank": row["rank"], "rank_second": place, **row}
        for place, row in enumerate(rows, 1)
    ]


def _measure(
    query: Image, reference: Image, data_range: float | None, learned: float | None
) -> SecondStage:
    return SecondStage(
        structural_similarity=structural_similarity(query, reference, data_range=data_range),
        mutual_information=normalized_mutual_information(query, reference),
        masked_correlation=masked_correlation(query, reference),
        foreground_share=float(foreground(query).mean()),
        high_pass_correlation=high_pass_correlation(query, reference),
        fit=intensity_fit(query, reference),
        learned=learned,
    )


def _cosines(query: Image, references: Images, encoder: Encoder) -> list[float]:
    """Return the cosine of the query's features with those of every reference."""
    images = np.concatenate([query[None], references])
    features = np.asarray(encoder(images), dtype=np.float64)
    lengths = np.linalg.norm(features, axis=1) if features.ndim == 2 else np.zeros(1)
    if len(features) != len(images) or not np.isfinite(features).all() or not (lengths > 0).all():
        msg = (
            f"The encoder returned an array of shape {features.shape} for {len(images)} images; "
            "expected one finite row of features, not all zero, per image."
        )
        raise InputError(msg)
    units = features / lengths[:, None]
    return [min(max(float(np.sum(units[0] * unit)), -1.0), 1.0) for unit in units[1:]]
