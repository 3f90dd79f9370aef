"""Numbers of the findings as short sentences for a reader without statistics.

Every sentence can be repeated as it stands: counts as "n of N", what a probability is the
probability of, and what a number does not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from likeness.report import text, wording

if TYPE_CHECKING:
    from likeness._findings import (
        AffectedPatients,
        Baseline,
        EqualSize,
        Interval,
        Membership,
        Rates,
        SelfCheck,
    )
    from likeness.report.pair_files import Pair


def yardstick(baseline: Baseline, pair: Pair) -> str:
    """Return what two different patients' images reach, and what this pair reaches."""
    if baseline.median is None or baseline.quantile_99 is None:
        return (
            "There is no yardstick: no real images of different people were compared, so nobody "
            f"can say how unusual r = {text.correlation(pair.correlation)} is."
        )
    sentence = (
        f"Two different patients\N{RIGHT SINGLE QUOTATION MARK} images reach "
        f"{text.correlation(baseline.median)}; one pair in a hundred reaches "
        f"{text.correlation(baseline.quantile_99)}; this pair reaches "
        f"{text.correlation(pair.correlation)}."
    )
    listed = pair.flagged or pair.unusual
    if not listed or pair.correlation is None or pair.correlation >= baseline.quantile_99:
        return sentence
    return f"{sentence} {_why_listed_all_the_same(pair.family)}"


def _why_listed_all_the_same(family: str) -> str:
    """Say what shows where the whole pictures are no closer than those of different people."""
    if family == "tiles":
        return "The whole picture does not show the likeness; a part of it does."
    if family == "registered":
        return (
            "This number does not show the likeness; the outlines, moved to fit, are far closer to "
            "this patient than to anybody else."
        )
    return "It is listed because nobody else is nearly as close, not for this number."


def real_pairs_as_close(pair: Pair) -> str:
    """Return how many real pairs are as close at full size."""
    if not pair.baseline_correlation_size:
        return ""
    number = (
        text.count(pair.baseline_correlation_above) if pair.baseline_correlation_above else "none"
    )
    return (
        f"As close at full size: {number} of {text.count(pair.baseline_correlation_size)} real "
        "images with a picture of another person."
    )


def how_rare(pair: Pair) -> str:
    """Return how often a picture of somebody else stands out as much."""
    if not pair.baseline_size:
        return "There is no baseline of real images to compare it with."
    number = text.count(pair.baseline_above) if pair.baseline_above else "none"
    parts = [
        "Among real pictures of different people, one stood out towards one person as much as "
        f"this in {number} of {text.many(pair.baseline_size, 'comparison')}."
    ]
    if pair.p_value is not None:
        counted = "all four ways of comparing taken into account"
        parts.append(f"Chance of it: {text.probability(pair.p_value)}, {counted}.")
        if pair.extrapolated and pair.p_conservative is not None:
            parts.append(
                "Extrapolated: it lies beyond all real pictures compared. Without extrapolation "
                f"the chance is at most {text.probability(pair.p_conservative)}."
            )
    return " ".join(parts)


def more_patients(affected: AffectedPatients, *, noun: str = "patient") -> str:
    """Return how many patients are affected, and how many more a larger set would affect."""
    if not affected.seen:
        return f"No {noun} has a listed image."
    parts = [
        f"{text.many(affected.seen, noun)} {'has' if affected.seen == 1 else 'have'} a listed "
        f"image; {text.count(affected.singletons) if affected.singletons else 'none'} of them "
        f"{'has' if affected.singletons == 1 else 'have'} exactly one."
    ]
    hidden = round(affected.chao1) - affected.seen
    if hidden > 0:
        parts.append(
            f"That suggests at least {text.many(hidden, 'more ' + noun)} that a larger set would "
            f"show (Chao\N{RIGHT SINGLE QUOTATION MARK}s estimate: {round(affected.chao1):,} in "
            "all, at least)."
        )
    else:
        parts.append(f"Nothing suggests further {noun}s beyond them, as far as this can be seen.")
    if affected.next_new > 0:
        parts.append(
            f"The chance that the next image of this generator shows a {noun} not listed yet is "
            f"{text.probability(affected.next_new)}."
        )
    return " ".join(parts)


def density(rank: float | None) -> str:
    """Return where a patient stands among all by nearness to others, in words."""
    if rank is None:
        return "not known"
    if rank <= 0.1:
        return "looks like almost nobody else: at higher risk"
    if rank <= 1 / 3:
        return "looks like few others"
    return "about as like others as most" if rank <= 2 / 3 else "looks like many others"


def membership(found: Membership) -> list[str]:
    """Return what the test of the set as a whole says, and what it could not have seen."""
    if not found.available or found.matched_share is None or found.expected_share is None:
        return [f"This test is not available: {found.reason}"]
    lines = [
        f"{text.percent(found.matched_share)} of the weight of the synthetic images falls on "
        f"training patients; {text.percent(found.expected_share)} would be expected if training "
        "had no influence. Images that stand out weigh more."
    ]
    if found.band_low is not None and found.band_high is not None:
        lines.append(
            "To see what chance gives, "
            f"{text.many(found.num_train_patients, 'training patient')} and "
            f"{text.many(found.num_test_patients, 'held-out patient')} were exchanged at random, "
            f"{text.many(found.permutations, 'time')}: 95 of 100 such exchanges gave "
            f"{text.percent(found.band_low)} to {text.percent(found.band_high)}."
        )
    if found.p_value is not None:
        lines.append(
            "Chance of a share at least as high without any influence of training (p): "
            f"{text.probability(found.p_value)}."
        )
    if found.delta is not None:
        lines.append(
            f"Strength of the effect (delta): {text.amount(found.delta)}. 0 means no influence of "
            "training, 1 that everything points to training patients."
        )
    if found.fewest_leaked_05 is not None:
        further = ""
        if found.fewest_leaked_01 is not None:
            further = f" (for p of at most 0.01: fewer than {text.count(found.fewest_leaked_01)})"
        lines.append(
            f"Limit of this design: fewer than {text.count(found.fewest_leaked_05)} different "
            f"copied patients cannot be seen in this way{further}. More held-out patients lower it."
        )
    return lines


