"""What a pair can reach at most in any orientation, from a few hundred numbers per image.

The even and odd parts of a picture (see `_orientation_pairs`), brought to mean 0 and length 1 per
channel, are each described along principal axes of their own, see `_axes`. With p the four
products, e e' of what is left included in the first, the four mirrored pictures are bounded by
``p0 +- p1 +- p2 +- p3``, divided by the number of channels that vary in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.datasets.derived import SharedArrays
from likeness.scores._axes import along, principal_axes, slack
from likeness.scores._orientation_pairs import Orientations, moments_of, split
from likeness.scores._sources import derive
from likeness.scores._threads import InThreads, in_threads
from likeness.types import Flags, Floats

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Progress
    from likeness.datasets.derived import Rows
    from likeness.scores.decision_scale import Decisions

_VERSION: Final = 1
"""To be raised with any change of the stored rows or of how axes are found."""
_SAMPLE: Final = 1024
NUMBERS: Final = 1024
"""Numbers per image. On artificial heads of four channels 512 leave 8 % of the pairs of a query,
1,024 leave 2 %; on real heads of three 4 and 2 %, on radiographs 3 and 2 %."""
_MOST_AXES: Final = 320
"""Of one part."""
_ENOUGH: Final = 0.002
"""Part of the squared length that is left aside without another axis."""
_AT_ONCE: Final = 64
_PARTS: Final = 4


@dataclass(frozen=True)
class OrientationIndex:
    """References as numbers along axes."""

    axes: tuple[Floats, ...]
    """Four times (C P, r_k)."""
    rows: Rows
    """(m, 4 + sum of r_k) float32, as `coarse` gives them."""
    sums: Floats
    deviations: Floats
    """(m, C) as in `Packed`."""

    @classmethod
    def of(
        cls,
        references: Decisions,
        *,
        threads: int = 1,
        work: Path | None = None,
        progress: Progress = SILENT,
    ) -> OrientationIndex:
        """Describe m references; 4 KB each, stored with their set if there is one."""
        shared = SharedArrays(partial(_axes_of, threads=threads))

        def axes() -> tuple[Floats, ...]:
            return tuple(shared.arrays[f"part_{k}"] for k in range(_PARTS))

        rows = derive(
            references,
            "orientations",
            {"version": _VERSION},
            InThreads(lambda images: _described(images, axes=axes()), threads),
            shared=shared,
            work=work,
            progress=progress,
        )
        moments = rows["moments"].read(0, len(references))
        return cls(axes(), rows["numbers"], moments[:, 0], moments[:, 1])

    def queries(self, values: NDArray[np.uint16], *, swaps: int) -> NDArray[np.float32]:
        """Return (swaps, n, 4 + sum of r_k) for queries (n, C, rows, columns)."""
        views = [values, values.swapaxes(2, 3)][:swaps]
        return np.stack([coarse(view, self.axes) for view in views])

    def bounds(
        self,
        queries: NDArray[np.float32],
        query_varies: Flags,
        references: NDArray[np.float32],
        reference_varies: Flags,
        orientations: Orientations,
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Return what pairs can reach at most.

        Parameters
        ----------
        queries, references
            (swaps, n, R) and (b, R) as `queries` and `rows` give them.
        query_varies, reference_varies
            (n, C) and (b, C).

        Returns
        -------
        tuple
            (n, b) as the picture is, and per swap (n, b) over the orientations tried; -inf where no
            channel varies in both.
        """
        widths = [axes.shape[1] for axes in self.axes]
        edges = np.cumsum([0, _PARTS + widths[0], *widths[1:]])
        cuts = [slice(a, b) for a, b in pairwise(edges.tolist())]
        channels = query_varies.shape[1]
        margin = np.float32(channels * slack(int(edges[-1])))
        plain = None
        found = []
        for swap in range(orientations.swaps):
            p = [queries[swap][:, cut] @ references[:, cut].T for cut in cuts]
            p[0] += margin
            total, as_it_is = _highest(p, swap, orientations)
            found.append(total)
            plain = as_it_is if swap == 0 else plain
        assert plain is not None
        if query_varies.all() and reference_varies.all():
            for table in (plain, *found):
                table *= np.float32(1.0 / channels)
                # The factor is rounded, and so is the product.
                table += np.float32(slack(0))
        else:
            shared = query_varies.astype(np.float32) @ reference_varies.T.astype(np.float32)
            absent = shared == 0
            for table in (plain, *found):
                table /= np.maximum(shared, np.float32(1.0))
                table += np.float32(slack(0))
                table[absent] = -np.inf
        return plain, found


