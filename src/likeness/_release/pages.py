"""The record as a page and the limits as a text, both made from the record alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from likeness._release.record import REASON_WORDS
from likeness.report import wording
from likeness.report.render import render
from likeness.report.wording import Caption

if TYPE_CHECKING:
    from collections.abc import Mapping

CAPTIONS: Final[dict[str, Caption]] = {
    "numbers": Caption(
        "How many images came out, how many were withheld, and by which rule. An image can meet "
        "several rules.",
        "Few images are withheld, and nearly all of them by the wider list of the gate, which also "
        "holds back images that copy nobody.",
        "Many images are withheld, or many were listed as copies: the generator has learned "
        "patients by heart, and filtering its images does not unlearn it.",
        "Ask the sender about a high share. Train again rather than filter more.",
    ),
    "policy": Caption(
        "The rules that were applied. Rules weaker than the usual ones are named.",
        "No rule is weaker than usual.",
        "A requirement was switched off: what it protects from was not looked at.",
        "Ask why a rule was weakened before you rely on the rest.",
    ),
    "gate": Caption(
        "How good the gate was on these data: copies that the audit made itself and would list as "
        "the only copy in the set (the gate withholds more than that list), real pictures of "
        "held-out people that pass, and whether small changes change the decision.",
        "Nearly all planted copies are caught, nearly all real pictures pass, the index of "
        "consistency is close to 1.",
        "A level of alteration with a low share caught: copies altered that much may be among the "
        "images.",
        "Read the lower limits, not the estimates; decide with the weakest level in view.",
    ),
    "tested": Caption(
        "What was compared, and what was not looked at.",
        "You decide with both lists in view.",
        "The first list is quoted without the second.",
        "Hand both on with the images.",
    ),
    "hashes": Caption(
        "Numbers that change when a file, the rules or the audit change.",
        "The command likeness release --verify FOLDER finds every byte as it was written, and the "
        "sender names the same hash of the record.",
        "A hash differs: something was changed after the release.",
        "Do not use the images; ask the sender for them again.",
    ),
}


def record_page(record: Mapping[str, Any]) -> str:
    """Return ``release_record.html``."""
    return render(
        "release.html.j2",
        record=record,
        numbers=record["numbers"],
        reason_words=REASON_WORDS,
        captions=CAPTIONS,
        policy_rows=_policy_rows(record["policy"]),
    )


def limits_text(record: Mapping[str, Any]) -> str:
    """Return ``LIMITS.md``: what the release does not show."""
    sensitivity = [
        f"- {row['level']} ({row['alterations']}): {row['caught']} of {row['planted']} planted "
        f"copies caught, at least {row['at_least']:.1%} in truth; {_rate(row['rate_below'])}."
        for row in record["sensitivity"]
    ]
    return "\n".join(
        [
            "# What these images are, and what was not shown",
            "",
            f"{record['numbers']['released']:,} synthetic medical images. Copies of training "
            "images were looked for and withheld before the images were handed on; "
            "`release_record.html` says by which rules.",
            "",
            "## Which copies would have been noticed",
            "",
            *(sensitivity or ["- The audit planted no copies: nothing is known."]),
            "",
            "## What was not tested",
            "",
            *(f"- {line}" for line in record["not_tested"]),
            "",
            "## What does not follow",
            "",
            *(f"- {line}" for line in wording.LIMITS),
            "- An image is withheld for what it is itself. A near-duplicate of a withheld image "
            "that meets no rule of its own is among the released ones.",
            "- The order of the images is random; their names and times tell nothing.",
            "- The checksums show that nothing changed since the release, not who made it.",
            "",
        ]
    )


def _rate(rate: float | None) -> str:
    if rate is None:
        return "no limit can be given for how often the generator makes such copies"
    return f"the generator makes such copies in fewer than {rate:.2%} of its images"


def _policy_rows(policy: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (f"{section}.{key}", _shown(value))
        for section, keys in policy.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    ]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
