"""The shape of one artificial brain: where its tissues are, at any height.

Millimetres, origin in the middle of the head: x grows to the patient's left, y backwards, z
upwards. Everything is made of signed distances (positive inside, about 1 per mm) of a few simple
bodies, bent by smooth random displacements, so that a slice at any height can be made on its own.

The folds of the cortex are the places where a random field changes sign. The field is a blend of
three, each stretched along one axis, weighted by the direction of the surface: so folds run
inwards from the surface, as sulci do. A part of the coefficients is the same in all patients (the
large sulci of people lie alike), a part is mirrored (the two halves resemble each other), and the
rest is the patient's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from likeness.datasets.phantoms.lesion import Tumour, draw_tumour, lesion, push_aside
from likeness.datasets.phantoms.texture import (
    Array32,
    Fields,
    band_noise,
    grid_shape,
    ramp,
    smooth_noise,
)

HALF_WIDTH = (84.0, 106.0, 82.0)
"""The brain lies within this distance from the origin along x, y, z (mm)."""

_FOLD_SPACING = 5.0
_FOLD_WAVELENGTH = 17.5
"""mm; two sulci lie half as far apart."""
_FOLD_SLOPE = 0.7 * 6.2832 / _FOLD_WAVELENGTH
"""Per mm; where the fold field is flatter, sulci fade. A wave of amplitude 1 has 1 / 0.7 of it."""
_FOLD_DEPTH = 28.0
"""How far sulci reach inwards, mm."""
_FOLD_STRETCH = 2.2
"""By how much folds are longer inwards than along the surface."""
_FOLD_HEIGHT = 2.3
"""By how much folds are longer along z: slices 1 mm apart must resemble each other."""
_SHARED_FOLDS = 0.88
"""Correlation of the fold fields of two patients is the square of this."""
_MIRRORED_FOLDS = 0.35
_SULCUS_PROFILE = (0.89, 0.45)
"""Width of a sulcus deep down, and what is added at the surface, relative to `Anatomy.sulcus`."""
_STRIPPED = 0.8
"""What skull stripping took away: tissue, and as much again of fluid (mm)."""
_SPECIES = 20_250_115
"""Seed of what all patients share; not the user's seed, since all sets show the same species."""


@dataclass(frozen=True)
class Anatomy:
    """All that is particular to one patient's shape."""

    scale: tuple[float, float, float]
    """Size of the brain relative to the average, along x, y, z."""
    shift: tuple[float, float, float]
    """How the head lay in the scanner, mm."""
    turn: tuple[float, float]
    """In-plane rotation and forward tilt, radians."""
    ventricles: float
    """Size of the ventricles relative to the average."""
    sulcus: float
    """Half the width of a sulcus at the surface, mm."""
    cortex: float
    """Thickness of the grey ribbon, mm."""
    roundness: float
    """1 for a crown like an ellipsoid's, less for a flatter one."""
    bends: Fields
    """Displacement along x, y, z."""
    folds: Fields
    tumour: Tumour | None

    @property
    def half_width(self) -> tuple[float, float]:
        """All of the brain lies within this distance of the origin along x and y (mm).

        The longest body, how the head lies, three standard deviations of the bends, the turn.
        """
        x = 68.0 * self.scale[0] + abs(self.shift[0]) + 9.0
        y = 88.0 * self.scale[1] + abs(self.shift[1]) + 10.0
        return min(x, HALF_WIDTH[0]), min(y, HALF_WIDTH[1])


@dataclass(frozen=True)
class Slice:
    """Tissue shares of one axial slice, each (y, x) float32 in [0, 1], and distances in mm."""

    head: Array32
    """1 inside the brain's outline."""
    brain: Array32
    """Share that is tissue, not fluid."""
    white: Array32
    depth: Array32
    """Below the outline, mm."""
    fold: Array32
    """Distance to the nearest sulcus, mm."""
    core: Array32
    rim: Array32
    oedema: Array32


