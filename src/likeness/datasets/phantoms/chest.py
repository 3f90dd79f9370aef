"""Artificial chest radiographs: frontal, of children, of mixed sizes.

A picture is a sum of what lies in the beam: body, ribs, spine, heart, diaphragm, minus the air of
the lungs; then an exposure curve, noise, collimation, a side marker. Coordinates are relative: u
from -1 to 1 across (the patient's right is on the left), v from -1 to 1 downwards, whatever the
number of rows and columns, as if resized without regard to proportions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.datasets.phantoms.texture import Array32, Fields, Floating, ramp, root, smooth_noise
from likeness.errors import OptionError

_VIEWS: Final = (0.82, 0.12, 0.06)
"""Share of patients with one, two and three images; the real set has 18 % with more than one."""
_MARKER: Final = ("1110", "1001", "1001", "1110", "1010", "1001", "1001")


@dataclass(frozen=True)
class ChestPatient:
    """What the files of a patient say about them."""

    group: str
    """``NORMAL`` or ``PNEUMONIA``."""
    cause: str
    """``bacteria`` or ``virus``; empty for ``NORMAL``."""
    num_views: int


@dataclass(frozen=True)
class _Body:
    """All that is particular to one child; lengths relative to half the picture."""

    cage: float
    """Half the width of the rib cage."""
    torso: float
    """Chest wall beyond the rib cage."""
    apex: float
    dome: tuple[float, float]
    """Height of the diaphragm, right and left."""
    rib_spacing: float
    rib_phase: float
    rib_fall: float
    heart: tuple[float, float, float, float, float]
    """Centre (u, v), half axes, tilt."""
    spine: float
    """Half its width."""
    vertebra: float
    bubble: tuple[float, float, float]
    """Air in the stomach: u, v, radius; radius 0 for none."""
    opacities: tuple[tuple[float, float, float, float], ...]
    """Patches of pneumonia: u, v, radius, density."""
    arms: float
    air: float
    """Depth of the breath: how clear the lungs are, about 1."""
    shading: Fields
    bends: Fields
    tissue: Fields
    vessels: Fields


def chest_patient(seed: int, patient: int) -> ChestPatient:
    """Return group, cause and number of images of an artificial patient.

    Raises
    ------
    OptionError
        If a number is below 0.
    """
    _check(seed, patient, 0)
    rng = np.random.default_rng([seed, patient, 11])
    ill = bool(rng.uniform() < 0.5)
    cause = ("bacteria" if rng.uniform() < 0.65 else "virus") if ill else ""
    views = int(rng.choice(len(_VIEWS), p=_VIEWS)) + 1
    return ChestPatient("PNEUMONIA" if ill else "NORMAL", cause, views)


def chest_image(
    seed: int, patient: int, view: int = 0, *, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Make one radiograph of an artificial patient.

    Parameters
    ----------
    seed
        Names the collection. At least 0.
    patient
        Number of the patient within it, at least 0.
    view
        Further images of the same patient: the same body, placed and exposed anew.
    size
        Rows and columns; None for a size drawn from the patient, of which most are 224 x 224 and
        the rest 448 wide, as in the real collection.

    Returns
    -------
    array (H, W) of uint8

    Raises
    ------
    OptionError
        If a number is out of range.
    """
    _check(seed, patient, view)
    body = _make_body(seed, patient)
    rng = np.random.default_rng([seed, patient, 13, view])
    drawn = (224, 224) if rng.uniform() < 0.7 else (int(rng.integers(210, 441)), 448)
    height, width = drawn if size is None else size
    if min(height, width) < 1:
        msg = f"size is {size}; both numbers must be at least 1."
        raise OptionError(msg)
    zoom = float(rng.normal(1.02, 0.045))
    moved = rng.normal(0.0, (0.035, 0.05))
    lean = float(rng.normal(0.0, 0.025))
    x = (-1.0 + 1.0 / width, 2.0 / width, width)
    y = (-1.0 + 1.0 / height, 2.0 / height, height)
    across = (x[0] + x[1] * np.arange(width)).astype(np.float32)[None, :]
    down = (y[0] + y[1] * np.arange(height)).astype(np.float32)[:, None]
    bends = body.bends.at(x, y, 0.0)
    u = (across - np.float32(moved[0]) + np.float32(lean) * down) / np.float32(zoom) + bends[0]
    v = (down - np.float32(moved[1]) - np.float32(lean) * across) / np.float32(zoom) + bends[1]
    density = _density(body, u, v, body.tissue.at(x, y, 0.0), body.vessels.at(x, y, 0.0))
    density += body.shading.at(x, y, 0.0)[0] * np.clip(density * 4.0, 0.0, 1.0)
    picture = _expose(density, rng)
    _collimate(picture, across, down, rng)
    _mark(picture, rng)
    return np.rint(np.clip(picture, 0.0, 255.0)).astype(np.uint8)


