"""The two tasks: what a network is shown, and how its answers on the test set are counted.

Each image set plays a role (train, synthetic, test), by which a task is asked for pixels and truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.datasets.image_set import ImageSet
from likeness.errors import InputError
from likeness.types import Images
from likeness.utility.options import UtilityOptions
from likeness.utility.sets import Sets, annotation_of, blocks, labels_of, levels_of, seen_channels
from likeness.utility.statistics import class_measures, mean_dice, pooled_share

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Answers = Iterator[NDArray[np.float32]]
"""Probabilities of the labels for each block of test images, in order."""

_GRID: Final = 64
"""Shares of annotated patients between which the threshold of the mean map is chosen."""


class Task(Protocol):
    """One task."""

    name: str
    sets: Sets
    channels: tuple[str, ...]
    labels: int
    """Outputs of the network, background included."""

    def draw(self, role: str, rows: Integers, count: int, rng: np.random.Generator) -> Integers:
        """Return `count` of these rows of a set, with repetition."""

    def pixels(self, role: str, rows: Integers) -> Images:
        """Return what the network sees of these rows, (n, C, H, W)."""

    def truth(self, role: str, rows: Integers) -> Integers:
        """Return what it should say."""

    def count(self, answers: Answers) -> dict[str, Any]:
        """Return as JSON what is kept of the answers on the whole test set."""

    def statistics(self, counted: dict[str, Any], weights: Floats) -> dict[str, Floats]:
        """Return each measure for each weighting of the test patients."""

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return what constant predictors say, counted like the answers."""

    def describe(self) -> dict[str, Any]:
        """Return what the task is, as JSON."""

    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know."""


class Segmentation:
    """Label each pixel.

    Raises
    ------
    ImageMismatchError
        If an annotation holds too many intensities.
    InputError
        If nothing is annotated, or the test set has a label that the training set lacks.
    """

    name = "segmentation"

    def __init__(self, sets: Sets, options: UtilityOptions) -> None:
        self.sets = sets
        self.annotation, self.channels = annotation_of(sets.train, options)
        roles = dict(sets.by_role())
        self._images = {role: one.select_channels(self.channels) for role, one in roles.items()}
        self._truth = {role: one.select_channels((self.annotation,)) for role, one in roles.items()}
        self.levels = levels_of(self._truth["train"])
        tested = levels_of(self._truth["test"])
        if len(self.levels) < 2 or len(tested) < 2:
            role = "training" if len(self.levels) < 2 else "test"
            msg = f"No pixel of the {role} set is annotated in the channel {self.annotation!r}."
            raise InputError(msg)
        if set(tested) - set(self.levels):
            msg = (
                f"The test set has the annotation {min(set(tested) - set(self.levels))} in the "
                f"channel {self.annotation!r}, the training set only {list(self.levels)}."
            )
            raise InputError(msg)
        self.labels = len(self.levels)

    def draw(self, role: str, rows: Integers, count: int, rng: np.random.Generator) -> Integers:
        """Return rows, each with the same probability."""
        return rng.choice(rows, count)

    def pixels(self, role: str, rows: Integers) -> Images:
        """Return the channels that are no annotation."""
        return self._images[role].take(rows)

    def truth(self, role: str, rows: Integers) -> Integers:
        """Return (n, H, W) numbers of labels; of synthetic images the nearest training label."""
        return labels_of(self._truth[role].take(rows)[:, 0], self.levels)

    def count(self, answers: Answers) -> dict[str, Any]:
        """Count, for each patient and label, pixels predicted, annotated and both."""
        return self._counted(block.argmax(axis=1) for block in answers)

    def _counted(self, labelled: Iterator[Integers]) -> dict[str, Any]:
        test = self.sets.test
        # Column 0 is any label against none.
        shape = (test.num_patients, self.labels)
        both, said, true = (np.zeros(shape, np.int64) for _ in range(3))
        empty, empty_said = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.int64)
        start = 0
        for found in labelled:
            rows = np.arange(start, start + len(found))
            start += len(found)
            codes, truth = test.patient_codes[rows], self.truth("test", rows)
            for label in range(self.labels):
                a = found > 0 if label == 0 else found == label
                b = truth > 0 if label == 0 else truth == label
                for total, mask in ((both, a & b), (said, a), (true, b)):
                    np.add.at(total[:, label], codes, mask.sum(axis=(1, 2)))
            bare = ~(truth > 0).any(axis=(1, 2))
            np.add.at(empty, codes[bare], truth[0].size)
            np.add.at(empty_said, codes[bare], (found[bare] > 0).sum(axis=(1, 2)))
        return {
            "both": both.tolist(),
            "said": said.tolist(),
            "true": true.tolist(),
            "empty": empty.tolist(),
            "empty_said": empty_said.tolist(),
        }

    def statistics(self, counted: dict[str, Any], weights: Floats) -> dict[str, Floats]:
        """Return Dice of any label, of each label, and what is labelled where nothing is."""
        both, said, true, empty, empty_said = (
            np.asarray(counted[key], np.int64)
            for key in ("both", "said", "true", "empty", "empty_said")
        )
        found = {"Dice, any label": mean_dice(both[:, 0], said[:, 0], true[:, 0], weights)}
        if self.labels > 2:
            for label in range(1, self.labels):
                found[f"Dice, label {self.levels[label]}"] = mean_dice(
                    both[:, label], said[:, label], true[:, label], weights
                )
        found["labelled share of empty images"] = pooled_share(empty_said, empty, weights)
        return found

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return nothing, everything (the commonest label), and the mean map of the training set.

        The mean map labels a pixel where the share of training images annotated there reaches a
        threshold, the one with the highest Dice on all pixels of the training set. With several
        labels such a pixel takes the label that is the commonest there.
        """
        rows, columns = self.sets.train.image_shape[1:]
        frequency = np.zeros((self.labels, rows, columns))
        for block in blocks(self._truth["train"]):
            truth = labels_of(block[:, 0], self.levels)
            for label in range(self.labels):
                frequency[label] += (truth == label).sum(axis=0)
        annotated, total = frequency[1:].sum(axis=0), len(self.sets.train)
        best, threshold = -1.0, 0.0
        for cut in np.unique(np.quantile(annotated[annotated > 0], np.linspace(0, 1, _GRID))):
            mask = annotated >= cut
            dice = 2 * annotated[mask].sum() / (mask.sum() * total + annotated.sum())
            if dice > best:
                best, threshold = float(dice), float(cut)
        commonest = frequency[1:].argmax(axis=0) + 1
        everywhere = int(frequency[1:].sum(axis=(1, 2)).argmax()) + 1
        maps = {
            "nothing": np.zeros((rows, columns), np.int64),
            "everything": np.full((rows, columns), everywhere, np.int64),
            "mean map": np.where(annotated >= threshold, commonest, 0),
        }
        return {name: self._counted(self._constant(one)) for name, one in maps.items()}

    def _constant(self, labels: Integers) -> Iterator[Integers]:
        for block in blocks(self._truth["test"]):
            yield np.broadcast_to(labels, (len(block), *labels.shape))

    def describe(self) -> dict[str, Any]:
        """Return channels and labels."""
        return {
            "annotation": self.annotation,
            "channels": list(self.channels),
            "levels": list(self.levels),
        }

    def notes(self) -> tuple[str, ...]:
        """Say how patients and images without annotation count."""
        return (
            "Dice is of each patient, all images together, then the mean over patients: of an "
            "image without annotation it would be 0 / 0 or 0. What a network labels there lowers "
            "its patient's Dice, and is shown apart. Patients without any annotation are left out "
            "of the mean.",
        )