def make_anatomy(rng: np.random.Generator, *, tumour: bool) -> Anatomy:
    """Draw one patient."""
    scale = np.clip(rng.normal(0.915, 0.03, 3) * rng.normal(1.0, 0.018), 0.82, 1.01)
    shift = rng.normal(0.0, (1.2, 2.0, 2.5))
    turn = rng.normal(0.0, (0.035, 0.05))
    ventricles = np.clip(np.exp(rng.normal(0.0, 0.28)), 0.6, 1.9)
    age = rng.uniform(0.0, 1.0)
    bend_shape = grid_shape((190.0, 230.0, 190.0), 34.0)
    bends = smooth_noise(rng, 3, bend_shape) * np.float32(2.2)
    return Anatomy(
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        shift=(float(shift[0]), float(shift[1]), float(shift[2])),
        turn=(float(turn[0]), float(turn[1])),
        ventricles=float(ventricles * (0.85 + 0.35 * age)),
        sulcus=float(0.75 + 0.55 * age),
        cortex=float(rng.uniform(1.9, 2.4)),
        roundness=float(rng.uniform(0.45, 0.65)),
        bends=Fields(bends, 34.0, (-95.0, -115.0, -95.0)),
        folds=_folds(rng),
        tumour=draw_tumour(rng) if tumour else None,
    )


def _folds(rng: np.random.Generator) -> Fields:
    own = _fold_noise(rng)
    mixed = _SHARED_FOLDS * _species_folds() + np.float32((1 - _SHARED_FOLDS**2) ** 0.5) * own
    # The grid lies so that mirroring its coefficients mirrors the field about x = 0.
    start = [-0.5 * (count - 3) * _FOLD_SPACING for count in mixed.shape[1:]]
    return Fields(mixed.astype(np.float32), _FOLD_SPACING, (start[0], start[1], start[2]))


@lru_cache(maxsize=1)
def _species_folds() -> Array32:
    folds = _fold_noise(np.random.default_rng(_SPECIES))
    folds.flags.writeable = False
    return folds


def _fold_noise(rng: np.random.Generator) -> Array32:
    x, y, z = HALF_WIDTH
    shape = grid_shape((2 * x + 10.0, 2 * y + 10.0, 2 * z + 10.0), _FOLD_SPACING)
    parts = []
    for axis in range(3):
        stretch = [1.0, 1.0, _FOLD_HEIGHT]
        stretch[axis] *= _FOLD_STRETCH
        noise = band_noise(
            rng,
            shape,
            _FOLD_SPACING,
            wavelength=_FOLD_WAVELENGTH,
            stretch=(stretch[0], stretch[1], stretch[2]),
        )
        parts.append(noise + np.float32(_MIRRORED_FOLDS) * noise[::-1])
    folds = np.stack(parts)
    scaled: Array32 = folds / folds.std(axis=(1, 2, 3), keepdims=True)
    return scaled


def cut(
    anatomy: Anatomy,
    x: tuple[float, float, int],
    y: tuple[float, float, int],
    z: float,
    lumps: Array32,
) -> Slice | None:
    """Cut a brain at one height.

    Parameters
    ----------
    anatomy
        The patient.
    x, y
        First pixel centre (mm), distance of pixel centres (mm), number of pixels.
    z
        Height, mm.
    lumps
        Two smooth random fields (2, y, x) that make the tumour irregular.

    Returns
    -------
    Slice or None
        None where there is no brain at that height.
    """
    px, py, pz = _own_coordinates(anatomy, x, y, z)
    side = np.abs(px)
    cerebrum, lobe, cerebellum, stem = _bodies(anatomy, px, side, py, pz)
    depth = np.maximum(np.maximum(cerebrum, lobe), np.maximum(cerebellum, stem))
    if not (depth > 0).any():
        return None
    soft = max(1.0, x[1])  # one voxel of partial volume
    pial, fold = _pial_distance(anatomy, x, y, z, (px, side, py, pz), depth)
    # Where two bodies meet there is fluid between them: the Sylvian fissure, the tentorium.
    np.minimum(pial, np.abs(cerebrum - lobe) * 0.6 + np.maximum(depth - 16.0, 0.0), out=pial)
    hind = np.maximum(cerebellum, stem)
    gap = np.abs(np.maximum(cerebrum, lobe) - hind) * 0.6 + ramp(stem + 1.0, 2.0) * 3.0
    np.minimum(pial, gap, out=pial)

    opening = anatomy.sulcus * (
        _SULCUS_PROFILE[0] + _SULCUS_PROFILE[1] / (1.0 + np.square(depth / 5.0))
    )
    brain = ramp(pial - opening, soft)
    white = ramp(pial - opening - anatomy.cortex, soft * 1.3)
    in_hind = ramp(np.maximum(hind - np.maximum(cerebrum, lobe), stem - 1.0), 2.0)
    tissue, leaves = _leaves(px, py, pz, cerebellum, stem, lumps)
    brain += in_hind * (tissue * ramp(np.minimum(gap, depth) - 0.8, soft) - brain)
    white += in_hind * (leaves * brain - white)
    brain, white = _deep_structures(anatomy, side, py, pz, brain, white)
    core, rim, oedema = lesion(anatomy.tumour, px, py, pz, lumps, white)
    brain = np.maximum(brain, np.maximum(core, rim))
    return Slice(
        ramp(depth - _STRIPPED * (2.0 - brain), soft), brain, white, depth, fold, core, rim, oedema
    )


