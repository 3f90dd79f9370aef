"""What a run says of its images: which they are, and which of their channels hold labels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from likeness.datasets import ImageSet

_BLOCK: Final = 256


def describe_images(images: ImageSet) -> dict[str, Any]:
    """Return what a checkpoint's record says of its training images, as JSON values.

    ``annotation_levels`` maps each annotation channel to the intensities that occur in it, in
    order, so that samples can be snapped to them without the training images.
    """
    levels: dict[str, set[int]] = {name: set() for name in images.annotation_channels}
    if levels:
        marked = images.select_channels(images.annotation_channels)
        for start in range(0, len(marked), _BLOCK):
            block = marked.read(start, min(start + _BLOCK, len(marked)))
            for index, found in enumerate(levels.values()):
                found.update(np.unique(block[:, index]).tolist())
    return {
        "fingerprint": images.fingerprint,
        "count": len(images),
        "channels": list(images.channels),
        "annotation_levels": {name: sorted(found) for name, found in levels.items()},
    }
