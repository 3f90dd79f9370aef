"""What is not the same in all audits: sets, sizes, settings, engines, versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from likeness._compare.reading import Audited
from likeness.errors import ImageMismatchError

UNLIKE: Final = ("image shape", "channels compared")
"""With these another number is called r."""
DECIDING: Final = ("setting fdr", "setting flips", "setting top_patients", "setting near_duplicate")
"""With these other images are listed as copies."""
_HIDDEN: Final = ("train", "test", "synthetic", "manifest", "channels", "patient_id")
"""Paths may hold names of patients, and sets are compared by what is in them; the others are told
in their own words."""


def differing(audits: Sequence[Audited]) -> dict[str, list[str]]:
    """Return what is not the same in all audits, with its value in each."""
    told: dict[str, list[str]] = {}

    def note(name: str, values: list[str]) -> None:
        if len(set(values)) > 1:
            told[name] = values

    for role in ("train", "test", "synthetic"):
        sets = [one.about(role) for one in audits]
        note(f"{role} set", ["none" if one is None else one.fingerprint[:12] for one in sets])
        note(f"{role} images", ["-" if one is None else f"{one.num_images:,}" for one in sets])
        if role != "synthetic":
            note(f"{role} patients", ["-" if s is None else _people(s.num_patients) for s in sets])
            note(f"{role} patients told by", _rules(["-" if s is None else s.patient_rule
                                                     for s in sets]))  # fmt: skip
    train = [one.about("train") for one in audits]
    note("image shape", ["-" if one is None else " x ".join(map(str, one.shape)) for one in train])
    note("number type", ["-" if one is None else one.dtype for one in train])
    note("channels compared", ["+".join(one.compared_channels) for one in audits])
    note("baseline", [one.baseline_of or "none" for one in audits])
    names = sorted({name for one in audits for name in one.settings} - set(_HIDDEN))
    for name in names:
        note(f"setting {name}", [str(one.settings.get(name, "absent")) for one in audits])
    note("engine", [one.findings.provenance.engine for one in audits])
    packages = sorted({name for one in audits for name in one.findings.provenance.versions})
    for name in packages:
        note(
            f"version of {name}",
            [one.findings.provenance.versions.get(name, "absent") for one in audits],
        )
    return told


def unlike(differences: dict[str, list[str]]) -> str:
    """Say in what the images differ that are compared; empty if in nothing."""
    return "; ".join(f"{name}: {', '.join(differences[name])}" for name in UNLIKE
                     if name in differences)  # fmt: skip


def refuse_unlike(differences: dict[str, list[str]]) -> None:
    """Raise if r is of other channels or sizes.

    Raises
    ------
    ImageMismatchError
        With what differs.
    """
    told = unlike(differences)
    if told:
        msg = (
            f"The audits are of unlike images ({told}): correlations of other channels or sizes "
            "cannot be compared. With --different they stand in one table all the same."
        )
        raise ImageMismatchError(msg)


def _people(number: int) -> str:
    return f"{number:,}" if number else "not known"


def _rules(rules: list[str]) -> list[str]:
    """Return the kinds of rules; a rule itself may hold a name, so several of a kind are counted.

    For example ``regex:(P[0-9]+)`` is told as ``regex``.
    """
    kinds = [rule.partition(":")[0] for rule in rules]
    told = []
    for rule, kind in zip(rules, kinds, strict=True):
        alike = list(dict.fromkeys(r for r, k in zip(rules, kinds, strict=True) if k == kind))
        told.append(kind if len(alike) == 1 else f"{kind} {alike.index(rule) + 1}")
    return told