def _own_coordinates(
    anatomy: Anatomy, x: tuple[float, float, int], y: tuple[float, float, int], z: float
) -> tuple[Array32, Array32, Array32]:
    """Return where the pixels lie in the average head: position, turn, size, bends undone."""
    across = (x[0] + x[1] * np.arange(x[2]) - anatomy.shift[0]).astype(np.float32)[None, :]
    along = (y[0] + y[1] * np.arange(y[2]) - anatomy.shift[1]).astype(np.float32)[:, None]
    up = z - anatomy.shift[2]
    turn, tilt = anatomy.turn
    # Small angles: the shear that replaces the rotation differs from it by less than 0.2 mm.
    bends = anatomy.bends.at(x, y, z)
    px = (across + turn * along + bends[0]) * np.float32(1.0 / anatomy.scale[0])
    py = (along - turn * across + np.float32(tilt * up) + bends[1]) * np.float32(
        1.0 / anatomy.scale[1]
    )
    pz = (np.float32(up) - tilt * along + bends[2]) * np.float32(1.0 / anatomy.scale[2])
    if anatomy.tumour is not None:
        push_aside(anatomy.tumour, px, py, pz)
    return px, py, pz


def _ellipsoid(
    px: Array32,
    py: Array32,
    pz: Array32,
    centre: tuple[float, float, float],
    axes: tuple[float, float, float],
) -> Array32:
    """Return the signed distance (mm, about) to an ellipsoid, positive inside."""
    q = np.square((px - centre[0]) * np.float32(1.0 / axes[0]))
    q += np.square((py - centre[1]) * np.float32(1.0 / axes[1]))
    q += np.square((pz - centre[2]) * np.float32(1.0 / axes[2]))
    mean = np.float32(3.0 / sum(1.0 / a for a in axes))
    result: Array32 = (1.0 - np.sqrt(q)) * mean
    return result


def _bodies(
    anatomy: Anatomy, px: Array32, side: Array32, py: Array32, pz: Array32
) -> tuple[Array32, Array32, Array32, Array32]:
    """Return the distances of cerebrum, temporal lobes, cerebellum and brain stem."""
    # The front is narrower than the back; below the middle the cerebrum is flat.
    wide = side * (1.0 - py * np.float32(0.0012))
    height = np.where(pz > 0, pz * np.float32(1 / 68.0), pz * np.float32(-1 / 44.0))
    q = np.square(wide * np.float32(1 / 67.0)) + np.square((py - 1.0) * np.float32(1 / 86.0))
    flat = np.square(height)
    # Upwards the flanks stay steep for longer than an ellipsoid's.
    flat *= np.where(pz > 0, anatomy.roundness + (1.0 - anatomy.roundness) * flat, 1.0)
    cerebrum = (1.0 - np.sqrt(q + flat)) * np.float32(69.0)
    lobe = _ellipsoid(side, py, pz, (41.0, -6.0, -24.0), (25.0, 44.0, 25.0))
    cerebellum = _ellipsoid(side, py, pz, (21.0, 50.0, -42.0), (33.0, 29.0, 24.0))
    middle = np.float32(15.0) + (pz + 30.0) * np.float32(-0.18)
    stem = 13.0 - np.sqrt(np.square(side * 0.85) + np.square(py - middle))
    stem = np.minimum(stem, np.minimum(pz + 95.0, -15.0 - pz))
    return cerebrum, lobe, cerebellum, stem


