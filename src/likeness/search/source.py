"""What a search needs to know of a set of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.errors import ImageMismatchError, InputError, NoImagesError, OptionError
from likeness.types import Images

if TYPE_CHECKING:
    from likeness.search.options import SearchOptions

ANNOTATION_NAMES: Final = frozenset({"seg", "segmentation", "annotation", "annotations"})
"""Channels of these names hold labels, not pictures: they are compared only when asked for."""


class ImageSource(Protocol):
    """A set of images of one shape and number type. `likeness.datasets.ImageSet` is one.

    A source may also have ``channels``, the names of its channels; ``read_into(start, stop, out)``,
    which spares fresh memory; ``read_ahead(start, stop)``, which is told what will be read soon;
    and ``derived_from``, see `likeness.datasets.derived`.
    """

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the pixels."""
        ...

    @property
    def patient_codes(self) -> NDArray[np.int32]:
        """(n,) which patient each image shows, from 0 to `num_patients` - 1."""
        ...

    @property
    def num_patients(self) -> int:
        """Number of distinct patients."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of all that is in the set."""
        ...

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop` as a fresh array (n, C, H, W).

        Several threads may call it at once.
        """
        ...


def check_sources(queries: ImageSource, references: ImageSource) -> None:
    """Refuse sets that cannot be compared.

    Raises
    ------
    NoImagesError
        If one of them is empty.
    ImageMismatchError
        If shapes, channel names or number types differ.
    """
    for name, source in (("queries", queries), ("references", references)):
        if len(source) == 0:
            msg = f"There are no images among the {name}: a search needs at least one."
            raise NoImagesError(msg)
        if source.dtype.kind not in "iuf" or source.dtype.itemsize > np.dtype(np.float64).itemsize:
            msg = (
                f"The {name} hold {source.dtype}: only real numbers of up to 64 bits are compared."
            )
            raise ImageMismatchError(msg)
        codes = source.patient_codes
        if len(codes) != len(source) or codes.min() < 0 or codes.max() >= source.num_patients:
            msg = f"The {name} have patient codes outside 0 to {source.num_patients - 1}."
            raise InputError(msg)
    found = [(tuple(s.image_shape), str(s.dtype)) for s in (queries, references)]
    if found[0] != found[1]:
        msg = (
            f"The queries have shape {found[0][0]} ({found[0][1]}), the references {found[1][0]} "
            f"({found[1][1]}). Prepare both sets in the same way."
        )
        raise ImageMismatchError(msg)
    names = [getattr(s, "channels", None) for s in (queries, references)]
    if None not in names and tuple(names[0]) != tuple(names[1]):  # type: ignore[arg-type]
        msg = (
            f"The queries have channels {list(names[0])}, the references {list(names[1])}. "  # type: ignore[arg-type]
            "Prepare both sets with the same channels in the same order."
        )
        raise ImageMismatchError(msg)


def chosen_channels(source: ImageSource, options: SearchOptions) -> tuple[int, ...]:
    """Return the indices of the channels that are compared.

    Raises
    ------
    OptionError
        If a channel asked for does not exist, or nothing but annotations is there.
    """
    count = source.image_shape[0]
    if options.channels is not None:
        if max(options.channels) >= count:
            msg = f"--channels asks for channel {max(options.channels)}; images have {count}."
            raise OptionError(msg)
        return options.channels
    names = getattr(source, "channels", None) or ("",) * count
    kept = tuple(i for i, name in enumerate(names) if name.casefold() not in ANNOTATION_NAMES)
    if not kept:
        msg = f"The only channels are annotations ({', '.join(names)}); name them with --channels."
        raise OptionError(msg)
    return kept


def read_images(source: ImageSource, start: int, stop: int, channels: tuple[int, ...]) -> Images:
    """Read some images with the chosen channels only, contiguous.

    Raises
    ------
    InputError
        If a pixel is not finite.
    """
    images = source.read(start, stop)
    if channels != tuple(range(images.shape[1])):
        images = images[:, channels]
    images = np.ascontiguousarray(images)
    if images.dtype.kind == "f":
        for i, image in enumerate(images):
            if not np.isfinite(image).all():
                msg = (
                    f"Image {start + i} of a set holds values that are not finite; prepare the set "
                    "again without it."
                )
                raise InputError(msg)
    return images
