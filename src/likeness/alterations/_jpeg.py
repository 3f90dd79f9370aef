"""Through JPEG and back."""

from __future__ import annotations

import io

import numpy as np

from likeness.types import Image


def through_jpeg(image: Image, quality: int) -> Image:
    """Encode every channel of an 8-bit image as a grey JPEG and decode it again.

    Parameters
    ----------
    image
        (C, H, W) uint8.
    quality
        1 to 95, in the scale of libjpeg.
    """
    from PIL import Image as Pictures

    decoded = []
    for channel in image:
        stream = io.BytesIO()
        Pictures.fromarray(channel).save(stream, "JPEG", quality=quality)
        decoded.append(np.asarray(Pictures.open(stream)))
    return np.stack(decoded)