class Classification:
    """Name the class of each image.

    Raises
    ------
    InputError
        If a set does not say the class of every image, or lacks a class.
    """

    name = "classification"

    def __init__(self, sets: Sets, options: UtilityOptions) -> None:
        self.sets = sets
        self.channels = seen_channels(sets.train, options, without=sets.train.annotation_channels)
        roles = dict(sets.by_role())
        self._images = {role: one.select_channels(self.channels) for role, one in roles.items()}
        for role, one in roles.items():
            without = sum(name is None for name in one.classes)
            if without:
                raise InputError(_without_class(role, one, without))
        self.classes = tuple(sorted({str(name) for name in sets.train.classes}))
        for role, one in roles.items():
            if {str(name) for name in one.classes} != set(self.classes):
                found = ", ".join(sorted({str(name) for name in one.classes}))
                msg = (
                    f"The {role} set has the classes {found}; the training set has "
                    f"{', '.join(self.classes)}."
                )
                raise InputError(msg)
        if len(self.classes) < 2:
            msg = (
                f"Every image is of the class {self.classes[0]!r}; there is nothing to tell apart."
            )
            raise InputError(msg)
        self.labels = len(self.classes)
        place = {name: k for k, name in enumerate(self.classes)}
        self._truth = {
            role: np.array([place[str(name)] for name in one.classes], np.int64)
            for role, one in roles.items()
        }

    def draw(self, role: str, rows: Integers, count: int, rng: np.random.Generator) -> Integers:
        """Return rows of which each class has the same share, however common it is in the set."""
        truth = self._truth[role][rows]
        present = np.unique(truth)
        chosen = present[rng.integers(len(present), size=count)]
        return np.array([rng.choice(rows[truth == k]) for k in chosen], np.int64)

    def pixels(self, role: str, rows: Integers) -> Images:
        """Return the channels that are no annotation."""
        return self._images[role].take(rows)

    def truth(self, role: str, rows: Integers) -> Integers:
        """Return (n,) numbers of classes."""
        return self._truth[role][rows]

    def count(self, answers: Answers) -> dict[str, Any]:
        """Keep the probabilities of each test image."""
        return {"probabilities": np.concatenate(list(answers)).astype(np.float64).tolist()}

    def statistics(self, counted: dict[str, Any], weights: Floats) -> dict[str, Floats]:
        """Return accuracy, balanced accuracy and AUC."""
        found = class_measures(
            np.asarray(counted["probabilities"], np.float64),
            self._truth["test"],
            self.sets.test.patient_codes.astype(np.int64),
            weights,
        )
        names = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auc": "AUC"}
        return {names[key]: value for key, value in found.items()}

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the commonest class of the training set, for every image."""
        share = np.bincount(self._truth["train"], minlength=self.labels) / len(self.sets.train)
        return {"commonest class": {"probabilities": [share.tolist()] * len(self.sets.test)}}

    def describe(self) -> dict[str, Any]:
        """Return channels and classes."""
        return {"channels": list(self.channels), "classes": list(self.classes)}

    def notes(self) -> tuple[str, ...]:
        """Say how classes are mixed."""
        return (
            "Every step shows each class equally often in expectation, from each source: a network "
            "is not better for the mix of classes of its source. Accuracy alone depends on the mix "
            "of the test set; read balanced accuracy and AUC.",
        )


def _without_class(role: str, images: ImageSet, without: int) -> str:
    if role == "synthetic":
        return (
            f"{without} of {len(images)} synthetic images name no class. Samples of a class-"
            "conditional model do: likeness train ddpm sets/train --classes --out run, then "
            "likeness sample run --out samples."
        )
    return (
        f"{without} of {len(images)} images of the {role} set name no class. likeness prepare "
        "takes classes from folders such as NORMAL and PNEUMONIA."
    )
