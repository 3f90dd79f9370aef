"""The verdict as a sentence that a reader without statistics can repeat.

In:  the code that was decided, and the parts of `Findings` that it rests on.
Out: text. Nothing is decided here, and no number is made here that the parts do not hold.

Counts stand as "n of N". A lower bound is rounded down and an upper bound up, so that the sentence
never claims more than was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from likeness.report import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness._findings import (
        AffectedPatients,
        Baseline,
        Copy,
        Counts,
        Membership,
        PlantedLevel,
        SelfCheck,
        VerdictCode,
    )

COPIES_ONLY: Final = (
    "This is a statement on copies only: there is no usable test set, so nothing is said about "
    "the set as a whole."
)
TREAT_AS_PATIENTS: Final = "These images should be treated as pictures of the patients concerned."
SAYS_NOTHING: Final = (
    "This says nothing about stronger alterations, about recognising a person by other means (a "
    "trained network can link different chest X-rays of one person), about the generator itself, "
    "or about images outside this set."
)

FEWEST_IMAGES: Final = 300
"""With fewer synthetic images, the rate of copies that stays possible is above one in a hundred."""

_NEEDED = "Needed: "
# Up to here the test of the whole set forbids a clearance.
_DOUBT = 0.05


def verdict_sentence(
    code: VerdictCode,
    *,
    counts: Counts,
    baseline: Baseline,
    affected: AffectedPatients,
    self_check: SelfCheck,
    membership: Membership,
    reasons: Sequence[str],
    copies_only: bool,
    copies: Sequence[Copy] = (),
    patients_known: bool = True,
) -> str:
    """Write the verdict.

    Parameters
    ----------
    counts, baseline, affected, self_check, membership
        As they stand in the findings.
    reasons
        Sentences. For `INCONCLUSIVE` the first says why; those that begin with "Needed: " say what
        would help, and where there is none, it is derived from the parts.
    copies_only
        Whether no usable test set is there, so that nothing can be said about the set as a whole.
    copies
        The listed copies: the sentence says how often real pictures of different people stand out
        as much as the weakest of them. Empty: the sentence says it without a number.
    patients_known
        False where every image counts as a patient of its own.

    Returns
    -------
    str
        Several short sentences.
    """
    if code == "COPIES_FOUND":
        parts = _copies_found(counts, baseline, affected, copies, known=patients_known)
    elif code == "TRAINING_SIGNAL":
        parts = _training_signal(counts, membership)
    elif code == "NO_COPY_DETECTED":
        parts = _no_copy(counts, self_check, copies_only=copies_only)
    else:
        parts = _inconclusive(counts, baseline, self_check, membership, reasons)
    if copies_only and code == "COPIES_FOUND":
        parts.append(COPIES_ONLY)
    # Plain spaces: the sentence also stands in terminals and in JSON.
    return " ".join(part for part in parts if part).replace("\N{NO-BREAK SPACE}", " ")


def what_was_compared(counts: Counts, *, patients_known: bool = True) -> str:
    """Return the sentence on the sizes of the sets."""
    whose = f" of {text.many(counts.train_patients, 'patient')}" if patients_known else ""
    return (
        f"We compared {text.many(counts.synthetic, 'synthetic image')} with "
        f"{text.many(counts.train, 'training image')}{whose}."
    )


def _copies_found(
    counts: Counts,
    baseline: Baseline,
    affected: AffectedPatients,
    copies: Sequence[Copy],
    *,
    known: bool,
) -> list[str]:
    one = counts.flagged == 1
    whose = text.many(affected.seen, "patient" if known else "training image")
    unknown = "" if known else " (whose pictures these are is not known)"
    return [
        what_was_compared(counts, patients_known=known),
        f"{text.many(counts.flagged, 'synthetic image')} {'reproduces' if one else 'reproduce'} a "
        f"picture of a particular training patient; {whose} {_is_are(affected.seen)} "
        f"affected{unknown}.",
        _how_rare(copies),
        f"We expect at most {text.percent_up(baseline.fdr_copy)} of the listed images to be "
        "listed by mistake, on average.",
        "This image should be treated as a picture of the patient concerned."
        if one
        else TREAT_AS_PATIENTS,
    ]


def _how_rare(copies: Sequence[Copy]) -> str:
    counted = [copy for copy in copies if copy.baseline_size > 0]
    start = (
        "The correspondence is so close to one patient, and so much closer than to any other, "
        "that among real pictures of different people "
    )
    if not counted:
        return f"{start}it is rarely or never met."
    weakest = max(counted, key=lambda copy: copy.baseline_above / copy.baseline_size)
    number = text.count(weakest.baseline_above) if weakest.baseline_above else "none"
    return f"{start}it occurred in {number} of {text.many(weakest.baseline_size, 'comparison')}."


def _training_signal(counts: Counts, membership: Membership) -> list[str]:
    parts = [
        f"No single one of the {text.many(counts.synthetic, 'synthetic image')} could be shown to "
        "copy a patient. But as a whole the images point to patients used for training more often "
        "than to comparable patients who were not."
    ]
    if membership.matched_share is not None and membership.expected_share is not None:
        parts[-1] = parts[-1].removesuffix(".") + (
            f" ({text.percent(membership.matched_share)} against "
            f"{text.percent(membership.expected_share)} expected)."
        )
    if membership.p_value is not None:
        parts.append(
            "If training had no influence, chance alone would give as large a share with a "
            f"probability of {text.probability(membership.p_value)}."
        )
    parts.append(
        "The generator has kept something of its training patients, though no picture can be named."
    )
    return parts


def _no_copy(counts: Counts, check: SelfCheck, *, copies_only: bool) -> list[str]:
    judged = counts.synthetic - counts.undefined
    parts = [f"None of the {text.many(judged, 'image')} was recognised as a copy."]
    if counts.undefined:
        parts.append(
            f"{text.many(counts.undefined, 'further image')} "
            f"{'shows' if counts.undefined == 1 else 'show'} nothing that could be compared and "
            f"{'was' if counts.undefined == 1 else 'were'} not judged."
        )
    if copies_only:
        parts.append(COPIES_ONLY)
    levels = [level for level in check.levels if level.mandatory]
    parts += _recognised(levels) if check.run and levels else [_NOT_MEASURED]
    return [*parts, SAYS_NOTHING]


_NOT_MEASURED = (
    "How well this audit recognises altered copies was not measured, so nothing limits the rate "
    "of copies that it may have missed."
)


def _recognised(levels: Sequence[PlantedLevel]) -> list[str]:
    words = "; ".join(level.words for level in levels)
    lowest = min(level.sensitivity_low for level in levels)
    parts = [
        f"We made altered copies ourselves to try the test: it recognises such copies ({words}) in "
        f"at least {text.percent_down(lowest)} of cases."
    ]
    bounds = [level.rate_bound for level in levels]
    highest = max((bound for bound in bounds if bound is not None), default=None)
    if highest is None or None in bounds or highest >= 1:
        return [*parts, "No upper limit for the rate of copies can be given."]
    return [
        *parts,
        f"If the generator made such copies in more than {text.percent_up(highest)} of images, we "
        "would have found at least one with 95 % certainty.",
    ]


def _inconclusive(
    counts: Counts,
    baseline: Baseline,
    check: SelfCheck,
    membership: Membership,
    reasons: Sequence[str],
) -> list[str]:
    why = next((reason for reason in reasons if not reason.startswith(_NEEDED)), "")
    needed = [reason for reason in reasons if reason.startswith(_NEEDED)]
    if not needed:
        needed = [_NEEDED + what_is_needed(counts, baseline, check, membership)]
    parts = ["The available data do not allow a statement."]
    if why:
        parts.append(f"The reason: {why}" if why.endswith(".") else f"The reason: {why}.")
    if counts.flagged:
        parts.append(
            f"{text.many(counts.flagged, 'image')} {_is_are(counts.flagged)} listed as "
            f"{'a copy' if counts.flagged == 1 else 'copies'}; the list cannot be relied on, but "
            "look at the pairs."
        )
    elif baseline.comparison is not None:
        parts.append("No image was listed as a copy, but that is no result here.")
    return [*parts, *needed]


def what_is_needed(
    counts: Counts, baseline: Baseline, check: SelfCheck, membership: Membership
) -> str:
    """Return what would allow a verdict, worst obstacle first."""
    if baseline.comparison is None:
        return "training images of several patients, and the patient of each image."
    if check.run and check.negative is not None and not check.negative.passed:
        return (
            "correct patient ids and sets prepared in one way, so that real pictures of other "
            "people are no longer listed as copies."
        )
    needed = []
    if not check.run:
        needed.append("an audit with its self-check, which measures how well copies are recognised")
    elif not check.sensitive:
        needed.append(
            "more training patients, or images that differ more between patients, so that altered "
            "copies are recognised"
        )
    if counts.synthetic - counts.undefined < FEWEST_IMAGES:
        needed.append(f"at least {FEWEST_IMAGES} synthetic images")
    if membership.available and membership.p_value is not None and membership.p_value <= _DOUBT:
        needed.append("more held-out patients, so that the test of the whole set can decide")
    return "; ".join(needed or ["what the failed checks of this audit name"]) + "."


def _is_are(number: int) -> str:
    return "is" if number == 1 else "are"
