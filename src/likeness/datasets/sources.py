"""Whatever is passed for a set becomes an `ImageSet`: a set, a folder, a file, or an array."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from likeness._files import sha256_of_file
from likeness._progress import SILENT, Progress
from likeness.datasets.accounting import REMOVED, Accounting
from likeness.datasets.image_set import ImageSet
from likeness.datasets.layout import (
    SOURCES,
    SPLIT_RECORD,
    is_begun,
    is_image_set,
    place,
    read_record,
)
from likeness.datasets.manifest import read_table
from likeness.datasets.options import PrepareOptions
from likeness.datasets.plain import prepare_images
from likeness.datasets.source_accounts import read_accounting
from likeness.datasets.walk import find_files
from likeness.errors import ImageMismatchError, InputError

if TYPE_CHECKING:
    from likeness.types import Images


def as_image_set(
    given: ImageSet | Path | str | Images,
    *,
    work: Path,
    options: PrepareOptions | None = None,
    role: str = "images",
    progress: Progress = SILENT,
) -> tuple[ImageSet, Accounting]:
    """Open or make the image set of what was passed.

    Parameters
    ----------
    given
        An image set or its folder is opened as it is. An array (N, C, H, W) or (N, H, W) becomes a
        set in memory. Anything else is prepared by `prepare_images`.
    work
        Folder for a set that has to be prepared. It is used again if settings and sources (sizes
        and times of the files) are the same, finished if it was interrupted, and replaced
        otherwise.
    options
        For `prepare_images`.
    role
        Named in messages, for example ``train``.

    Returns
    -------
    tuple
        The set, and the account of its files.

    Raises
    ------
    InputError
        If `given` is the folder of a split, of which one part must be chosen.
    LikenessError
        As `ImageSet.open` and `prepare_images`.
    """
    if isinstance(given, ImageSet):
        account = _account_of(given)
        return given, account
    if not isinstance(given, str | Path):
        made = _from_memory(given, role)
        return made, Accounting(len(made), len(made))
    path = Path(given)
    refuse_split(path, role)
    if is_image_set(path) or is_begun(path):
        made = ImageSet.open(path)
        return made, read_accounting(path)
    chosen = options or PrepareOptions()
    # The folder below `work` is a cache: what does not fit any more is replaced.
    again = replace(chosen, overwrite=True)
    prepared = prepare_images(path, work, options=again, progress=progress)
    return prepared.image_set, prepared.accounting


def refuse_split(path: Path, role: str) -> None:
    """Refuse a folder that holds the sets of a split, of which one must be chosen.

    Raises
    ------
    InputError
        Naming one of them.
    """
    if (path / SPLIT_RECORD).is_file():
        msg = (
            f"{str(path)!r} (for {role}) holds several image sets. Name one of them, for example "
            f"{str(path / 'train')!r}."
        )
        raise InputError(msg)


def _from_memory(given: object, role: str) -> ImageSet:
    try:
        images = np.asarray(given)
    except ValueError as error:  # lists of differing lengths
        msg = f"{role}: the images differ in shape; expected an array (N, C, H, W)."
        raise ImageMismatchError(msg) from error
    if images.ndim == 0:
        msg = (
            f"{role} is {type(given).__name__!r}; expected a folder, an ImageSet, or an array "
            "(N, C, H, W)."
        )
        raise ImageMismatchError(msg)
    if images.ndim == 3:
        images = images[:, None]
    made = ImageSet.from_arrays(images)
    if images.dtype.kind == "f":
        bad = [number for number, image in enumerate(images) if not np.isfinite(image).all()]
        if bad:
            msg = (
                f"{role}: {len(bad):,} of {len(images):,} images hold NaN or infinite numbers, "
                f"the first is number {bad[0]}. Replace them or leave these images out."
            )
            raise InputError(msg)
    return made


def verify_sources(
    images: ImageSet, source: Path | str, *, progress: Progress = SILENT
) -> tuple[str, ...]:
    """Hash the source files again and return those that are not what the set was made of.

    Parameters
    ----------
    images
        A prepared set on disk.
    source
        The folder or file that it was made of.

    Returns
    -------
    tuple of str
        Files that changed or are gone, sorted; empty if all is well.

    Raises
    ------
    InputError
        If the set lies in memory only.
    """
    if images.path is None:
        msg = "The image set was made of arrays: there are no source files to check."
        raise InputError(msg)
    columns = read_table(place(images.path, SOURCES), ["path", "sha256", "status"])
    expected = {
        path: sha256
        for path, sha256, status in zip(*columns.values(), strict=True)
        if sha256 is not None and status != REMOVED
    }
    present = {file.text: file for file in find_files(Path(source)).files}
    changed = sorted(set(expected).difference(present))
    with progress.task("verify sources", len(expected), unit="files") as task:
        for text in sorted(set(expected).intersection(present)):
            if sha256_of_file(present[text].path) != expected[text]:
                changed.append(text)
            task.advance()
    return tuple(sorted(changed))


def _account_of(images: ImageSet) -> Accounting:
    if images.path is not None and len(images) == read_record(images.path)["num_images"]:
        return read_accounting(images.path)
    return Accounting(len(images), len(images))
