"""Pillow with its global switches held still while it decodes."""

from __future__ import annotations

import io
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_VALUES_OF = {"L": 1, "RGB": 3, "RGBA": 4}
"""Modes of 8 bits, and values per pixel; Pillow keeps four where there is more than one."""

_lock = threading.Lock()
_inside = 0
_before: dict[str, Any] = {}


@contextmanager
def steady() -> Iterator[None]:
    """Decode whole images only, whatever another library has set.

    With ``LOAD_TRUNCATED_IMAGES`` half a JPEG loads without a word. Pillow's own limit on pixels is
    switched off because `ReadOptions.max_pixels` is checked before; its warnings are silenced
    because everything that matters is an error here. All three are global, so the first thread in
    sets them and the last one out puts them back.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _before["truncated"] = ImageFile.LOAD_TRUNCATED_IMAGES
            _before["pixels"] = Image.MAX_IMAGE_PIXELS
            _before["warnings"] = warnings.catch_warnings()
            _before["warnings"].__enter__()
            warnings.simplefilter("ignore")
            ImageFile.LOAD_TRUNCATED_IMAGES = False
            Image.MAX_IMAGE_PIXELS = None
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = _before["truncated"]
                Image.MAX_IMAGE_PIXELS = _before["pixels"]
                _before["warnings"].__exit__(None, None, None)


def decode(
    content: bytes,
    kind: str,
    *,
    size: tuple[int, int],
    modes: tuple[str, ...],
    frame: int = 0,
    expand_palette: bool = False,
) -> NDArray[Any]:
    """Decode one frame.

    Parameters
    ----------
    content
        A whole file.
    kind
        The one Pillow format that may be tried.
    size
        (H, W) that our own reading of the header found.
    modes
        Pillow modes that may come out: no others have the meaning that the caller expects.
    frame
        Which frame, from 0.
    expand_palette
        Give colours for palette images, not indices.

    Returns
    -------
    pixels
        (H, W) or (H, W, C), read-only.

    Raises
    ------
    ValueError
        If Pillow sees another size or mode than we do.
    Exception
        Whatever Pillow raises at a damaged file.
    """
    with steady(), Image.open(io.BytesIO(content), formats=[kind]) as image:
        if frame:
            image.seek(frame)
        found = (image.size[1], image.size[0])
        if found != size or image.mode not in modes:
            msg = f"the decoder sees {found} {image.mode}, the header says {size}, {modes}"
            raise ValueError(msg)
        if expand_palette and image.mode == "P":
            return _array_of(image.convert("RGB"))
        return _array_of(image)


def unpack(
    data: bytes, mode: str, stored_as: str, *, size: tuple[int, int], interlaced: bool
) -> NDArray[Any]:
    """Undo the row filters of a PNG's pixels.

    Parameters
    ----------
    data
        The zlib stream, known to be whole.
    mode
        Pillow's mode of the image.
    stored_as
        Pillow's name for how the pixels lie in the stream.
    size
        (H, W).

    Returns
    -------
    pixels
        (H, W) or (H, W, C), read-only.

    Raises
    ------
    ValueError
        If the stream does not fit the size.
    """
    rows, columns = size
    args = (stored_as, int(interlaced))
    return _array_of(Image.frombytes(mode, (columns, rows), data, "zip", *args))


def _array_of(image: Image.Image) -> NDArray[Any]:
    """Return the pixels of an image, read-only: where it can be, its own memory.

    `numpy.asarray` has Pillow copy them in many small pieces and join these, which takes a third as
    long as the decoding of a radiograph.
    """
    if image.mode in _VALUES_OF:
        import pyarrow

        image.load()
        width, height = image.size
        with suppress(ValueError):  # its rows do not lie one behind the other
            stored = pyarrow.array(image)
            if image.mode == "L":
                return _read_only(stored).reshape(height, width)
            values = _read_only(stored.flatten()).reshape(height, width, 4)
            return values[:, :, : _VALUES_OF[image.mode]]
    return np.asarray(image)


def _read_only(stored: Any) -> NDArray[Any]:  # noqa: ANN401
    values: NDArray[Any] = stored.to_numpy(zero_copy_only=True)
    return values


def mode_of(content: bytes, kind: str, *, modes: tuple[str, ...]) -> str:
    """Return the Pillow mode that the start of a file announces; nothing is decoded.

    Raises
    ------
    ValueError
        If it is not one of `modes`.
    """
    with steady(), Image.open(io.BytesIO(content), formats=[kind]) as image:
        if image.mode not in modes:
            msg = f"the decoder sees mode {image.mode}; expected one of {modes}"
            raise ValueError(msg)
        return image.mode
