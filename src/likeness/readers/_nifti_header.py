"""The header of a NIfTI file, every field checked before it is believed.

Source: the NIfTI-1 and NIfTI-2 standards (nifti1.h, nifti2.h); the numbers N1 to N15 in the tests
are cases of damage that other readers take without a word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from likeness.readers._base import ReadOptions
    from likeness.readers._sources import Source
    from likeness.types import Floats

HEADER_BYTES: Final = 540
"""Enough for either version."""

_VERSION_1, _VERSION_2 = 348, 540
_MAGIC_1: Final = {b"n+1\x00": True, b"ni1\x00": False}
_MAGIC_2: Final = {b"n+2\x00\r\n\x1a\n": True, b"ni2\x00\r\n\x1a\n": False}
_LEAST_OFFSET: Final = {_VERSION_1: 348, _VERSION_2: 540}
_MAX_AXES: Final = 7
_OBLIQUE_DEGREES: Final = 5.0

_TYPES: Final = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_REFUSED_TYPES: Final = {
    1: "single bits",
    32: "complex numbers",
    128: "RGB colours",
    1536: "128-bit floats",
    1792: "complex numbers",
    2048: "complex numbers",
    2304: "RGBA colours",
}


@dataclass(frozen=True, eq=False)
class NiftiParts:
    """What the header says, checked."""

    single: bool
    """Header and voxels in one file; else a pair ``.hdr`` and ``.img``."""
    shape: tuple[int, int, int]
    """Of one volume as stored."""
    num_volumes: int
    dtype: np.dtype[Any]
    """As stored, with its byte order."""
    offset: int
    """Where the voxels start, in bytes."""
    scaling: tuple[float, float] | None
    """Slope and intercept; None where the stored numbers are the values."""
    affine: Floats
    """(4, 4), stored voxel index -> mm, RAS+."""
    axcodes: tuple[str, str, str] | None
    """None where neither sform nor qform says how the axes lie."""
    spacing_mm: tuple[float, float, float]
    notes: tuple[str, ...]


def is_nifti(head: bytes) -> bool:
    """Say whether unpacked bytes start like NIfTI, be it damaged."""
    if head[344:348] in _MAGIC_1 or head[4:12] in _MAGIC_2:
        return True
    size = {head[:4], head[:4][::-1]}
    # A header of 348 bytes without any magic is Analyze 7.5, another format.
    spoilt_1 = _VERSION_1.to_bytes(4, "little") in size and any(head[344:348])
    return spoilt_1 or (_VERSION_2.to_bytes(4, "little") in size and any(head[4:12]))


def parse(source: Source, head: bytes, options: ReadOptions) -> NiftiParts:
    """Check and interpret a header.

    Parameters
    ----------
    head
        The first 540 unpacked bytes, or what there is of them.

    Raises
    ------
    UnreadableImageError
        ``bad_header`` with the field's name, ``truncated``, ``dtype``, ``bad_scaling``,
        ``bad_size``, ``ask_volume_index`` or ``orientation``.
    """
    order, version = _version(source, head)
    single = _magic(source, head, version)
    # Imported here because nibabel takes a sixth of a second.
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    kind = Nifti1Header if version == _VERSION_1 else Nifti2Header
    header = kind(head[:version], endianness=order, check=False)
    shape, num_volumes = _shape(source, header, options)
    dtype, type_notes = _dtype(source, header, order)
    scaling, scaling_notes = _scaling(source, header)
    affine, axcodes, spacing, affine_notes = _orientation(source, header)
    return NiftiParts(
        single=single,
        shape=shape,
        num_volumes=num_volumes,
        dtype=dtype,
        offset=_offset(source, header, version, single=single),
        scaling=scaling,
        affine=affine,
        axcodes=axcodes,
        spacing_mm=spacing,
        notes=(*type_notes, *scaling_notes, *affine_notes),
    )


def _bad(source: Source, field: str, value: object, expected: str) -> Exception:
    return source.error("bad_header", f"the header field {field!r} is {value}; expected {expected}")


def _version(source: Source, head: bytes) -> tuple[str, int]:
    """Return byte order and size of the header by its first field."""
    for order, name in (("<", "little"), (">", "big")):
        size = int.from_bytes(head[:4], "little" if name == "little" else "big")
        if size in (_VERSION_1, _VERSION_2):
            if len(head) < size:
                source.refuse(
                    "truncated", f"the file ends inside its header: {len(head)} of {size} bytes"
                )
            return order, size
    found = int.from_bytes(head[:4], "little", signed=True)
    raise _bad(source, "sizeof_hdr", found, f"{_VERSION_1} or {_VERSION_2}")


def _magic(source: Source, head: bytes, version: int) -> bool:
    """Say whether the voxels are in the same file."""
    known = _MAGIC_1 if version == _VERSION_1 else _MAGIC_2
    found = head[344:348] if version == _VERSION_1 else head[4:12]
    if found not in known:
        raise _bad(source, "magic", ascii(found)[1:], " or ".join(ascii(m)[1:] for m in known))
    return known[found]


def _shape(
    source: Source,
    header: Any,  # noqa: ANN401
    options: ReadOptions,
) -> tuple[tuple[int, int, int], int]:
    """Return the axes of one volume and the number of volumes; axes of length 1 are dropped."""
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= _MAX_AXES:
        raise _bad(source, "dim[0]", dim[0], "the number of axes, 1 to 7")
    for axis in range(1, dim[0] + 1):
        if dim[axis] < 1:
            raise _bad(source, f"dim[{axis}]", dim[axis], "at least 1")
    axes = dim[1 : dim[0] + 1]
    if len(axes) < 2:
        source.refuse("bad_size", f"the file has {len(axes)} axis; an image has at least 2")
    i, j, k = (*axes, 1)[:3]
    beyond = [n for n in axes[3:] if n > 1]
    if len(beyond) > 1:
        source.refuse(
            "bad_size",
            f"the axes are {' x '.join(map(str, axes))}; at most one beyond the third may be "
            "longer than 1",
        )
    count = beyond[0] if beyond else 1
    index = options.volume_index
    if index is None and count > 1:
        source.refuse(
            "ask_volume_index",
            f"there are {count} volumes; say which with volume_index=0 to {count - 1} "
            "(likeness prepare images --volume)",
        )
    if index is not None and index >= count:
        source.refuse(
            "ask_volume_index", f"volume_index is {index}; this file has 0 to {count - 1}"
        )
    return (i, j, k), count


def _dtype(
    source: Source,
    header: Any,  # noqa: ANN401
    order: str,
) -> tuple[np.dtype[Any], tuple[str, ...]]:
    """Return the stored number type."""
    code = int(header["datatype"])
    if code in _REFUSED_TYPES:
        source.refuse(
            "dtype",
            f"the header field 'datatype' is {code}, {_REFUSED_TYPES[code]}; expected whole "
            "numbers or floats of at most 64 bits",
        )
    if code not in _TYPES:
        raise _bad(source, "datatype", code, f"one of {', '.join(map(str, _TYPES))}")
    dtype = np.dtype(order + _TYPES[code])
    bits = int(header["bitpix"])
    if bits != 8 * dtype.itemsize:
        return dtype, (f"header field 'bitpix' is {bits} where 'datatype' means {dtype.name}",)
    return dtype, ()


def _offset(
    source: Source,
    header: Any,  # noqa: ANN401
    version: int,
    *,
    single: bool,
) -> int:
    value = float(header["vox_offset"])
    least = _LEAST_OFFSET[version] if single else 0
    if not math.isfinite(value) or value != int(value) or value < least:
        raise _bad(source, "vox_offset", f"{value:g}", f"a whole number of at least {least}")
    return int(value)


def _scaling(
    source: Source,
    header: Any,  # noqa: ANN401
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Return slope and intercept; by the standard a slope of 0, NaN or infinity means none."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        return None, (f"unscaled (scl_slope is {slope:g})",)
    if not math.isfinite(intercept):
        source.refuse(
            "bad_scaling",
            f"the header field 'scl_inter' is {intercept:g} while 'scl_slope' is {slope:g}; "
            "expected a finite number",
        )
    if (slope, intercept) == (1.0, 0.0):
        return None, ()
    return (slope, intercept), (f"scaled: value = {slope:g} * stored + {intercept:g}",)


def _orientation(
    source: Source,
    header: Any,  # noqa: ANN401
) -> tuple[Floats, tuple[str, str, str] | None, tuple[float, float, float], tuple[str, ...]]:
    """Return the affine, the directions of the axes, the spacing, and remarks."""
    from nibabel.affines import obliquity, voxel_sizes
    from nibabel.orientations import aff2axcodes
    from nibabel.spatialimages import HeaderDataError

    try:
        affine = np.asarray(header.get_best_affine(), np.float64)
    except (HeaderDataError, ValueError) as error:
        source.refuse(
            "bad_header", f"the header fields 'quatern' and 'pixdim' make no rotation: {error}"
        )
    given = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    # Three axes that span no volume point nowhere. The rank is taken of directions alone, so that
    # a spacing of micrometres is not mistaken for none.
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    usable = bool(np.isfinite(affine).all() and (lengths > 0).all())
    if usable:
        usable = bool(np.linalg.matrix_rank(affine[:3, :3] / lengths, tol=1e-3) == 3)
    if not given or not usable:
        x, y, z = (abs(float(n)) for n in header["pixdim"][1:4])
        why = "its affine spans no volume" if given else "neither sform nor qform is set"
        stored = np.diag([x, y, z, 1.0])
        return stored, None, (x, y, z), (f"no orientation ({why}): stored order kept",)
    axcodes = aff2axcodes(affine)
    if None in axcodes:
        source.refuse("orientation", f"the axes point to {axcodes}: two share one direction")
    notes = [f"axes {''.join(axcodes)}"]
    degrees = float(np.degrees(obliquity(affine)).max())
    if degrees > _OBLIQUE_DEGREES:
        notes.append(f"oblique by {degrees:.1f} degrees: slices follow the stored grid")
    if np.array_equal(affine, np.eye(4)):
        notes.append("the affine is the identity: the orientation may be a default")
    x, y, z = (float(n) for n in voxel_sizes(affine))
    first, second, third = axcodes
    return affine, (first, second, third), (x, y, z), tuple(notes)
