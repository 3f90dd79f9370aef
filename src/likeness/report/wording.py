"""The fixed words of the report: verdicts, captions, limits.

Kept apart from the layout so that they can be read, and argued about, in one place. A report never
says that something is free of risk: it says what was compared and what was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from likeness._findings import CheckStatus, Comparison, Family, VerdictCode


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

FAMILY_WORDS: Final[dict[str, str]] = {
    "plain": "as it is",
    "dihedral": "flipped and turned by quarter turns",
    "registered": "shifted, turned and zoomed until it fits",
    "tiles": "piece by piece",
}

SCALE_WORDS: Final[dict[str, str]] = {
    "plain": "r at 64 x 64",
    "dihedral": "r at 64 x 64",
    "registered": "r of slopes at 32 x 32, after moving",
    "tiles": "r of the best part",
}

FAMILY_MEANING: Final[dict[Family, str]] = {
    "plain": "The synthetic image is laid on every training image as it is. Finds plain copies, "
    "also noisy ones and ones with other brightness.",
    "dihedral": "The same in all eight flips and quarter turns. Finds mirrored and turned copies.",
    "registered": "The closest training images are shifted, turned and zoomed until they fit best; "
    "then their slopes (steps from light to dark) are compared. Finds copies that were moved a "
    "little, and noisy or blended ones.",
    "tiles": "Squares of the image are compared one by one, and the best few count. Finds copies "
    "of a part of an image.",
}

LEVEL_WORDS: Final[dict[str, str]] = {
    "L0": "stored again, brightness or contrast changed",
    "L1": "noise, blur, or mixed with a little of another image",
    "L2": "flipped, turned by quarter turns, shifted or turned a little",
    "L3": "turned, zoomed, shifted, warped or blurred more, or mixed with more of another image",
    "L4": "only a part of the image is copied",
    "L5": "heavily altered",
}
"""For the summary, which repeats no text of the findings."""

CAPTIONS: Final[dict[str, Caption]] = {
    "numbers": Caption(
        "How many synthetic images are listed as copies, of how many patients, and how many of "
        "the listed ones are expected to be mistakes.",
        "No image is listed, and the highest correlation is one that real images of different "
        "people also reach.",
        "Images are listed, and more of them than the mistakes that are expected among them.",
        "Look at the closest pairs below: a number says how close, the pictures say why.",
    ),
    "checks": Caption(
        "What must hold for the verdict to mean anything, and two trials of the audit itself: real "
        "pictures of other people, which it must not list, and copies that it made itself, which "
        "it must find.",
        "Every check says Pass, no real picture of other people is listed, and the bars reach the "
        "90 % mark.",
        "A check says Fail, or real pictures are listed: then the verdict rests on something that "
        "is not so. Short bars: copies altered in this way can be missed.",
        "Mend what the right column says and run the audit again before you decide anything.",
    ),
    "contrast": Caption(
        "By how much the nearest patient is closer than the next one. A copy is close to one "
        "person and to nobody else. Above: real images among other people. Below: the synthetic "
        "images; a filled mark is a copy, a hollow mark an unusual image.",
        "The lower shape lies where the upper one does, and carries no mark.",
        "Marks stand to the right, far from all real images: these images know one particular "
        "patient.",
        "Look at the marked images among the closest pairs. An image counts if it stands out in "
        "any one of the ways of comparing.",
    ),
    "set": Caption(
        "Whether the synthetic images, taken together, point to patients used for training more "
        "often than to held-out patients, who were never shown to the generator.",
        "The mark of this set lies within the grey band: what exchanging the patients at random "
        "gives as well.",
        "The mark lies to the right of the band: the set has kept something of its training "
        "patients, even if no single copy is found.",
        "Train again so that less is learned by heart (fewer passes, more patients), or show that "
        "the difference has another reason, such as another preparation of the held-out images.",
    ),
    "distributions": Caption(
        "For every image, its highest correlation (r: how alike two images are, 1 for equal up to "
        "brightness and contrast) with any image on the other side. One row per comparison, all on "
        "one axis, each scaled to its own highest bar. The triangle is the median: half of the "
        "images lie on either side.",
        "Synthetic \N{RIGHTWARDS ARROW} train lies where real images of other people lie, or to "
        "the left of them.",
        "Synthetic \N{RIGHTWARDS ARROW} train lies to the right of the real images, or has a hump "
        "of its own near 1.",
        "Do not decide by this picture: smooth images are close to everybody. Compare only rows "
        "that search the same images, for the highest of many is higher than the highest of few.",
    ),
    "evidence": Caption(
        "Synthetic image and closest training image, channel by channel, through one window; their "
        "difference after the intensities were fitted; the scatter of their intensities; the "
        "adjacent slices of the training volume.",
        "The same kind of anatomy, but other folds, other vessels, other lesions: the difference "
        "shows outlines in strong colours, the scatter is a cloud.",
        "The same folds, vessels, lesions: the difference is pale and without structure, the "
        "scatter is a line. The adjacent slices then look less alike than the pair does.",
        "Treat a copy as a picture of the patient concerned. Have somebody who knows such images "
        "look at the pairs before they are called copies in writing.",
    ),
    "patients": Caption(
        "Training patients with at least one listed image, most images first.",
        "The table is empty.",
        "Patients appear here; one who appears many times was learned by heart.",
        "Withhold the images listed. Check whether these patients have more, or repeated, images "
        "in the training set.",
    ),
    "most_copied": Caption(
        "Training images that several listed synthetic images point to.",
        "No training image appears.",
        "One training image has many copies.",
        "Look for repeated images of it in the training set, and train again without them.",
    ),
    "rates": Caption(
        "What the number found means for this set, and, apart from that, for images that the "
        "generator may make later. An interval holds the true value in 95 of 100 audits.",
        "No copy was found, and the upper end of the interval is small enough for your purpose.",
        "The lower end of the interval is above nothing: the generator makes copies again and "
        "again.",
        "Quote the two statements apart. Filtering this set does not change the generator.",
    ),
    "literature": Caption(
        "Measures that other authors use, for comparison with their papers. They are never "
        "decisive here.",
        "They agree with the verdict.",
        "They disagree with it: the last column says how each of them goes wrong.",
        "Quote them with their weakness, and decide by the verdict and the pairs.",
    ),
    "duplicates": Caption(
        "Real images that are equal, or almost equal, though they come from different patients, "
        "different sets or different files.",
        "The tables are empty.",
        "A real image is in the training and in the test set: what was held out is not new then, "
        "and copies stay hidden.",
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

TERMS: Final = (
    (
        "r",
        "Pearson correlation: how alike two images are over all pixels, whatever their "
        "brightness and contrast. 1: equal. 0: nothing in common.",
    ),
    (
        "Yardstick",
        "What real images of two different people reach. Only above it is closeness a "
        "sign of copying.",
    ),
    (
        "Contrast",
        "By how much the nearest patient is closer than the next. 0: two patients are "
        "equally near.",
    ),
    ("p", "The chance that a picture of somebody else stands out as much."),
    (
        "Extrapolated",
        "Beyond all real images that were compared: the number comes from a curve "
        "fitted to the most extreme of them, and is less certain.",
    ),
    (
        "r after registration",
        "r after the synthetic image was shifted, turned and zoomed onto the "
        "training image, over the part where both overlap.",
    ),
    ("r within the body", "r without the empty background, which makes all images alike."),
    ("SSIM", "Structural similarity: 1 for equal images."),
    ("NMI", "Shared information of the intensities: 1 for none, 2 for all."),
    (
        "Left over",
        "What remains of the synthetic image after the training image was fitted to "
        "it: nothing for a plain copy, near 100\N{NO-BREAK SPACE}% for unrelated images.",
    ),
)
"""Words of the pair cards, for the reader who meets them first there."""

LIMITS: Final = (
    (
        "That an image is not listed does not show that it copies nobody. It shows that it does "
        "not stand out towards one patient more than real images of other people do, by this "
        "measure."
    ),
    (
        "Copies altered more than those that the audit planted and found can be missed; the "
        "table of planted copies says which were tried."
    ),
    (
        "Two training patients who look almost the same hide copies of both: such an image is "
        "close to two people."
    ),
    (
        "A person can be recognised by other means than a copied picture: a trained network can "
        "link different chest X-rays of one person (Packhäuser et al. 2022, Sci. Rep. 12, "
        "14851)."
    ),
    (
        "Nothing is said about the generator itself, about data outside these sets, or about "
        "later images beyond the rates given. In particular, nothing here allows the generator to "
        "be handed on."
    ),
    (
        "Listed images are likely copies, not proven ones: a small share of mistakes is expected "
        "among them, as stated."
    ),
    (
        "The yardstick comes from real images. Where these are few, of few patients, or "
        "prepared in another way than the synthetic ones, it is less certain than its digits "
        "suggest."
    ),
    "This is a measurement, not a legal assessment.",
)

SUMMARY_SENTENCES: Final[dict[VerdictCode, str]] = {
    "COPIES_FOUND": "Synthetic images reproduce pictures of particular training patients: they are "
    "so close to one patient, and so much closer than to any other, as real pictures of different "
    "people hardly ever are. They should be treated as pictures of the patients concerned.",
    "TRAINING_SIGNAL": "No single synthetic image could be shown to copy a patient. As a whole, "
    "however, the images point to the training patients more often than to comparable patients "
    "who were not used for training.",
    "NO_COPY_DETECTED": "No synthetic image was recognised as a copy of a training image. This is "
    "a statement about copies that the audit can recognise, and about this set of images only.",
    "INCONCLUSIVE": "The available data do not allow a statement. The reasons, and what is needed, "
    "are in the internal report.",
}
