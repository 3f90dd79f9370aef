"""Which poses are tried, and how many candidates are looked at closely."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from likeness.errors import OptionError
from likeness.types import TRANSFORMS, Flags, Floats, Transform

_STEEPEST = 45.0
_LEAST = {"candidates": 2, "turned_candidates": 0, "per_group": 1, "proposed": 0, "refined": 2}


@dataclass(frozen=True)
class RegistrationOptions:
    """Settings of the registered family. The defaults were chosen on phantoms and radiographs."""

    angles: tuple[float, ...] = (-12.0, -6.0, 0.0, 6.0, 12.0)
    """Degrees tried in the search of all pairs."""
    zooms: tuple[float, ...] = (0.92, 1.0, 1.08)
    """Zooms tried with every angle."""
    shifts: tuple[float, ...] = (-0.0625, -0.03125, 0.0, 0.03125, 0.0625)
    """Shifts tried along each axis with every angle and zoom, as parts of the side."""
    turned_angle: float = 6.0
    """All pairs are also searched with `transforms`, but only with angles up to this many degrees
    and with the zoom nearest to 1."""
    transforms: tuple[Transform, ...] = TRANSFORMS
    """Flips and quarter turns; those that would change the shape of the picture are left out."""
    candidates: int = 12
    """Images per query that the search hands on."""
    turned_candidates: int = 4
    """Images per query that the search with flips and quarter turns adds."""
    per_group: int = 3
    """At most so many of them from one group, in each of the two searches."""
    proposed: int = 2
    """Groups per query taken from every other ranking."""
    refined: int = 8
    """Candidates that are aligned on the grid of decisions."""
    minimum_overlap: float = 0.7
    """Part of the frame, without its rim, that both images must cover for a moved pair to count."""

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        for name in ("angles", "zooms", "shifts"):
            if not getattr(self, name):
                msg = f"{name} is empty; give at least one value."
                raise OptionError(msg)
        if not all(abs(angle) <= _STEEPEST for angle in self.angles):
            msg = f"angles are {self.angles}; expected degrees from -45 to 45."
            raise OptionError(msg)
        if not all(0.5 <= zoom <= 2.0 for zoom in self.zooms):
            msg = f"zooms are {self.zooms}; expected factors from 0.5 to 2."
            raise OptionError(msg)
        if not all(abs(shift) <= 0.25 for shift in self.shifts):
            msg = f"shifts are {self.shifts}; expected parts of the side from -0.25 to 0.25."
            raise OptionError(msg)
        unknown = [name for name in self.transforms if name not in TRANSFORMS]
        if unknown:
            msg = f"transforms has {unknown}; known are {TRANSFORMS}."
            raise OptionError(msg)
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                msg = f"{name} is {getattr(self, name)}; expected at least {least}."
                raise OptionError(msg)
        if not 0.0 < self.minimum_overlap <= 1.0:
            msg = f"minimum_overlap is {self.minimum_overlap}; expected above 0, at most 1."
            raise OptionError(msg)

    def is_turned_pose(self) -> Flags:
        """Return (n,) which of `poses` are tried with flips and quarter turns."""
        nearest = min(self.zooms, key=lambda zoom: abs(zoom - 1.0))
        turns = [abs(a) <= self.turned_angle and z == nearest for a, z in self.turns().tolist()]
        return np.repeat(np.array(turns), len(self.shifts) ** 2)

    def turns(self) -> Floats:
        """Return (n, 2) angle and zoom of every pair of the two."""
        return np.array(list(product(self.angles, self.zooms)), dtype=np.float64)

    def poses(self, height: int, width: int) -> Floats:
        """Return (n, 4) angle, zoom, down, right: every turn with every pair of shifts."""
        return np.array(
            [
                (angle, zoom, down * height, right * width)
                for angle, zoom in product(self.angles, self.zooms)
                for down, right in product(self.shifts, self.shifts)
            ],
            dtype=np.float64,
        )