def _make_body(seed: int, patient: int) -> _Body:
    rng = np.random.default_rng([seed, patient, 12])
    dome = float(rng.normal(0.46, 0.07))
    opacities = []
    if chest_patient(seed, patient).group == "PNEUMONIA":
        for _ in range(int(rng.integers(1, 5))):
            side = 1.0 if rng.uniform() < 0.5 else -1.0
            place = (side * float(rng.uniform(0.2, 0.5)), float(rng.uniform(-0.35, 0.4)))
            opacities.append((*place, float(rng.uniform(0.1, 0.3)), float(rng.uniform(0.05, 0.2))))
    cage = float(rng.normal(0.73, 0.06))
    return _Body(
        cage=cage,
        torso=float(rng.uniform(0.08, 0.36)),
        apex=float(rng.normal(-0.70, 0.05)),
        dome=(dome, dome + float(rng.normal(0.05, 0.025))),
        rib_spacing=float(rng.normal(0.148, 0.008)),
        rib_phase=float(rng.uniform(0.0, 1.0)),
        rib_fall=float(rng.normal(0.34, 0.06)),
        heart=(
            float(rng.normal(0.13, 0.025)),
            float(rng.normal(0.16, 0.04)),
            float(rng.normal(0.31, 0.035)),
            float(rng.normal(0.34, 0.03)),
            float(rng.normal(0.35, 0.1)),
        ),
        spine=float(rng.normal(0.095, 0.008)),
        vertebra=float(rng.normal(0.135, 0.008)),
        bubble=(
            float(rng.uniform(0.25, 0.5)),
            dome + float(rng.uniform(0.2, 0.35)),
            float(rng.uniform(0.08, 0.16)) if rng.uniform() < 0.6 else 0.0,
        ),
        opacities=tuple(opacities),
        arms=float(rng.normal(0.0, 0.14)),
        air=float(rng.uniform(0.75, 1.25)),
        shading=_plane(rng, 1, 0.7, 0.045),
        bends=_plane(rng, 2, 0.6, 0.023),
        tissue=_plane(rng, 2, 0.16, 1.0),
        vessels=_plane(rng, 3, 0.035, 1.0),
    )


def _plane(rng: np.random.Generator, count: int, spacing: float, amount: float) -> Fields:
    """Return random fields over the picture; the third axis has just the coefficients it needs."""
    number = int(np.ceil(2.0 / spacing)) + 4
    noise = smooth_noise(rng, count, (number, number, 4)) * np.float32(amount)
    return Fields(noise, spacing, (-1.0, -1.0, 0.0))


def _density(body: _Body, u: Array32, v: Array32, tissue: Array32, vessels: Array32) -> Array32:
    """Return how much lies in the beam, about 0 for air to 1 for the spine."""
    side = np.abs(u)
    cage = body.cage * root(1.0 - np.square((v - 0.42) / np.float32(1.22)))
    lung, below = _lungs(body, u, side, v, cage)
    # The outline: chest wall, and shoulders that widen out of the picture above.
    shoulder = np.clip((-v - np.float32(0.38 + body.arms)) * 2.0, 0.0, 1.0)
    shoulder = shoulder * shoulder * (3.0 - 2.0 * shoulder)
    outline = np.maximum(cage, 0.42) + body.torso * (0.6 + 0.4 * v) + np.float32(0.02)
    outline = outline + shoulder * (1.25 - outline) * (0.75 + 0.25 * tissue[0] * 0.2)
    neck = ramp(0.26 + 0.25 * np.square(np.clip(v + 0.9, 0.0, 1.0)) - side, 0.15)
    outline = np.where(v < -0.85, np.maximum(outline * (1.0 - 3.0 * (-v - 0.85)), 0.3), outline)
    chord = root(1.0 - np.square(side / np.maximum(outline, 0.05)))
    inside = 0.45 * chord + 0.55 * root(chord)  # a child is flatter than a cylinder
    density = np.float32(0.44) * inside + 0.05 * neck * (v < -0.6)
    density += inside * (0.012 * tissue[0] + 0.02 * tissue[1] * (v < -0.4))
    density += np.float32(0.10) * below * inside
    density -= np.float32(0.25 * body.air) * lung
    density += _heart(body, u, v) * np.float32(0.17) * (1.0 - 0.6 * below)
    density += _mediastinum(side, v)
    density += _ribs(body, side, v, cage) * (1.0 - 0.55 * below)
    density += _spine(body, u, v)
    density += _girdle(body, side, v)
    density += lung * _markings(side, v, vessels)
    for pu, pv, radius, amount in body.opacities:
        q = (np.square(u - pu) + np.square(v - pv)) * np.float32(1.0 / radius**2)
        density += lung * np.float32(amount) / (1.0 + q * q) * (1.0 + 0.5 * tissue[1])
    bu, bv, radius = body.bubble
    if radius > 0:
        bubble = radius - np.sqrt(np.square((u - bu) * 0.7) + np.square(v - bv))
        density -= np.float32(0.13) * ramp(bubble + 0.02 * tissue[0], 0.05) * below
    result: Array32 = density
    return result


