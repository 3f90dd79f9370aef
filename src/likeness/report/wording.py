"""The fixed words of the report: verdicts, captions, limits.

Kept apart from the layout so that they can be read, and argued about, in one place. A report never
says that something is free of risk: it says what was compared and what was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from likeness._findings import CheckStatus, Comparison, VerdictCode


@dataclass(frozen=True)
class Caption:
    """How to read a section."""

    shown: str
    good: str
    bad: str
    action: str


VERDICT_WORDS: Final[dict[VerdictCode, str]] = {
    "COPIES_FOUND": "Copies found",
    "TRAINING_SIGNAL": "Training signal",
    "NO_COPY_DETECTED": "No copy detected",
    "INCONCLUSIVE": "Inconclusive",
}

STATUS_WORDS: Final[dict[CheckStatus, str]] = {"PASS": "Pass", "WARN": "Warning", "FAIL": "Fail"}

COMPARISON_WORDS: Final[dict[Comparison, str]] = {
    "synthetic->train": "synthetic \N{RIGHTWARDS ARROW} train",
    "test->train": "test \N{RIGHTWARDS ARROW} train",
    "train->train": "train \N{RIGHTWARDS ARROW} train",
    "synthetic->test": "synthetic \N{RIGHTWARDS ARROW} test",
}

COMPARISON_MEANING: Final[dict[Comparison, str]] = {
    "synthetic->train": "each synthetic image and its closest training image",
    "test->train": "each held-out real image and its closest training image",
    "train->train": "each training image and the closest one of another patient",
    "synthetic->test": "each synthetic image and its closest held-out image",
}

COMPARISON_KEYS: Final[dict[Comparison, str]] = {
    "synthetic->train": "s-synthetic-train",
    "test->train": "s-test-train",
    "train->train": "s-train-train",
    "synthetic->test": "s-synthetic-test",
}

TRANSFORM_WORDS: Final[dict[str, str]] = {
    "identity": "as it is",
    "flip_h": "mirrored left to right",
    "flip_v": "mirrored top to bottom",
    "rot90": "turned by 90°",
    "rot180": "turned by 180°",
    "rot270": "turned by 270°",
    "transpose": "mirrored at the main diagonal",
    "antitranspose": "mirrored at the other diagonal",
}

CAPTIONS: Final[dict[str, Caption]] = {
    "numbers": Caption(
        "What was compared, how many synthetic images lie above the threshold, and how many would "
        "by chance alone.",
        "Flagged is at or below the number expected by chance, and the highest correlation is one "
        "that real images of different people also reach.",
        "Flagged is well above the number expected by chance, or single pairs come close to 1.",
        "Look at the closest pairs below: a number says how close, the pictures say why.",
    ),
    "checks": Caption(
        "What must hold for the verdict to mean anything, and whether it does.",
        "Every row says Pass.",
        "A row says Fail: the verdict rests on something that is not so. A Warning makes it "
        "weaker.",
        "Mend what the right column says and run the audit again before you decide anything.",
    ),
    "distributions": Caption(
        "For every image, its highest correlation with any image on the other side: one row per "
        "comparison, all on one axis, each scaled to its own highest bar. The triangle is the "
        "median.",
        "Synthetic \N{RIGHTWARDS ARROW} train lies where real images of other people lie, or to "
        "the left of them.",
        "Synthetic \N{RIGHTWARDS ARROW} train lies to the right of the real images, or has a hump "
        "of its own near 1.",
        "Compare rows that search the same training images; the highest of many is higher than "
        "the highest of few, so train and test columns of different size cannot be compared as "
        "they are.",
    ),
    "evidence": Caption(
        "Synthetic image and closest training image, channel by channel, through one window; their "
        "signed difference after the fit s \N{ALMOST EQUAL TO} a x + b; the scatter of their "
        "intensities; the adjacent slices of the training volume.",
        "The same kind of anatomy, but other folds, other vessels, other lesions: the difference "
        "shows outlines in strong colours, the scatter is a cloud.",
        "The same folds, vessels, lesions: the difference is pale and without structure, the "
        "scatter is a line. The adjacent slices then look less alike than the pair does.",
        "Treat a copy as a picture of the patient concerned. Have somebody who knows such images "
        "look at the pairs before they are called copies in writing.",
    ),
    "patients": Caption(
        "Training patients with at least one flagged synthetic image, most of them first.",
        "The table is empty, or as short as chance explains.",
        "Single patients appear many times: the generator has learned them by heart.",
        "Withhold the images listed. Check whether these patients have more, or repeated, images "
        "in the training set.",
    ),
    "most_copied": Caption(
        "Training images that several flagged synthetic images point to.",
        "No training image appears.",
        "One training image has many copies.",
        "Look for repeated images of it in the training set, and train again without them.",
    ),
    "duplicates": Caption(
        "Images that are equal, or almost equal, though they come from different patients, "
        "different sets or different files.",
        "The table is empty.",
        "A real image is in the training and in the test set: the baseline is then too high and "
        "hides copies.",
        "Remove the duplicates, or correct the patient ids, and run the audit again.",
    ),
    "limits": Caption(
        "What the audit did not test, whatever its verdict.",
        "You decide with these limits in view.",
        "The verdict is quoted without them.",
        "Hand this list on with the verdict.",
    ),
    "method": Caption(
        "What was done with which data and which settings, enough to repeat it.",
        "Somebody else gets the same numbers from the same files.",
        "Sets, settings or versions are not the ones you meant.",
        "Quote the paragraph where you report the result.",
    ),
    "left_out": Caption(
        "Files that were found but could not be used. Found is always used plus left out.",
        "Nothing was left out.",
        "Many files of one set were left out: what was compared is not the set you meant.",
        "Mend or remove these files and run the audit again.",
    ),
}

LIMITS: Final = (
    (
        "That an image is not flagged does not show that it copies nobody. It shows that it is "
        "no closer to a training image than real images of other people are, by this measure."
    ),
    (
        "Copies that were shifted, turned by other than quarter turns, zoomed, warped or "
        "inverted, and copies of a part of an image, can stay below the threshold."
    ),
    (
        "A person can be recognised by other means than a copied picture: a trained network can "
        "link different chest x-rays of one person (Packhäuser et al. 2022, Sci. Rep. 12, "
        "14851)."
    ),
    (
        "Nothing is said about the generator itself, about images it will make later, or about "
        "data outside these sets. In particular, nothing here allows the generator to be handed "
        "on."
    ),
    (
        "Flagged images are likely copies, not proven ones: a share of images that copy nobody "
        "is expected among them, as the number expected by chance says."
    ),
    (
        "The threshold comes from real images. Where these are few, of few patients, or "
        "prepared in another way than the training images, it is less certain than its digits "
        "suggest."
    ),
    "This is a measurement, not a legal assessment.",
)

SUMMARY_SENTENCES: Final[dict[VerdictCode, str]] = {
    "COPIES_FOUND": "Synthetic images come closer to pictures of particular training patients than "
    "chance explains: closer than nearly all real images of different people come to each other.",
    "TRAINING_SIGNAL": "No single synthetic image could be shown to copy a patient. As a whole, "
    "however, the images point to the training patients more than chance explains.",
    "NO_COPY_DETECTED": "No synthetic image was recognised as a copy of a training image. This is "
    "a statement about copies only, and about this set of images only.",
    "INCONCLUSIVE": "The available data do not allow a statement. The reasons, and what is needed, "
    "are in the internal report.",
}
