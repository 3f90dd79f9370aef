"""Files on disk -> pixels, exactly as the file means them, or a refusal in plain words.

::

    path -> first 4,096 bytes -> the one reader that recognises them -> Page, Page, ...
                              -> none does: UnreadableImageError, naming what it is

In:  one file: PNG, JPEG, BMP, TIFF, NIfTI, NPY, NPZ, or a ZIP of those.
Out: `Page` records: (C, H, W) pixels in the file's own number type, the part of the file they come
     from, and notes on everything that was done or passed over. `read_volume` gives a NIfTI whole.

An audit that compares damaged pixels accuses or clears the wrong patient, so:

- content decides, never the name; what is not on the list never reaches a decoder;
- checksums are compared before a page is given out, gzip streams read to their end;
- sizes are checked by the header before memory is taken;
- every failure is an `UnreadableImageError` with a code of `CODES`; there is no half image.

JPEG, TIFF, BMP, NPY and plain NIfTI carry no checksum: in them a flipped bit cannot be seen. A
prepared set keeps the SHA-256 of every file for that reason.

What is not done here: walking folders, resizing, scaling intensities, turning colour into grey,
telling patients apart (`likeness.datasets`); DICOM, whose values depend on more than the file.

`ImageReader` is the contract; `likeness.testing.readers.ImageReaderTests` checks it, also for the
readers of others, which `read_pages(..., readers=...)` takes.
"""

from likeness.readers._base import Header, ImageReader, Page, ReadOptions, Volume
from likeness.readers._codes import CODES
from likeness.readers._registry import (
    SUFFIXES,
    describe,
    is_candidate_suffix,
    read_pages,
    read_volume,
    registered_readers,
)

__all__ = [
    "CODES",
    "SUFFIXES",
    "Header",
    "ImageReader",
    "Page",
    "ReadOptions",
    "Volume",
    "describe",
    "is_candidate_suffix",
    "read_pages",
    "read_volume",
    "registered_readers",
]
