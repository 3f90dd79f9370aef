"""The header of an NPY file or member, read without numpy's loader and so without its pickles.

Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays", versions 1 to 3.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from likeness.readers._checks import check_dtype

if TYPE_CHECKING:
    from likeness.readers._sources import Source

MAGIC: Final = b"\x93NUMPY"
_KEYS: Final = {"descr", "fortran_order", "shape"}
_LONGEST: Final = 1 << 16
_MAX_AXES: Final = 32
_PLAIN_TYPE: Final = re.compile(r"[<>|=]?[a-zA-Z]\d*\Z")


@dataclass(frozen=True)
class NpyHeader:
    """What the header says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """As stored, with its byte order."""
    fortran: bool
    """The first axis runs fastest."""
    start: int
    """Where the numbers start, in bytes."""

    @property
    def num_bytes(self) -> int:
        """Length of the numbers; Python integers, so that no forged shape wraps."""
        total = self.dtype.itemsize
        for length in self.shape:
            total *= length
        return total


def parse(source: Source, stream: IO[bytes]) -> NpyHeader:
    """Read a header from the start of a stream and leave it where the numbers begin.

    Raises
    ------
    UnreadableImageError
        ``truncated``, ``bad_header``, ``object_array`` or ``dtype``.
    """
    start = stream.read(8)
    if len(start) < 8 or start[:6] != MAGIC:
        source.refuse("bad_header", f"not an NPY array: it starts with {ascii(start)[1:]}")
    width = {1: 2, 2: 4, 3: 4}.get(start[6])
    if width is None:
        source.refuse("bad_header", f"NPY version {start[6]}.{start[7]}; expected 1, 2 or 3")
    counted = stream.read(width)
    length = int.from_bytes(counted, "little")
    if length > _LONGEST:
        source.refuse(
            "bad_header", f"the header claims {length:,} bytes; expected at most {_LONGEST:,}"
        )
    text = stream.read(length)
    if len(counted) < width or len(text) < length:
        source.refuse("truncated", "the file ends inside its header; copy it again")
    shape, dtype, fortran = _interpret(source, text.decode("latin-1"))
    return NpyHeader(shape, dtype, fortran, 8 + width + length)


def _interpret(source: Source, text: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    try:
        # Literals only; Python 2 wrote long integers with an L.
        content = ast.literal_eval(re.sub(r"(\d)L\b", r"\1", text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        source.refuse("bad_header", f"the header is not a Python dictionary: {error}")
    if not isinstance(content, dict) or set(content) != _KEYS:
        source.refuse(
            "bad_header", f"the header must hold {', '.join(sorted(_KEYS))} and nothing else"
        )
    shape, descr, fortran = content["shape"], content["descr"], content["fortran_order"]
    whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not whole or len(shape) > _MAX_AXES:
        source.refuse("bad_header", f"the header says shape {shape!r}")
    if not isinstance(fortran, bool):
        source.refuse("bad_header", f"the header says fortran_order {fortran!r}")
    if isinstance(descr, list | tuple):
        source.refuse(
            "dtype", "the array has named fields (a table); save the images as plain numbers"
        )
    if not isinstance(descr, str) or not _PLAIN_TYPE.match(descr):
        source.refuse("dtype", f"the number type is {descr!r}; expected for example '<f4'")
    try:
        dtype = np.dtype(descr)
    except (TypeError, ValueError):
        source.refuse("dtype", f"there is no number type {descr!r}")
    check_dtype(source, dtype)
    return shape, dtype, fortran
