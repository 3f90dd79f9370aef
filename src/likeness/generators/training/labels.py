"""Classes of the training images, for a class-conditional network."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likeness.datasets import ImageSet
from likeness.errors import ManifestError
from likeness.types import Integers


@dataclass(frozen=True)
class Labels:
    """A class for each image."""

    names: tuple[str, ...]
    """Of the classes, in alphabetical order; a label is a place in it."""
    codes: Integers
    """(n,) the label of each image, in the order of the set."""

    @classmethod
    def of(cls, classes: Sequence[str | None], images: ImageSet) -> Labels:
        """Take the class of each image by its name.

        Raises
        ------
        ManifestError
            If an image has none.
        """
        named = [one for one in classes if one is not None]
        if len(named) != len(images):
            lost = next(
                (n for n, one in zip(images.image_ids, classes, strict=False) if one is None), "?"
            )
            msg = (
                f"{len(images) - len(named)} of {len(images)} images have no class, for example "
                f"{lost!r}; a class-conditional network needs one for each."
            )
            raise ManifestError(msg)
        names = tuple(sorted(set(named)))
        places = {name: place for place, name in enumerate(names)}
        return cls(names, np.array([places[name] for name in named], dtype=np.int64))


def read_labels(path: Path, images: ImageSet) -> Labels:
    """Read the classes from a CSV file with the columns image_id and label.

    Raises
    ------
    ManifestError
        If it cannot be read, lacks a column, names an image twice, or leaves one out.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            if not {"image_id", "label"} <= set(table.fieldnames or ()):
                msg = (
                    f"{str(path)!r} has the columns {list(table.fieldnames or ())}; expected "
                    "image_id and label."
                )
                raise ManifestError(msg)
            found: dict[str, str] = {}
            for row in table:
                if row["image_id"] in found:
                    msg = f"{str(path)!r} names the image {row['image_id']!r} twice."
                    raise ManifestError(msg)
                if row["label"]:
                    found[row["image_id"]] = row["label"]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{str(path)!r} cannot be read as CSV: {error}."
        raise ManifestError(msg) from error
    return Labels.of([found.get(name) for name in images.image_ids], images)