def _lungs(
    body: _Body, u: Array32, side: Array32, v: Array32, cage: Array32
) -> tuple[Array32, Array32]:
    """Return the air in the beam, 0 to 1, and what lies below the diaphragm, 0 to 1."""
    right, left = body.dome
    dome = np.where(u < 0, np.float32(right), np.float32(left))
    dome = (
        dome
        + np.square((side - 0.33) * np.where(side > 0.33, np.float32(1.5), np.float32(0.7))) * 0.6
        - np.float32(0.04)
    )
    inner = np.float32(0.13) + 0.09 * np.clip(v + 0.2, 0.0, 1.0)
    wall = cage - np.float32(0.035) - side
    edge = np.minimum(np.minimum(wall, side - inner), np.minimum(dome - v, v - body.apex))
    lung = root(np.clip(edge * np.float32(1 / 0.3), 0.0, 1.0)) * ramp(edge, 0.02)
    return lung, ramp(v - dome, 0.03)


def _heart(body: _Body, u: Array32, v: Array32) -> Array32:
    cu, cv, wide, tall, tilt = body.heart
    du, dv = u - np.float32(cu), v - np.float32(cv)
    along = du * np.float32(np.cos(tilt)) + dv * np.float32(np.sin(tilt))
    across = dv * np.float32(np.cos(tilt)) - du * np.float32(np.sin(tilt))
    q = np.square(along * np.float32(1 / wide)) + np.square(across * np.float32(1 / tall))
    return root(1.0 - q) * ramp(1.0 - q, 0.1)


def _mediastinum(side: Array32, v: Array32) -> Array32:
    """Great vessels beside the spine, and the windpipe, which is air."""
    vessels = ramp(np.float32(0.17) - side + 0.05 * v, 0.08) * ramp(v + 0.75, 0.3)
    pipe = ramp(np.float32(0.045) - side, 0.03) * ramp(-0.22 - v, 0.15)
    return np.float32(0.08) * vessels - np.float32(0.08) * pipe


def _ribs(body: _Body, side: Array32, v: Array32, cage: Array32) -> Array32:
    """Return the ribs: behind, falling outwards; in front, fainter, falling inwards."""
    s = side / np.maximum(cage, np.float32(0.05))
    within = ramp(np.float32(1.0) - s, 0.04) * ramp(v - body.apex + 0.06, 0.08)
    back = v - np.float32(body.rib_fall) * s * s + np.float32(0.07) * s
    total = _bars(back / np.float32(body.rib_spacing) + np.float32(body.rib_phase), 0.24)
    total *= within * ramp(s - 0.08, 0.1) * np.float32(0.105)
    front = v + np.float32(body.rib_fall * 1.05) * np.square(s) - np.float32(0.12)
    bars = _bars(front / np.float32(body.rib_spacing * 1.12) + np.float32(body.rib_phase), 0.27)
    total += bars * within * ramp(s - 0.5, 0.25) * np.float32(0.05)
    # Towards the wall the beam runs along the ribs.
    total *= 1.0 + 1.1 * np.square(np.square(np.clip(s, 0.0, 1.0)))
    return total


def _bars(phase: Floating, half: float) -> Array32:
    """Return parallel tubes, one per unit of phase: dense walls, lighter marrow."""
    t = np.abs(phase - np.floor(phase) - np.float32(0.5)) * np.float32(1.0 / half)
    shell = root(1.0 - t * t) - 0.75 * root(np.float32(0.62) - t * t)
    bars: Array32 = shell * np.float32(1.5)
    return bars


def _spine(body: _Body, u: Array32, v: Array32) -> Array32:
    side = np.abs(u)
    band = ramp(np.float32(body.spine) - side, 0.02)
    phase = v / np.float32(body.vertebra) + np.float32(body.rib_phase)
    t = np.abs(phase - np.floor(phase) - np.float32(0.5))
    bone = ramp(np.float32(0.38) - t, 0.12)
    walls = ramp(np.float32(0.02) - np.abs(side - np.float32(body.spine * 0.62)), 0.02)
    knob = ramp(np.float32(0.2) - t, 0.15) * walls
    bone_and_disc: Array32 = band * (np.float32(0.07) + 0.06 * bone + 0.06 * knob)
    return bone_and_disc


