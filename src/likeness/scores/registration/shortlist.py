"""Which references can be among the strongest of a query in any pose, and the features of all.

The few hundred numbers of a feature vector lie close to a few dozen principal axes (they come from
pictures of one kind, faded out at the edges). With z the part along the axes and e the length of
the rest, ``|<p, x>| <= |<z_p, z_x>| + e_p e_x`` for a query's pose p and a reference x, see
`likeness.scores._axes`. Only references whose bound reaches what is needed are multiplied in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.scores._axes import along, principal_axes, slack
from likeness.scores._sources import derive
from likeness.scores._threads import InThreads
from likeness.scores.registration.features import FeatureMaker, Features
from likeness.scores.registration.options import RegistrationOptions
from likeness.search._threads import single_blas_thread
from likeness.types import Floats

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Progress
    from likeness.datasets.derived import Rows
    from likeness.scores.decision_scale import Decisions
    from likeness.types import Integers

_VERSION: Final = 1
"""To be raised with any change of the stored rows."""
_SAMPLE: Final = 2048
_PAYS_FROM: Final = 1024
"""References from which looking at bounds first is quicker."""
_LEFT: Final = 0.005
"""Part of the squared length that the axes may leave aside. About 90 axes then leave 1 % of the
references of a query (artificial heads), 3 % (real heads), 1 % (radiographs)."""
_ROUGH: Final = 24
"""Axes of the first look: they leave a fifth."""
_FEWEST_AXES, _MOST_AXES = 32, 160
_LIMIT: Final = float(2**24)
"""Products of two feature vectors stay below this, see `features`."""
_READ_AT_ONCE: Final = 4096


@dataclass(frozen=True)
class FeatureIndex:
    """Features of m references, on disk or in memory, and their parts along axes in memory."""

    rows: Rows
    """(m, C D) int16 whole numbers."""
    coefficients: int
    """D."""
    axes: Floats | None
    """(C D, r); None where the references are few."""
    along: NDArray[np.float32] | None
    """(r, m)."""
    rest: NDArray[np.float32] | None
    """(2, m) length of what the first few axes leave, and of what all leave."""

    @classmethod
    def of(
        cls,
        references: Decisions,
        options: RegistrationOptions | None = None,
        *,
        threads: int = 1,
        work: Path | None = None,
        progress: Progress = SILENT,
    ) -> FeatureIndex:
        """Describe m references: 240 bytes per channel each, stored with their set if there is one.

        The result does not depend on `options`; they are asked for the poses of queries only.
        """
        maker = FeatureMaker(references.shape, options or RegistrationOptions())
        rows = derive(
            references,
            "features",
            {"version": _VERSION},
            InThreads(partial(_described, maker=maker), threads),
            work=work,
            progress=progress,
        )["features"]
        coefficients = rows.row_shape[0] // references.shape[0]
        if len(references) < _PAYS_FROM:
            return cls(rows, coefficients, None, None, None)
        with single_blas_thread():
            axes = _axes_of(rows)
        along_axes = np.empty((axes.shape[1], len(rows)), dtype=np.float32)
        rest = np.empty((2, len(rows)), dtype=np.float32)
        for start in range(0, len(rows), _READ_AT_ONCE):
            stop = min(start + _READ_AT_ONCE, len(rows))
            features = rows.read(start, stop).astype(np.float64)
            _, rest[0, start:stop] = along(features, axes[:, :_ROUGH])
            part, rest[1, start:stop] = along(features, axes)
            along_axes[:, start:stop] = part.T
        return cls(rows, coefficients, axes, along_axes, rest)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def memory_bytes(self) -> int:
        """What a search holds of it in memory."""
        if self.along is None or self.rest is None:
            return len(self) * self.rows.row_shape[0] * np.dtype(np.float32).itemsize
        return self.along.nbytes + self.rest.nbytes

    def take(self, images: Integers) -> NDArray[np.float32]:
        """Return (k, C D) the features of some references."""
        return self.rows.take(images).astype(np.float32)

    @property
    def bounded(self) -> bool:
        """Whether there are axes, so that looking at bounds pays."""
        return self.axes is not None

    def bounds(
        self, posed: NDArray[np.float32], block: int, images: Integers | None = None
    ) -> NDArray[np.float32]:
        """Return what the absolute product with any of some poses (n, C D) is at most.

        Parameters
        ----------
        block
            References that are multiplied at once.
        images
            (k,) references that are looked at closely. None: all of them, roughly.
        """
        assert self.axes is not None
        assert self.along is not None
        assert self.rest is not None
        used = _ROUGH if images is None else self.axes.shape[1]
        part, length = along(posed.astype(np.float64), self.axes[:, :used])
        rest = self.rest[0] if images is None else self.rest[1, images]
        bound = np.empty(len(rest), dtype=np.float32)
        for start in range(0, len(rest), block):
            some = slice(start, start + block)
            theirs = self.along[:used, some] if images is None else self.along[:, images[some]]
            products = part @ theirs
            highest = np.maximum(products.max(axis=0), -products.min(axis=0))
            bound[some] = highest + length.max() * rest[some]
        bound += np.float32(_LIMIT * slack(used))
        return bound


def _described(images: NDArray[Any], *, maker: FeatureMaker) -> dict[str, NDArray[Any]]:
    # The block means of a constant channel are 0.
    features: Features = maker.plain(images, np.asarray(images.any(axis=(2, 3))))
    return {"features": features.values.astype(np.int16)}


def _axes_of(rows: Rows) -> Floats:
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows))).astype(np.int64))
    sample = rows.take(chosen).astype(np.float64)
    axes, energy = principal_axes(sample, _MOST_AXES)
    whole = max(float(np.mean(np.sum(sample * sample, axis=1))), 1.0)
    enough = int(np.searchsorted(np.cumsum(energy), (1.0 - _LEFT) * whole)) + 1
    return np.ascontiguousarray(axes[:, : max(enough, _FEWEST_AXES)])
