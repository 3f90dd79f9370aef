"""NIfTI: volumes in ``.nii``, ``.nii.gz`` and pairs ``.hdr`` + ``.img``, as axial slices.

nibabel interprets header and affine; the voxels are read here, because a reader has to say how many
bytes are missing and to read a gzip stream to its end. ITK is never used: it answers with the
voxels of ``X.nii`` when asked for ``X.nii.gz``, and fills truncated files with zeros.

The axes are flipped and swapped, never resampled, into RAS+ order (right, anterior, superior).
A page is an axial slice as radiologists look at it: anterior at the top, the patient's right on the
left; slice 0 is the lowest. This follows the header even where the header is a mere default: a
file whose rows run from anterior to posterior but whose affine is the identity comes out turned by
180 degrees, like every other file written that way. The remark "the affine is the identity" marks
such files. Where neither sform nor qform is set, nothing is turned: rows are the second stored
axis, columns the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness.readers._base import Header, Page, ReadOptions, Volume
from likeness.readers._checks import check_finite, check_page_size
from likeness.readers._gzip import MAGIC, GzipStream, start_of_gzip
from likeness.readers._nifti_header import HEADER_BYTES, NiftiParts, is_nifti, parse
from likeness.readers._sources import Source, SourceReader, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likeness.errors import UnreadableImageError

_NATURAL: Final = ((0, 1), (1, 1), (2, 1))
"""nibabel's orientation of a volume that is in RAS+ order."""


class NiftiReader(SourceReader):
    """Reads NIfTI-1 and NIfTI-2."""

    name = "nifti"
    suffixes: tuple[str, ...] = (".nii", ".nii.gz", ".hdr")

    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether the bytes, unpacked if need be, start like NIfTI."""
        if head[:2] == MAGIC:
            start = start_of_gzip(head, HEADER_BYTES)
            return start is None or is_nifti(start)
        return is_nifti(head)

    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return what the header says."""
        parts = _header(source, options)
        columns, rows, slices = _turned_shape(parts)
        dtype = parts.dtype.newbyteorder("=") if parts.scaling is None else np.dtype(np.float64)
        notes = (*_name_notes(source), *parts.notes)
        return Header(self.name, (1, rows, columns), dtype.name, slices, notes)

    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the axial slices from the lowest up."""
        volume = _volume(source, options)
        for index in range(volume.voxels.shape[2]):
            plane = volume.axial_slice(index)
            yield Page(plane[np.newaxis], slice_index=index, notes=volume.notes)

    def volume_of(self, source: Source, options: ReadOptions) -> Volume:
        """Return the whole volume.

        Raises
        ------
        UnreadableImageError
            If it cannot be read.
        """
        return _volume(source, options)


def _header(source: Source, options: ReadOptions) -> NiftiParts:
    """Parse the header and refuse by it what is too large."""
    head = source.head()
    if head[:2] == MAGIC:
        source.stream.seek(0)
        head = GzipStream(source).read(HEADER_BYTES)
    parts = parse(source, head, options)
    columns, rows, slices = _turned_shape(parts)
    check_page_size(source, options, height=rows, width=columns, values=rows * columns * slices)
    return parts


def _volume(source: Source, options: ReadOptions) -> Volume:
    parts = _header(source, options)
    if parts.single:
        stored, notes = _voxels(source, parts, options)
    else:
        with opened(_other_half(source)) as half:
            stored, notes = _voxels(half, parts, options)
    if parts.scaling is not None:
        slope, intercept = parts.scaling
        with np.errstate(all="ignore"):  # what overflows is counted as not finite below
            stored = stored.astype(np.float64) * slope + intercept
    else:
        stored = stored.astype(parts.dtype.newbyteorder("="), order="K", copy=False)
    stored, nan_notes = check_finite(source, stored, options)
    turned, affine, spacing = _turn(source, stored, parts)
    return Volume(
        voxels=turned,
        affine=affine,
        axcodes=parts.axcodes,
        spacing_mm=spacing,
        notes=(*_name_notes(source), *parts.notes, *notes, *nan_notes),
    )


def _voxels(
    source: Source, parts: NiftiParts, options: ReadOptions
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return one volume as stored, (I, J, K) in Fortran order and writable."""
    count = int(np.prod(parts.shape, dtype=object))  # Python integers cannot wrap
    length = count * parts.dtype.itemsize
    whole = length * parts.num_volumes
    before = parts.offset + (options.volume_index or 0) * length
    if source.head()[:2] == MAGIC:
        stream = GzipStream(source)
        passed = stream.skip(before)
        content = stream.read(length) if passed == before else b""
        passed += len(content)
        if len(content) == length:
            passed += stream.skip(parts.offset + whole - passed)
        _check_length(source, passed, parts.offset, whole)
        extra = stream.finish()
    else:
        _check_length(source, source.size, parts.offset, whole)
        source.stream.seek(before)
        content = source.stream.read(length)
        extra = source.size - parts.offset - whole
        if len(content) < length:  # cut while we looked
            _check_length(source, before + len(content), parts.offset, whole)
    notes = (f"{extra:,} bytes after the voxels ignored",) if extra else ()
    if notes and options.strict:
        source.refuse("trailing_bytes", notes[0])
    stored = np.frombuffer(bytearray(content), parts.dtype)
    return stored.reshape(parts.shape, order="F"), notes


