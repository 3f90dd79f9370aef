"""Files for the tests of the readers, written byte by byte so that every field can be spoilt."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from likeness.errors import UnreadableImageError
from likeness.readers import CODES, Page, ReadOptions, read_pages

REAL = Path(__file__).parents[3] / "shared" / "data"

real = pytest.mark.real


def needs(path: Path) -> Path:
    """Skip where the real images are absent."""
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path


def one(path: Path, **options: object) -> Page:
    """Read the only page of a file."""
    (page,) = read_pages(path, ReadOptions(**options))
    return page


def refusal(path: Path, **options: object) -> UnreadableImageError:
    """Read a file that must be refused, and return the error."""
    with pytest.raises(UnreadableImageError) as caught:
        list(read_pages(path, ReadOptions(**options)))
    assert caught.value.code in CODES
    return caught.value


def noise(*shape: int, dtype: str = "uint8", seed: int = 7) -> np.ndarray:
    """Integers over the whole range of a type."""
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


# --- PNG ------------------------------------------------------------------------------------------

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def filtered(row: bytes, above: bytes, width: int, kind: int) -> bytes:
    """Apply a PNG row filter, one byte at a time as the specification writes it."""
    out = bytearray([kind])
    for x, value in enumerate(row):
        left = row[x - width] if x >= width else 0
        up = above[x]
        corner = above[x - width] if x >= width else 0
        estimate = left + up - corner
        distances = [abs(estimate - left), abs(estimate - up), abs(estimate - corner)]
        paeth = (left, up, corner)[distances.index(min(distances))]
        guess = (0, left, up, (left + up) // 2, paeth)[kind]
        out.append((value - guess) % 256)
    return bytes(out)


def png_stream(samples: np.ndarray, depth: int, *, interlaced: bool = False) -> bytes:
    """Pack (H, W, samples) into filtered rows, using every filter in turn."""
    out = bytearray()
    for top, left, down, right in ADAM7 if interlaced else ((0, 0, 1, 1),):
        part = samples[top::down, left::right]
        if part.size == 0:
            continue
        above = None
        for index, row in enumerate(part):
            if depth == 16:
                packed = row.astype(">u2").tobytes()
            elif depth == 8:
                packed = row.astype("u1").tobytes()
            else:
                bits = "".join(format(value, f"0{depth}b") for value in row.ravel().tolist())
                bits += "0" * (-len(bits) % 8)
                packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
            width = max(1, row.shape[-1] * depth // 8)
            out += filtered(packed, above or bytes(len(packed)), width, index % 5)
            above = packed
    return bytes(out)


def make_png(
    samples: np.ndarray,
    *,
    depth: int = 8,
    colour: int = 0,
    interlaced: bool = False,
    before: tuple[tuple[bytes, bytes], ...] = (),
    after: tuple[tuple[bytes, bytes], ...] = (),
    parts: int = 1,
) -> bytes:
    """Write a PNG of (H, W) or (H, W, samples); `before` and `after` go around the pixels."""
    samples = samples.reshape(*samples.shape[:2], SAMPLES[colour])
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    packed = zlib.compress(png_stream(samples, depth, interlaced=interlaced))
    step = -(-len(packed) // parts)
    pieces = [chunk(b"IDAT", packed[i : i + step]) for i in range(0, len(packed), step)]
    return b"".join(
        [
            SIGNATURE,
            chunk(b"IHDR", header),
            *(chunk(*c) for c in before),
            *pieces,
            *(chunk(*c) for c in after),
            chunk(b"IEND", b""),
        ]
    )


def exif(orientation: int, order: str = ">") -> bytes:
    """Return a TIFF block whose only tag is the orientation."""
    start = b"MM\x00*" if order == ">" else b"II*\x00"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return start + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


# --- NIfTI ----------------------------------------------------------------------------------------

NIFTI_TYPES = {
    "uint8": 2, "int16": 4, "int32": 8, "float32": 16, "complex64": 32, "float64": 64,
    "int8": 256, "uint16": 512, "uint32": 768, "int64": 1024, "uint64": 1280, "complex128": 1792,
}  # fmt: skip

_FIELDS = {
    "sizeof_hdr": (0, "i"), "dim": (40, "8h"), "datatype": (70, "h"), "bitpix": (72, "h"),
    "pixdim": (76, "8f"), "vox_offset": (108, "f"), "scl_slope": (112, "f"),
    "scl_inter": (116, "f"), "qform_code": (252, "h"), "sform_code": (254, "h"),
    "quatern": (256, "6f"), "srow": (280, "12f"), "magic": (344, "4s"),
}  # fmt: skip


def nifti_header(voxels: np.ndarray, affine: np.ndarray | None, order: str, **fields) -> bytes:
    """Return a NIfTI-1 header; `fields` overrules what follows from the voxels."""
    srow = (np.zeros((3, 4)) if affine is None else np.asarray(affine)[:3]).ravel()
    values = {
        "sizeof_hdr": 348,
        "dim": [voxels.ndim, *voxels.shape, *[1] * (7 - voxels.ndim)],
        "datatype": NIFTI_TYPES[voxels.dtype.name],
        "bitpix": 8 * voxels.dtype.itemsize,
        "pixdim": [1.0] * 8,
        "vox_offset": 352.0,
        "scl_slope": 1.0,
        "scl_inter": 0.0,
        "qform_code": 0,
        "sform_code": 0 if affine is None else 1,
        "quatern": [0.0] * 6,
        "srow": list(srow),
        "magic": b"n+1\x00",
        **fields,
    }
    header = bytearray(348)
    for name, value in values.items():
        offset, form = _FIELDS[name]
        many = value if isinstance(value, list) else [value]
        struct.pack_into(order + form, header, offset, *many)
    return bytes(header)


RAS = np.diag([2.0, 3.0, 4.0, 1.0])


def make_nifti(
    voxels: np.ndarray,
    affine: np.ndarray | None = RAS,
    *,
    order: str = "<",
    packed: bool = False,
    **fields,
) -> bytes:
    """Return a whole ``.nii`` or, packed, ``.nii.gz``."""
    data = voxels.astype(voxels.dtype.newbyteorder(order)).tobytes(order="F")
    content = nifti_header(voxels, affine, order, **fields) + bytes(4) + data
    return gzip.compress(content, mtime=0) if packed else content