def _pial_distance(
    anatomy: Anatomy,
    x: tuple[float, float, int],
    y: tuple[float, float, int],
    z: float,
    position: tuple[Array32, Array32, Array32, Array32],
    depth: Array32,
) -> tuple[Array32, Array32]:
    """Return the distance to the nearest fluid surface, and to the nearest sulcus (mm)."""
    px, side, py, pz = position
    folds = anatomy.folds.at(x, y, z)
    nx, ny, nz = (np.square(p * np.float32(1.0 / a**2)) for p, a in ((px, 67), (py, 86), (pz, 60)))
    blend = folds[0] * nx
    blend += folds[1] * ny
    blend += folds[2] * nz
    blend /= np.sqrt(np.square(nx) + np.square(ny) + np.square(nz)) + np.float32(1e-12)
    # Field units to mm by the slope within the slice, so that sulci are thin lines whatever
    # their course; the floor keeps places where the field is flat from becoming sulci.
    slope = np.square(np.gradient(blend, axis=1)) + np.square(np.gradient(blend, axis=0))
    slope *= np.float32(1.0 / x[1] ** 2)
    fold = np.abs(blend) / np.sqrt(slope + np.float32(_FOLD_SLOPE**2))
    pial = fold + np.maximum(depth - _FOLD_DEPTH, 0.0) * np.float32(0.55)
    np.minimum(pial, depth, out=pial)
    # The fissure between the halves, closed by the corpus callosum.
    arch = _ellipsoid(np.zeros_like(py), py, pz, (0.0, 4.0, 8.0), (40.0, 46.0, 24.0))
    fissure = side + np.maximum(arch, 0.0) * np.float32(1.5)
    np.minimum(pial, fissure, out=pial)
    return pial, fold


def _leaves(
    px: Array32, py: Array32, pz: Array32, cerebellum: Array32, stem: Array32, lumps: Array32
) -> tuple[Array32, Array32]:
    """Return tissue and white matter of the hindbrain: leaves around a tree of white, a stem."""
    radius = np.sqrt(np.square(px) + np.square(py - 14.0) + np.square((pz + 22.0) * 0.4))
    radius += lumps[0] * np.float32(1.0)
    wave = np.abs(np.mod(radius * np.float32(1 / 6.0), np.float32(1.0)) - np.float32(0.5))
    inner = ramp(cerebellum - 10.0, 5.0)
    trunk = ramp(stem - np.float32(1.0), 2.0)
    solid = np.maximum(inner, trunk)
    tissue = np.maximum(np.clip(wave * 8.0 - 0.1, 0.0, 1.0), solid)
    white = np.clip((wave - np.float32(0.22)) * 8.0, 0.0, 1.0)
    white += inner * (np.float32(0.9) - white)
    white += trunk * (np.float32(0.75) - white)
    return tissue, white


def _deep_structures(
    anatomy: Anatomy, side: Array32, py: Array32, pz: Array32, brain: Array32, white: Array32
) -> tuple[Array32, Array32]:
    """Put the deep nuclei and the fluid spaces in."""
    grey = [
        ((15.0, -19.0, 10.0), (5.5, 14.0, 11.0)),  # caudate
        ((26.0, -3.0, 2.0), (6.0, 18.0, 10.0)),  # putamen
        ((11.0, 16.0, 6.0), (9.0, 13.0, 9.0)),  # thalamus
        ((26.0, 6.0, -20.0), (7.0, 18.0, 6.0)),  # hippocampus
    ]
    size = anatomy.ventricles
    fluid = [
        ((8.0, -24.0, 13.0), (4.8 * size, 14.0, 8.0 * size)),  # frontal horn
        ((11.0, 4.0, 20.0), (5.5 * size, 27.0, 6.5 * size)),  # body
        ((22.0, 34.0, 11.0), (6.0 * size, 13.0, 9.0 * size)),  # atrium
        ((27.0, 50.0, 8.0), (3.0 * size, 14.0, 4.5 * size)),  # occipital horn
        ((0.0, 8.0, 1.0), (2.2 * size, 12.0, 9.0)),  # third
        ((0.0, 33.0, -38.0), (6.0 * size, 5.0 * size, 9.0)),  # fourth
        ((0.0, -8.0, -27.0), (12.0, 10.0, 9.0)),  # cistern before the stem
    ]
    low, high = float(pz.min()), float(pz.max())
    for centre, axes in grey:
        if low < centre[2] + axes[2] + 2 and high > centre[2] - axes[2] - 2:
            inside = ramp(_ellipsoid(side, py, pz, centre, axes), 1.5)
            white = white * (1.0 - np.float32(0.85) * inside)
    for centre, axes in fluid:
        if low < centre[2] + axes[2] + 2 and high > centre[2] - axes[2] - 2:
            inside = ramp(_ellipsoid(side, py, pz, centre, axes), 1.2)
            if centre[0] == 8.0:  # the septum between the frontal horns
                inside *= ramp(side - 1.0, 1.0)
            brain = brain * (1.0 - inside)
    return brain, np.minimum(white, brain)