def _girdle(body: _Body, side: Array32, v: Array32) -> Array32:
    """Return collar bones, shoulder blades and the heads of the arm bones."""
    line = v + np.float32(0.60) + np.float32(0.13 + 0.3 * body.arms) * (side - 0.1)
    line = line - 0.05 * np.sin(side * np.float32(8.0))
    t = line * np.float32(1 / 0.034)
    collar = (root(1.0 - t * t) - 0.6 * root(np.float32(0.55) - t * t)) * np.float32(0.2)
    collar *= ramp(side - 0.1, 0.03) * ramp(0.74 - side, 0.05)
    blade = np.abs(side - np.float32(0.72) - 0.18 * (v + 0.3)) + 0.05 * np.abs(v + 0.35)
    scapula = ramp(np.float32(0.04) - blade, 0.03) * ramp(0.3 - np.abs(v + 0.35), 0.1)
    head = np.sqrt(np.square(side - 0.93) + np.square(v + np.float32(0.64 + body.arms)))
    bone = ramp(np.float32(0.11) - head, 0.03) * np.float32(0.1)
    shaft = np.abs(side - np.float32(0.95) - 0.15 * (v + 0.6)) - 0.055
    arm = ramp(-shaft, 0.02) * ramp(v + np.float32(0.6 + body.arms), 0.05)
    bones: Array32 = np.maximum(bone, arm * np.float32(0.06)) + scapula * np.float32(0.06)
    return bones + collar


def _markings(side: Array32, v: Array32, vessels: Array32) -> Array32:
    """Return the vessels of the lungs: lines that fade away from the root of the lung."""
    hilum = np.sqrt(np.square(side - 0.17) + np.square(v - 0.02))
    near = np.float32(1.0) / (1.0 + np.square(hilum * np.float32(1 / 0.24)))
    lines = np.maximum(1.0 - np.abs(vessels[0]) * 2.4, 0.0)
    lines += 0.7 * np.maximum(1.0 - np.abs(vessels[1]) * 2.4, 0.0)
    markings: Array32 = lines * near * np.float32(0.12) + vessels[2] * np.float32(0.014)
    return markings


def _expose(density: Array32, rng: np.random.Generator) -> Array32:
    """Turn density into brightness: an S-shaped film curve, its steepness and place per image."""
    middle = float(rng.normal(0.37, 0.04))
    steep = float(rng.uniform(2.4, 3.6))
    z = (np.maximum(density, 0.0) - np.float32(middle)) * np.float32(steep)
    curve = z / np.sqrt(1.0 + z * z)
    low = np.float32(-middle * steep / np.sqrt(1.0 + (middle * steep) ** 2))
    picture = (curve - low) / (np.float32(0.96) - low) * np.float32(rng.uniform(225, 250))
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    grain = np.float32(rng.uniform(1.5, 3.5))
    result: Array32 = picture + noise * grain
    return result


def _collimate(picture: Array32, across: Array32, down: Array32, rng: np.random.Generator) -> None:
    """Black out what the shutters of the tube covered."""
    if rng.uniform() < 0.35:
        limits = 1.0 - rng.uniform(0.0, 0.09, 4)
        lean = np.float32(rng.normal(0.0, 0.01))
        edge = np.minimum(
            np.minimum(across + lean * down + limits[0], limits[1] - across - lean * down),
            np.minimum(down - lean * across + limits[2], limits[3] - down + lean * across),
        )
        picture *= 0.04 + 0.96 * ramp(edge.astype(np.float32), 0.01)


def _mark(picture: Array32, rng: np.random.Generator) -> None:
    """Stamp the letter R beside the patient's right shoulder."""
    height, width = picture.shape
    glyph = np.array([[int(dot) for dot in row] for row in _MARKER], np.float32)
    scale = max(1, round(width * float(rng.uniform(0.006, 0.010))))
    glyph = np.kron(glyph, np.ones((scale, scale), np.float32))
    top = int(height * rng.uniform(0.06, 0.38))
    left = int(width * rng.uniform(0.02, 0.12))
    place = picture[top : top + glyph.shape[0], left : left + glyph.shape[1]]
    stamp = glyph[: place.shape[0], : place.shape[1]]
    place += stamp * (np.float32(245.0) - place)


def _check(seed: int, patient: int, view: int) -> None:
    if min(seed, patient, view) < 0:
        msg = f"seed {seed}, patient {patient} and view {view} must all be 0 or more."
        raise OptionError(msg)
