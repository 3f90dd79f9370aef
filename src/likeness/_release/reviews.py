"""What people said about single images: the review file.

::

    {"format_name": "likeness review", "format_version": 1,
     "approved_by": ["AB"],
     "decisions": [{"image_id": "s01.png", "decision": "not a copy", "reviewer": "AB"}]}

A review can withhold any image. It can release an image only from the review band: what a rule
withholds, no reviewer brings back.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from likeness._files import hash_of_json
from likeness.errors import FormatVersionError, InputError

FORMAT_NAME: Final = "likeness review"
FORMAT_VERSION: Final = 1
LONGEST_NAME: Final = 80

_KEYS: Final = ("format_name", "format_version", "approved_by", "decisions")
_ROW_KEYS: Final = ("image_id", "decision", "reviewer", "note")
"""A note is for people; it goes nowhere."""

Word: TypeAlias = Literal["copy", "not a copy", "unsure"]


@dataclass(frozen=True)
class ReviewDecision:
    """What one person said about one image."""

    image_id: str
    decision: Word
    reviewer: str = ""


@dataclass(frozen=True)
class Review:
    """All that was said."""

    decisions: tuple[ReviewDecision, ...] = ()
    approved_by: tuple[str, ...] = ()
    """People who approve the release as a whole."""
    sha256: str = field(default="", compare=False)
    """Of the content of the file; empty where there is none."""

    def about(self, image_id: str) -> list[ReviewDecision]:
        """Return what was said about an image."""
        return [decision for decision in self.decisions if decision.image_id == image_id]

    @property
    def reviewers(self) -> tuple[str, ...]:
        """Everybody who is named, sorted."""
        named = {decision.reviewer for decision in self.decisions} | set(self.approved_by)
        return tuple(sorted(named - {""}))


def read_review(path: Path | str) -> Review:
    """Read a review file.

    Raises
    ------
    InputError
        If it cannot be read, does not follow the format, or says something unknown.
    FormatVersionError
        If it has another format version.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"The review {str(path)!r} cannot be read: {error.strerror}."
        raise InputError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"The review {str(path)!r} is not JSON: {error}."
        raise InputError(msg) from error
    return review_from_dict(content, where=str(path))


def review_from_dict(content: Any, *, where: str) -> Review:  # noqa: ANN401 - JSON
    """Make a review of the content of a file; `where` is named in errors."""
    if not isinstance(content, dict) or content.get("format_name") != FORMAT_NAME:
        msg = f"{where!r} is not a review: its format_name must be {FORMAT_NAME!r}."
        raise InputError(msg)
    if content.get("format_version") != FORMAT_VERSION:
        msg = (
            f"{where!r} has format_version {content.get('format_version')!r}; this Likeness reads "
            f"{FORMAT_VERSION}."
        )
        raise FormatVersionError(msg)
    _refuse_unknown_keys(content, _KEYS, where)
    rows, names = content.get("decisions", []), content.get("approved_by", [])
    if not isinstance(rows, list) or not isinstance(names, list):
        msg = f"{where!r}: decisions and approved_by must be lists."
        raise InputError(msg)
    return Review(
        tuple(_decision(row, number, where) for number, row in enumerate(rows)),
        tuple(_name(name, where) for name in names),
        hash_of_json(content),
    )


def refuse_unknown_images(review: Review, image_ids: Collection[str]) -> None:
    """Raise if the review speaks of images that were not audited: it belongs to another set.

    Raises
    ------
    InputError
        Naming the first of them.
    """
    known = set(image_ids)
    unknown = sorted({d.image_id for d in review.decisions} - known)
    if unknown:
        msg = (
            f"The review names {len(unknown)} images that the audit does not know, the first is "
            f"{unknown[0]!r}. It belongs to another audit; give the review of this one."
        )
        raise InputError(msg)


def _refuse_unknown_keys(content: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise on a misspelt key: what stands under it would not be heard, and nobody would notice."""
    for key in content:
        if key not in known:
            msg = f"{where!r} has the unknown key {key[:80]!r}; known there: {', '.join(known)}."
            raise InputError(msg)


def _decision(row: Any, number: int, where: str) -> ReviewDecision:  # noqa: ANN401 - JSON
    if not isinstance(row, dict) or not isinstance(row.get("image_id"), str):
        msg = f"{where!r}: decision {number} has no image_id."
        raise InputError(msg)
    _refuse_unknown_keys(row, _ROW_KEYS, where)
    word: Any = row.get("decision")
    if word not in get_args(Word):
        msg = (
            f"{where!r}: the decision about {row['image_id']!r} is {word!r}; expected one of "
            f"{', '.join(map(repr, get_args(Word)))}."
        )
        raise InputError(msg)
    return ReviewDecision(row["image_id"], word, _name(row.get("reviewer", ""), where))


def _name(name: Any, where: str) -> str:  # noqa: ANN401 - JSON
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not name.isprintable():
        msg = (
            f"{where!r}: a reviewer is {str(name)[:LONGEST_NAME]!r}; expected a name or initials "
            f"of at most {LONGEST_NAME} printable characters."
        )
        raise InputError(msg)
    return name.strip()
