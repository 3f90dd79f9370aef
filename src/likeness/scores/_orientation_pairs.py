"""The exact similarity of pairs in all orientations.

A picture is a sum of four parts that are even or odd from top to bottom and from left to right.
Mirroring changes only the signs of odd parts, so the inner products of the parts give those of all
four mirrored pictures at once; the transposed picture gives the other four. Eight orientations cost
two products instead of eight. The parts hold whole numbers below 2**18, exact in float32, their
products sum to less than 2**53, and every inner product is exact in float64. What is done with the
products afterwards is elementwise, in one order: a pair has the same value wherever it is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores import kernels
from likeness.types import TRANSFORMS, Flags, Floats, Transform

if TYPE_CHECKING:
    from likeness.types import Integers

Turn = tuple[Transform, bool, bool, bool]
TURNS: Final[tuple[Turn, ...]] = (
    # name; rows and columns exchanged; then mirrored up-down; then mirrored left-right
    ("identity", False, False, False),
    ("flip_h", False, False, True),
    ("flip_v", False, True, False),
    ("rot90", True, True, False),
    ("rot180", False, True, True),
    ("rot270", True, False, True),
    ("transpose", True, False, False),
    ("antitranspose", True, True, True),
)

_MANY: Final = 16
"""Images from which the compiled loop is used; queries come one by one in small work."""


@dataclass(frozen=True)
class Packed:
    """Even and odd parts of some images, with what a correlation needs besides."""

    parts: NDArray[np.float32]
    """(swaps, n, C, 4, P) whole numbers; swaps: as it is, rows and columns exchanged."""
    sums: Floats
    """(n, C)."""
    deviations: Floats
    """(n, C) sqrt(N sum of squares - sum squared); inf where the channel is constant."""
    varies: Flags
    """(n, C)."""
    pixels: int

    @staticmethod
    def of(
        values: NDArray[np.uint16],
        varies: Flags,
        *,
        transposed: bool,
        moments: tuple[Floats, Floats] | None = None,
    ) -> Packed:
        """Pack images (n, C, rows, columns), also exchanged if `transposed`.

        `moments` are sums and deviations, where they are known.
        """
        pixels = values.shape[2] * values.shape[3]
        sums, deviations = moments_of(values, varies) if moments is None else moments
        parts = packed_parts(values)[None]
        if transposed:
            parts = np.concatenate([parts, packed_parts(values.swapaxes(2, 3))[None]])
        return Packed(parts, sums, deviations, varies, pixels)

    def __len__(self) -> int:
        return len(self.varies)

    def some(self, rows: Integers | slice) -> Packed:
        """Return some of the images."""
        return Packed(
            self.parts[:, rows], self.sums[rows], self.deviations[rows], self.varies[rows],
            self.pixels,
        )  # fmt: skip


def moments_of(values: NDArray[np.uint16], varies: Flags) -> tuple[Floats, Floats]:
    """Return (n, C) sums and deviations of images (n, C, rows, columns), see `Packed`."""
    flat = values.reshape(*values.shape[:2], -1).astype(np.float64)
    sums = flat.sum(axis=2)  # whole numbers: exact in any order
    squares = np.einsum("ncp,ncp->nc", flat, flat)
    variance = flat.shape[2] * squares - sums * sums
    return sums, np.where(varies, np.sqrt(np.maximum(variance, 0.0)), np.inf)


def packed_parts(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Split (n, C, H, W) into (n, C, 4, P) float32."""
    fast = kernels.compiled() if len(values) >= _MANY else None
    if fast is None or values.shape[2] % 2 or values.shape[3] % 2:
        return split(values.astype(np.float32))
    length = values.shape[2] * values.shape[3] // 4
    parts = np.empty((*values.shape[:2], 4, length), dtype=np.float32)
    fast.split(np.ascontiguousarray(values), parts)
    return parts


def split(values: NDArray[Any]) -> NDArray[Any]:
    """Split (n, C, H, W) into (n, C, 4, P): even-even, even-odd, odd-even, odd-odd.

    The first word is about rows, the second about columns.
    """
    parts = [part for half in _even_odd(values, 2) for part in _even_odd(half, 3)]
    return np.stack([part.reshape(*part.shape[:2], -1) for part in parts], axis=2)