def _check_length(source: Source, found: int, offset: int, expected: int) -> None:
    if found < offset:
        source.refuse(
            "bad_header",
            f"the header field 'vox_offset' is {offset:,}, but the data ends at byte {found:,}",
        )
    if found - offset < expected:
        source.refuse(
            "truncated",
            f"the file ends early: {found - offset:,} of {expected:,} bytes of voxels are there; "
            "copy it again",
        )


def _other_half(source: Source) -> Path:
    """Return the path of the voxels that belong to a ``.hdr``."""
    header = source.label
    if isinstance(header, str):
        source.refuse(
            "missing_pair", "a pair .hdr and .img cannot be read inside an archive; use .nii"
        )
    candidates = [header.with_suffix(ending) for ending in (".img", ".img.gz", ".IMG")]
    found = next((path for path in candidates if path.exists()), None)
    if found is None:
        source.refuse(
            "missing_pair", f"the voxels {candidates[0].name!r} are missing beside this header"
        )
    return found


def _name_notes(source: Source) -> tuple[str, ...]:
    """Remark on a name that promises the other packing, and on a twin that other readers take."""
    if isinstance(source.label, str):
        return ()
    name = source.label.name
    packed = source.head()[:2] == MAGIC
    notes = []
    if packed != name.lower().endswith(".gz"):
        notes.append(
            "packed with gzip though named otherwise" if packed else "not packed though named .gz"
        )
    twin = name[:-3] if name.endswith(".nii.gz") else name + ".gz"
    if name.endswith((".nii", ".nii.gz")) and source.label.with_name(twin).exists():
        notes.append(f"{twin!r} lies in the same folder: other programs may read that one instead")
    return tuple(notes)


def _turns(parts: NiftiParts) -> NDArray[Any]:
    """Return nibabel's orientation: for each stored axis where it goes, and 1 or -1 (flipped)."""
    if parts.axcodes is None:
        return np.array(_NATURAL)
    from nibabel.orientations import io_orientation

    return np.asarray(io_orientation(parts.affine))


def _turned_shape(parts: NiftiParts) -> tuple[int, int, int]:
    """Return I, J, K after turning."""
    shape = [0, 0, 0]
    for length, (axis, _) in zip(parts.shape, _turns(parts), strict=True):
        shape[int(axis)] = length
    return shape[0], shape[1], shape[2]


def _turn(
    source: Source, stored: NDArray[Any], parts: NiftiParts
) -> tuple[NDArray[Any], NDArray[np.float64], tuple[float, float, float]]:
    """Bring a volume to RAS+ order: voxels, affine and spacing."""
    if parts.axcodes is None:
        return stored, parts.affine, parts.spacing_mm
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    turns = _turns(parts)
    turned = apply_orientation(stored, turns)
    affine = parts.affine @ inv_ornt_aff(turns, stored.shape)
    # Turning once must be enough (nibabel issue 1449 shows affines where it is not).
    if not np.array_equal(io_orientation(affine), _NATURAL):
        source.refuse(
            "orientation", "the axes cannot be told apart: turning them to RAS+ does not settle"
        )
    spacing = [0.0, 0.0, 0.0]
    for size, (axis, _) in zip(parts.spacing_mm, turns, strict=True):
        spacing[int(axis)] = size
    return turned, affine, (spacing[0], spacing[1], spacing[2])
