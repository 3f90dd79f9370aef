"""The three image sets of a measurement: they must fit each other, and share no test patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.datasets.image_set import ImageSet
from likeness.errors import ImageMismatchError, OptionError, SplitOverlapError
from likeness.types import Images
from likeness.utility.options import UtilityOptions

BLOCK: Final = 64
"""Images in memory at once outside training."""
_MOST_LEVELS: Final = 32


@dataclass(frozen=True)
class Sets:
    """Three sets that fit: channels in one order, no test patient among the training patients."""

    train: ImageSet
    synthetic: ImageSet
    test: ImageSet
    notes: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return sizes and fingerprints."""
        return {
            role: {
                "images": len(images),
                "patients": images.num_patients,
                "shape": list(images.image_shape),
                "fingerprint": images.fingerprint,
            }
            for role, images in self.by_role()
        }

    def by_role(self) -> tuple[tuple[str, ImageSet], ...]:
        """Return the sets with their names."""
        return (("train", self.train), ("synthetic", self.synthetic), ("test", self.test))


def fitting_sets(train: ImageSet, synthetic: ImageSet, test: ImageSet) -> Sets:
    """Check that three sets fit.

    Raises
    ------
    ImageMismatchError
        If shapes or channels differ, or the pixels do not have 8 bits.
    SplitOverlapError
        If a patient is in the training and in the test set.
    """
    aligned = []
    for role, images in (("training", train), ("synthetic", synthetic), ("test", test)):
        if images.dtype != np.uint8:
            msg = f"The {role} set holds {images.dtype} pixels; expected 8 bits (uint8)."
            raise ImageMismatchError(msg)
        if set(images.channels) != set(train.channels):
            msg = (
                f"The {role} set has the channels {', '.join(images.channels)}; the training set "
                f"has {', '.join(train.channels)}. Prepare both in the same way."
            )
            raise ImageMismatchError(msg)
        if images.image_shape[1:] != train.image_shape[1:]:
            msg = (
                f"The {role} set has {images.image_shape[1]} x {images.image_shape[2]} pixels; the "
                f"training set has {train.image_shape[1]} x {train.image_shape[2]}."
            )
            raise ImageMismatchError(msg)
        aligned.append(images.select_channels(train.channels))
    known = [{name for name in images.patient_ids if name is not None} for images in aligned]
    shared = known[0] & known[2]
    if shared:
        msg = (
            f"{len(shared)} patients are in the training and in the test set, for example "
            f"{min(shared)!r}. A network tested on patients it was trained on says nothing; split "
            "by patient: likeness prepare ... --test-patients 0.2."
        )
        raise SplitOverlapError(msg)
    notes = []
    if None in train.patient_ids or None in test.patient_ids:
        notes.append(
            "Not every real image has a known patient. Each such image counts as a patient of its "
            "own: an overlap of training and test may be missed, and intervals are too narrow if "
            "patients have several images."
        )
    for role, images in (("training", aligned[0]), ("synthetic", aligned[1])):
        same = len(set(images.pixel_hashes) & set(aligned[2].pixel_hashes))
        if same:
            notes.append(f"{same} test images are, pixel for pixel, in the {role} set too.")
    if test.num_patients < 20:
        notes.append(f"Only {test.num_patients} test patients: intervals of so few are too narrow.")
    return Sets(aligned[0], aligned[1], aligned[2], tuple(notes))


def annotation_of(train: ImageSet, options: UtilityOptions) -> tuple[str, tuple[str, ...]]:
    """Return the annotation channel and the channels that the network sees.

    Raises
    ------
    OptionError
        If there is not exactly one annotation, or a channel is not there.
    """
    name = options.annotation
    if name is None:
        marked = train.annotation_channels
        if len(marked) != 1:
            msg = (
                f"The training set marks {len(marked)} of its channels {', '.join(train.channels)} "
                "as annotations; expected one. Name it: --annotation NAME."
            )
            raise OptionError(msg)
        name = marked[0]
    if name not in train.channels:
        msg = f"There is no channel {name!r}, only {', '.join(train.channels)}."
        raise OptionError(msg)
    return name, seen_channels(train, options, without=(name, *train.annotation_channels))


def seen_channels(
    train: ImageSet, options: UtilityOptions, *, without: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the channels that the network sees.

    Raises
    ------
    OptionError
        If none is left, one is not there, or one is an annotation.
    """
    chosen = options.channels
    if chosen is None:
        chosen = tuple(name for name in train.channels if name not in without)
    wrong = [name for name in chosen if name not in train.channels or name in without]
    if wrong or not chosen:
        msg = f"The network cannot see {wrong or 'no channel'}; the set has {list(train.channels)}."
        raise OptionError(msg)
    return chosen


def blocks(images: ImageSet, rows: NDArray[np.int64] | None = None) -> Iterator[Images]:
    """Yield the images, or those of some rows, a few at a time."""
    wanted = np.arange(len(images)) if rows is None else rows
    for start in range(0, len(wanted), BLOCK):
        yield images.take(wanted[start : start + BLOCK])


def levels_of(annotation: ImageSet) -> tuple[int, ...]:
    """Return the intensities of an annotation of one channel, 0 first.

    Raises
    ------
    ImageMismatchError
        If there are so many that they are no labels.
    """
    found = {0}
    for block in blocks(annotation):
        found |= {int(value) for value in np.unique(block)}
        if len(found) > _MOST_LEVELS:
            msg = (
                f"The channel {annotation.channels[0]!r} has more than {_MOST_LEVELS} intensities; "
                "an annotation has one per label."
            )
            raise ImageMismatchError(msg)
    return tuple(sorted(found))


def labels_of(pixels: Images, levels: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the number of the nearest level for each pixel, the lower of two."""
    ordered = np.asarray(levels, dtype=np.float64)
    found = np.searchsorted((ordered[1:] + ordered[:-1]) / 2, pixels, side="left")
    return found.astype(np.int64)


def split_rows(images: ImageSet, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows for training and for validation; no patient is in both.

    The split depends on the number of patients alone, not on the seed of a network.

    Raises
    ------
    OptionError
        If there are fewer than two patients.
    """
    if images.num_patients < 2:
        msg = "A set with fewer than 2 patients (or images) cannot be split for validation."
        raise OptionError(msg)
    count = min(max(round(images.num_patients * share), 1), images.num_patients - 1)
    held = np.random.default_rng(20).permutation(images.num_patients)[:count]
    mask = np.isin(images.patient_codes, held)
    return np.flatnonzero(~mask), np.flatnonzero(mask)