def membership_reading(found: Membership) -> str:
    """Return the result in one sentence."""
    if not found.available or found.p_value is None:
        return ""
    if found.p_value <= 0.01:
        return "The set points to its training patients more than chance explains."
    if found.p_value <= 0.05:
        return "The set may point to its training patients; chance is not ruled out."
    return (
        "No influence of training is seen in the set as a whole. That does not show that there is "
        "none."
    )


def equal_size(found: EqualSize) -> list[str]:
    """Return the comparison of train and test as if there were equally many patients in both."""
    gap = found.difference
    return [
        "Mean highest correlation of the synthetic images, as if there were "
        f"{text.many(found.num_patients, 'patient')} on either side: "
        f"{text.correlation(found.train_mean)} with training, "
        f"{text.correlation(found.test_mean)} with held-out patients; difference "
        f"{text.correlation(gap.estimate)} (95 of 100: {text.correlation(gap.low)} to "
        f"{text.correlation(gap.high)}).",
        f"With all training patients it is {text.correlation(found.train_mean_all)}. That is not "
        "comparable: the highest of many is higher than the highest of few.",
    ]


def released_set(rates: Rates, flagged: int) -> list[str]:
    """Return what is known of the images at hand."""
    found = f"{text.many(flagged, 'copy', 'copies')} found" if flagged else "No copy was found"
    if rates.num_audited >= rates.num_in_set:
        return [
            f"All {text.many(rates.num_in_set, 'image')} of this set were audited. {found}"
            f"{'' if flagged else ' among them'}. This is a count, not an estimate: what stays "
            "open is only which altered copies the audit can recognise (see the planted copies)."
        ]
    rest = rates.num_in_set - rates.num_audited
    return [
        f"{text.count(rates.num_audited)} of {text.many(rates.num_in_set, 'image')} of this set "
        f"were audited. {found}. With 95\N{NO-BREAK SPACE}% certainty at most "
        f"{text.many(rates.unseen_in_set, 'recognisable copy', 'recognisable copies')} "
        f"{'is' if rates.unseen_in_set == 1 else 'are'} among the {text.count(rest)} others."
    ]


def future_images(rates: Rates, flagged: int, check: SelfCheck) -> list[str]:
    """Return what follows for images that the same generator makes later."""
    share = text.share(flagged, rates.num_audited)
    lines = [
        f"Copies among the images audited: {share}. For further images of the same generator, made "
        f"in the same way, the rate of recognisable copies lies between {ends(rates.copy_rate)} "
        "(right in 95 of 100 audits)."
    ]
    for level in (level for level in check.levels if level.mandatory):
        bound = level.rate_bound
        limit = "no upper limit can be given."
        if bound is not None and bound < 1:
            limit = f"at most {text.percent_up(bound)} of images."
        lines.append(
            f"Copies of level {level.level} ({level.words}), also those that the audit overlooks: "
            f"{limit}"
        )
    if not check.run:
        lines.append(
            "How many copies the audit overlooks was not measured, so this is no upper limit for "
            "altered copies."
        )
    return lines


def ends(interval: Interval) -> str:
    """Write both ends of an interval of rates."""
    low = signed_percent(interval.low) if interval.low else "none"
    high = text.percent_up(interval.high) if interval.high > 0 else signed_percent(interval.high)
    return f"{low} and {high}"


def signed_percent(rate: float) -> str:
    """Write a rate that may be negative."""
    return f"\N{MINUS SIGN}{text.percent(-rate)}" if rate < 0 else text.percent(rate)


def negative_control(check: SelfCheck) -> list[str]:
    """Return how real pictures of other people fared when judged as if they were synthetic."""
    found = check.negative
    if found is None or found.source == "none":
        return ["No real pictures were judged as if they were synthetic."]
    whose = (
        "held-out patients, who were never shown to the generator"
        if found.source == "test"
        else "training patients, each compared with the others only"
    )
    number = text.count(found.num_flagged) if found.num_flagged else "none"
    lines = [
        f"Negative control: {text.many(found.num_images, 'real picture')} of {whose}, judged as if "
        f"they were synthetic, in {text.many(found.num_folds, 'group')}. Listed as copies: "
        f"{number} of {text.count(found.num_images)}, in "
        f"{text.count(found.folds_with_flags) if found.folds_with_flags else 'none'} of "
        f"{text.many(found.num_folds, 'group')}. "
        + ("Passed." if found.passed else "Failed: the list of copies cannot be relied on."),
        f"A chance (p) of at most 1 in 100: {text.percent(found.share_below_01)} of them, where "
        "about 1.0\N{NO-BREAK SPACE}% should.",
    ]
    if found.inflation > 1:
        lines.append(
            "All chances in this report were therefore multiplied by "
            f"{text.amount(found.inflation)}."
        )
    if found.membership_p is not None:
        lines.append(
            "The test of the set as a whole, on pictures of held-out people that no generator "
            f"made, gave "
            f"p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{text.amount(found.membership_p)}."
        )
    return lines


def family(name: str) -> str:
    """Return a way of comparing in words."""
    return wording.FAMILY_WORDS.get(name, name)


SELF_CHECK_ABSENT: Final = (
    "The self-check was not run: nobody can say which altered copies this audit recognises, or "
    "whether it lists real pictures of other people."
)
