"""Sets as they come in: opened or prepared, checked byte by byte, held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from likeness.datasets import Accounting, ImageSet, PrepareOptions, as_image_set, verify
from likeness.errors import DamagedSetError, ImageMismatchError
from likeness.types import Images

if TYPE_CHECKING:
    from likeness._progress import Progress

Given: TypeAlias = "ImageSet | Path | str | Images"
"""What a caller may pass for a set."""


@dataclass(frozen=True)
class Opened:
    """One set and what became of its files."""

    images: ImageSet
    account: Accounting


def open_set(
    given: Given, *, role: str, work: Path, options: PrepareOptions, progress: Progress
) -> Opened:
    """Open or prepare one set and check every byte of what was prepared earlier.

    Parameters
    ----------
    role
        Names the set in messages and its folder below `work`.

    Raises
    ------
    DamagedSetError
        If a set on disk does not match its checksums.
    InputError
        If images cannot be read.
    """
    images, account = as_image_set(
        given, work=work / role, options=options, role=role, progress=progress
    )
    if images.path is not None:
        problems = verify(images.path, derived_rows=False, progress=progress).problems
        if problems:
            msg = (
                f"The {role} set {str(images.path)!r} is not as it was written: {problems[0]}"
                f"{f' (and {len(problems) - 1} more)' if len(problems) > 1 else ''}. "
                "Prepare it again from its source."
            )
            raise DamagedSetError(msg)
    return Opened(images, account)


def comparable(sets: dict[str, ImageSet]) -> dict[str, ImageSet]:
    """Return the sets with common names for their channels.

    Arrays and single pictures have no names for their channels; they are taken to be in the order
    of the others.

    Raises
    ------
    ImageMismatchError
        If shape, number type or channels differ.
    """
    kinds = {(images.image_shape, str(images.dtype)) for images in sets.values()}
    named = {images.channels for images in sets.values() if not is_unnamed(images.channels)}
    if len(kinds) > 1 or len(named) > 1:
        table = "\n".join(
            f"  {role:<10} {'x'.join(map(str, images.image_shape))}  {images.dtype}  "
            f"channels {', '.join(images.channels)}"
            for role, images in sets.items()
        )
        msg = (
            "The sets cannot be compared: their images differ in shape, channels or number type.\n"
            f"{table}\n"
            "Prepare all of them with the same options: `likeness prepare --help`."
        )
        raise ImageMismatchError(msg)
    names = next(iter(named), next(iter(sets.values())).channels)
    return {
        role: images if images.channels == names else images.rename_channels(names)
        for role, images in sets.items()
    }


def is_unnamed(channels: tuple[str, ...]) -> bool:
    """Whether the names of the channels are only those that any picture gets."""
    return channels in {("grey",), ("red", "green", "blue")} or all(
        name.startswith("channel_") for name in channels
    )
