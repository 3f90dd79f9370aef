"""Tumours: where they lie, how they push the brain aside, and what they look like inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.datasets.phantoms.texture import Array32, ramp


@dataclass(frozen=True)
class Tumour:
    """A lesion: an irregular core in a rim that takes up contrast agent, in swollen tissue."""

    centre: tuple[float, float, float]
    core_radius: float
    """mm; the core is dead or fluid-filled."""
    rim: float
    """Thickness of the enhancing rim, mm; 0 for a tumour that does not enhance."""
    oedema: float
    """How far the swelling reaches beyond the rim, mm."""
    stretch: tuple[float, float, float]


def draw_tumour(rng: np.random.Generator) -> Tumour:
    """Draw a tumour in the white matter of one half of the brain, off the middle line."""
    side = 1.0 if rng.uniform() < 0.5 else -1.0
    angle = rng.uniform(0.0, 2 * np.pi)
    centre = (
        side * (30.0 + 9.0 * float(np.cos(angle)) * float(rng.uniform())),
        float(np.sin(angle) * rng.uniform(0.3, 1.0) * 45.0),
        float(rng.uniform(-8.0, 42.0)),
    )
    enhances = rng.uniform() < 0.75
    stretch = np.exp(rng.normal(0.0, 0.15, 3))
    return Tumour(
        centre=centre,
        core_radius=float(rng.uniform(5.0, 17.0)),
        rim=float(rng.uniform(2.5, 5.0)) if enhances else 0.0,
        oedema=float(rng.uniform(6.0, 18.0)),
        stretch=(float(stretch[0]), float(stretch[1]), float(stretch[2])),
    )


def push_aside(tumour: Tumour, px: Array32, py: Array32, pz: Array32) -> None:
    """Mass effect: a tumour displaces what lies around it."""
    reach = tumour.core_radius + tumour.rim + 0.6 * tumour.oedema + 8.0
    cx, cy, cz = tumour.centre
    squared = np.square(px - cx) + np.square(py - cy) + np.square(pz - cz)
    pull = np.float32(0.3) / np.square(1.0 + squared * np.float32(1.0 / reach**2))
    for position, middle in ((px, cx), (py, cy), (pz, cz)):
        position -= pull * (position - middle)


def lesion(
    tumour: Tumour | None, px: Array32, py: Array32, pz: Array32, lumps: Array32, white: Array32
) -> tuple[Array32, Array32, Array32]:
    """Return the shares of core, rim and oedema."""
    none = np.zeros_like(white)
    if tumour is None:
        return none, none, none
    reach = (tumour.core_radius + tumour.rim + tumour.oedema + 14.0) * max(tumour.stretch)
    if not float(pz.min()) - reach < tumour.centre[2] < float(pz.max()) + reach:
        return none, none, none
    squared = none.copy()
    for position, middle, factor in zip((px, py, pz), tumour.centre, tumour.stretch, strict=True):
        squared += np.square((position - middle) * np.float32(1.0 / factor))
    distance = np.sqrt(squared) + lumps[0] * np.float32(2.2)
    core = ramp(tumour.core_radius - distance, 1.5)
    rim = ramp(tumour.core_radius + tumour.rim - distance, 1.5) - core
    whole = tumour.core_radius + tumour.rim + tumour.oedema
    # Swelling follows the white matter and spares the cortex.
    oedema = ramp(whole - distance + lumps[1] * np.float32(4.0), 3.0)
    oedema *= (0.2 + 0.8 * white) * (1.0 - core - rim)
    return core, rim, oedema