def _even_odd(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return sums and differences of what is mirrored along an axis; its middle stays apart.

    With v the first and w the mirrored second half, <v, v'> + <w, w'> = (<e, e'> + <o, o'>) / 2. A
    middle line counts once; put beside the sums it would count half, so it is put beside both.
    """
    length = values.shape[axis]
    first, rest = np.split(values, [length // 2], axis=axis)
    second = np.flip(values, axis=axis).take(np.arange(length // 2), axis=axis)
    if length % 2 == 0:
        return first + second, first - second
    middle = rest.take([0], axis=axis)
    # Mirroring leaves the middle as it is: twice in the even part, half of which is one; the odd
    # part gets zeros so that both have one shape. sqrt(2) is no whole number, so two lines.
    even = np.concatenate([first + second, middle, middle], axis=axis)
    odd = np.concatenate([first - second, 0 * middle, 0 * middle], axis=axis)
    return even, odd


class Orientations:
    """Turns products of parts into similarities in the orientations that are tried."""

    def __init__(self, turns: tuple[Turn, ...]) -> None:
        self.turns = turns
        self.swaps = 2 if any(swap for _, swap, _, _ in turns) else 1

    def table(self, queries: Packed, references: Packed) -> tuple[Floats, Floats, NDArray[np.int8]]:
        """Return (n, b) similarity as it is, that of the best orientation, and which that is.

        NaN where no channel varies in both.
        """
        left, right = queries.parts.astype(np.float64), references.parts[0].astype(np.float64)
        factor, offset = _scales(
            *(x.T[:, :, None] for x in (queries.sums, queries.deviations)),
            *(x.T[:, None] for x in (references.sums, references.deviations)),
            pixels=references.pixels,
        )
        shared = (queries.varies[:, None] & references.varies[None]).sum(axis=2)
        best: Floats | None = None
        plain = turn = None
        for swap in range(self.swaps):
            products = np.empty((*right.shape[1:3], *shared.shape))
            for c in range(right.shape[1]):
                for k in range(4):
                    np.matmul(left[swap, :, c, k], right[:, c, k].T, out=products[c, k])
            found = self.similarities(swap, products, factor, offset, shared)
            if plain is None:
                plain = found[0][1]
            best, turn = _better(best, turn, found)
        assert plain is not None
        assert best is not None
        assert turn is not None
        return plain, best, turn

    def similarities(
        self, swap: int, products: Floats, factor: Floats, offset: Floats, shared: NDArray[np.int64]
    ) -> list[tuple[int, Floats]]:
        """Return the number and the similarity of every orientation with this `swap`.

        Parameters
        ----------
        products
            (C, 4, ...) inner products of the parts.
        factor, offset
            (C, ...), see `_scales`.
        shared
            (...,) number of channels that vary in both.
        """
        mine = [turn for turn in self.turns if turn[1] == bool(swap)]
        totals = [np.zeros(shared.shape) for _ in mine]
        for channel, scale, shift in zip(products, factor, offset, strict=True):
            ee, eo, oe, oo = (product * scale for product in channel)
            ee -= shift
            upright, turned_over = (ee + oe, eo + oo), (ee - oe, eo - oo)
            for total, (_, _, up_down, left_right) in zip(totals, mine, strict=True):
                rest, odd = turned_over if up_down else upright
                total += rest
                (np.subtract if left_right else np.add)(total, odd, out=total)
        divisor = np.maximum(shared, 1)
        absent = shared == 0
        found = []
        for total, (name, _, _, _) in zip(totals, mine, strict=True):
            np.clip(np.divide(total, divisor, out=total), -1.0, 1.0, out=total)
            total[absent] = np.nan
            found.append((TRANSFORMS.index(name), total))
        return found

    def pairs(
        self, swap: int, products: Floats, queries: Packed, references: Packed,
        left: Integers, right: Integers,
    ) -> tuple[Floats | None, Floats, NDArray[np.int8]]:  # fmt: skip
        """Return (p,) for pairs what `table` gives, of the orientations with this `swap`.

        The first is None where the picture as it is isn't among them. `products` (C, 4, p).
        """
        factor, offset = _scales(
            queries.sums[left].T, queries.deviations[left].T,
            references.sums[right].T, references.deviations[right].T, pixels=references.pixels,
        )  # fmt: skip
        shared = (queries.varies[left] & references.varies[right]).sum(axis=1)
        found = self.similarities(swap, products, factor, offset, shared)
        best, turn = _better(None, None, found)
        return (found[0][1] if swap == 0 else None), best, turn


def _scales(
    sums: Floats, deviations: Floats, other_sums: Floats, other_deviations: Floats, *, pixels: int
) -> tuple[Floats, Floats]:
    """Return what products of parts are multiplied by, and what is taken away from the first."""
    # 1 / (sd sd'), which is 0 where a channel is constant, and its factor of inner products
    scale = 1.0 / (deviations * other_deviations)
    return scale * (pixels / 4.0), (sums * other_sums) * scale


def _better(
    best: Floats | None, turn: NDArray[np.int8] | None, found: list[tuple[int, Floats]]
) -> tuple[Floats, NDArray[np.int8]]:
    """Take the best of some orientations; of equals the one that comes first in `TRANSFORMS`."""
    for number, value in found:
        if best is None or turn is None:
            best, turn = value.copy(), np.full(value.shape, number, dtype=np.int8)
            continue
        better = (value > best) | ((value == best) & (number < turn))
        best[better], turn[better] = value[better], number
    assert best is not None
    assert turn is not None
    return best, turn
