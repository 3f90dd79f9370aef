"""The sets of an evaluation as they come in: opened or prepared, checked, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from likeness.datasets import Accounting, ImageSet, PrepareOptions, as_image_set, verify
from likeness.errors import DamagedSetError, ImageMismatchError, InputError, OptionError
from likeness.types import Images

if TYPE_CHECKING:
    from likeness._progress import Progress

Given: TypeAlias = "ImageSet | Path | str | Images"
"""What a caller may pass for a set."""


@dataclass(frozen=True)
class Sets:
    """The sets of one evaluation, with equal names for their channels."""

    real: ImageSet
    synthetic: ImageSet
    test: ImageSet | None
    channels: tuple[str, ...]
    """Those that are evaluated."""
    left_out: tuple[str, ...]
    """The others."""
    accounts: dict[str, Accounting]

    def items(self) -> list[tuple[str, ImageSet]]:
        """Return (role, set) for the sets that are there."""
        sets = [("real", self.real), ("synthetic", self.synthetic)]
        return sets if self.test is None else [*sets, ("test", self.test)]

    def about(self) -> dict[str, dict[str, Any]]:
        """Return what the result says of each set."""
        return {
            role: {
                "images": len(images),
                "patients": images.num_patients
                if role != "synthetic" and images.has_patient_ids
                else None,
                "shape": list(images.image_shape),
                "fingerprint": images.fingerprint,
                "left_out": self.accounts[role].num_skipped,
            }
            for role, images in self.items()
        }


def open_sets(
    real: Given,
    synthetic: Given,
    test: Given | None,
    *,
    channels: Sequence[str] | None,
    annotations: bool,
    patient_id: str,
    manifest: Path | None,
    max_skipped: float,
    jobs: int,
    work: Path,
    progress: Progress,
) -> Sets:
    """Open or prepare the sets.

    Parameters
    ----------
    channels
        To evaluate; None for all but annotations.
    annotations
        Whether annotation channels belong to all.
    work
        Folder for sets that have to be prepared.

    Raises
    ------
    DamagedSetError
        If a set on disk does not match its checksums.
    ImageMismatchError
        If shapes, channels or number types differ, or the images do not have 8 bits.
    OptionError
        If there is no such channel.
    InputError
        If images cannot be read.
    """
    sets: dict[str, ImageSet] = {}
    accounts: dict[str, Accounting] = {}
    for role, given in (("real", real), ("synthetic", synthetic), ("test", test)):
        if given is None:
            continue
        if isinstance(given, str | Path) and not Path(given).exists():
            msg = f"There is nothing at {str(given)!r} (for {role})."
            raise InputError(msg)
        options = PrepareOptions(
            patient_id="none" if role == "synthetic" else patient_id,
            manifest=None if role == "synthetic" else manifest,
            max_skipped=max_skipped,
            jobs=jobs,
        )
        sets[role], accounts[role] = as_image_set(
            given, work=work / role, options=options, role=role, progress=progress
        )
        _refuse_damage(role, sets[role], progress)
    sets = _with_common_channels(sets)
    first = sets["real"]
    chosen = tuple(channels) if channels is not None else first.channels
    if channels is None and not annotations:
        marked = {name for images in sets.values() for name in images.annotation_channels}
        chosen = tuple(name for name in chosen if name not in marked)
    unknown = [name for name in chosen if name not in first.channels]
    if unknown or not chosen or len(set(chosen)) != len(chosen):
        msg = (
            f"Channels {list(chosen)} cannot be evaluated; there are {', '.join(first.channels)}, "
            f"of which annotations: {', '.join(first.annotation_channels) or 'none'}."
        )
        raise OptionError(msg)
    left_out = tuple(name for name in first.channels if name not in chosen)
    return Sets(first, sets["synthetic"], sets.get("test"), chosen, left_out, accounts)


def _refuse_damage(role: str, images: ImageSet, progress: Progress) -> None:
    if images.path is None:
        return
    problems = verify(images.path, derived_rows=False, progress=progress).problems
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        msg = (
            f"The {role} set {str(images.path)!r} is not as it was written: {problems[0]}{more}. "
            "Prepare it again from its source."
        )
        raise DamagedSetError(msg)


def _with_common_channels(sets: dict[str, ImageSet]) -> dict[str, ImageSet]:
    kinds = {(images.image_shape, str(images.dtype)) for images in sets.values()}
    named = {images.channels for images in sets.values() if not _is_unnamed(images.channels)}
    if len(kinds) > 1 or len(named) > 1:
        table = "\n".join(
            f"  {role:<10} {'x'.join(map(str, images.image_shape))}  {images.dtype}  "
            f"channels {', '.join(images.channels)}"
            for role, images in sets.items()
        )
        msg = (
            "The sets cannot be compared: their images differ in shape, channels or number type.\n"
            f"{table}\nPrepare all of them with the same options: `likeness prepare --help`."
        )
        raise ImageMismatchError(msg)
    if next(iter(sets.values())).dtype != np.uint8:
        msg = (
            f"The images are {next(iter(sets.values())).dtype}; features are computed from 8-bit "
            "images. Prepare them with 8 bits."
        )
        raise ImageMismatchError(msg)
    names = next(iter(named), next(iter(sets.values())).channels)
    return {role: images.rename_channels(names) for role, images in sets.items()}


def _is_unnamed(channels: tuple[str, ...]) -> bool:
    return channels in {("grey",), ("red", "green", "blue")} or all(
        name.startswith("channel_") for name in channels
    )