def _highest(
    p: list[NDArray[np.float32]], swap: int, orientations: Orientations
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the highest of the orientations tried, and p0 + p1 + p2 + p3."""
    signs = [
        (up_down, left_right)
        for _, swapped, up_down, left_right in orientations.turns
        if swapped == bool(swap)
    ]
    upright, odd = p[0] + p[2], p[1] + p[3]
    plain = upright + odd
    if signs == [(False, False)]:
        return plain.copy(), plain
    turned, odd_turned = p[0] - p[2], p[1] - p[3]
    if len(signs) == _PARTS:
        np.abs(odd, out=odd)
        np.abs(odd_turned, out=odd_turned)
        upright += odd
        turned += odd_turned
        return np.maximum(upright, turned, out=upright), plain
    values = {
        (False, False): plain,
        (False, True): upright - odd,
        (True, False): turned + odd_turned,
        (True, True): turned - odd_turned,
    }
    tried = [values[sign] for sign in signs]
    return np.maximum.reduce(tried), plain


def coarse(values: NDArray[np.uint16], axes: tuple[Floats, ...]) -> NDArray[np.float32]:
    """Describe images (n, C, rows, columns): (n, r_0 + 4 + r_1 + r_2 + r_3).

    First the numbers of the first part, then the lengths of what is left of the four, then the
    numbers of the others. Constant channels are 0.
    """
    found = np.empty((len(values), _PARTS + sum(a.shape[1] for a in axes)), dtype=np.float32)
    first = axes[0].shape[1]
    for start in range(0, len(values), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        place = first + _PARTS
        for k, vectors in enumerate(_units(values[rows], np.float64)):
            part, rest = along(vectors, axes[k])
            found[rows, first + k] = rest
            if k == 0:
                found[rows, :first] = part
            else:
                found[rows, place : place + part.shape[1]] = part
                place += part.shape[1]
    return found


def _described(images: NDArray[Any], *, axes: tuple[Floats, ...]) -> dict[str, NDArray[Any]]:
    # The block means of a constant channel are 0.
    moments = moments_of(images, np.asarray(images.any(axis=(2, 3))))
    return {"numbers": coarse(images, axes), "moments": np.stack(moments, axis=1)}


def _units(values: NDArray[np.uint16], dtype: type[np.floating[Any]]) -> list[NDArray[Any]]:
    """Return the four parts, each (n, C P), of images whose channels have mean 0 and length 1."""
    images = values.astype(dtype)
    images -= images.mean(axis=(2, 3), keepdims=True)
    squares = np.einsum("ncij,ncij->nc", images, images)[:, :, None, None]
    # An even part is twice a mean of two: half of each per axis keeps the length.
    half = np.divide(0.5, np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)
    images *= half
    parts = split(images)
    return [np.ascontiguousarray(parts[:, :, k]).reshape(len(values), -1) for k in range(_PARTS)]


def _axes_of(references: Rows, threads: int) -> dict[str, NDArray[Any]]:
    """Find axes for each of the four parts that hold most of the length together."""
    count = min(_SAMPLE, len(references))
    rows = np.unique(np.linspace(0, len(references) - 1, count).astype(np.int64))
    parts = _units(references.take(rows), np.float32)
    found = in_threads(lambda part: principal_axes(part, _MOST_AXES), parts, threads)
    channels = references.row_shape[0]
    every = np.sort(np.concatenate([energy for _, energy in found]))[::-1]
    left = channels - np.cumsum(every)
    enough = int(np.searchsorted(-left, -_ENOUGH * channels)) + 1
    least = every[min(NUMBERS, enough, len(every)) - 1]
    return {
        f"part_{k}": axes[:, : max(1, int((energy >= least).sum()))]
        for k, (axes, energy) in enumerate(found)
    }
