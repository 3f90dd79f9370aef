"""Put sibling files together: one image of several channels from one file per sequence.

Three ways are known: the folders of the paper (``T1/007T1.png``, ``FLAIR/007flair.png`` ...), the
endings of BraTS (``X_t1.nii.gz``, ``X-t2f.nii.gz`` ...), and a pattern of the user such as
``{id}_{channel}.png`` or ``{channel}/{id}.png``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from likeness.datasets.accounting import LeftOut
from likeness.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from likeness.datasets.walk import SourceFile

PAPER_CHANNELS: Final = ("t1", "t2", "flair", "t1ce", "seg")
"""The order of the channels in the authors' files."""

ANNOTATIONS: Final = ("seg",)
"""Channels that hold labels, not intensities."""

_Match: TypeAlias = Callable[[str], tuple[str, str] | None]

_BRATS_NAMES: Final = {
    "t1": "t1",
    "t1n": "t1",
    "t1ce": "t1ce",
    "t1c": "t1ce",
    "t1gd": "t1ce",
    "t2": "t2",
    "t2w": "t2",
    "flair": "flair",
    "t2f": "flair",
    "seg": "seg",
}
_BRATS: Final = re.compile(
    r"(?P<id>.+)[_-](?P<channel>t1n|t1ce|t1c|t1gd|t1|t2w|t2f|t2|flair|seg)\.(?P<end>[a-z.]+)",
    re.IGNORECASE,
)
_PAPER: Final = re.compile(
    r"(?P<before>(?:.*/)?)(?P<folder>T1|T2|FLAIR|T1CE|Seg)/(?P<id>[^/]+?)"
    r"(?P<channel>T1ce|T1|T2|flair|seg)\.(?P<end>[A-Za-z]+)",
)


@dataclass(frozen=True)
class Group:
    """The files of one image or volume, one per channel."""

    key: str
    files: tuple[SourceFile, ...]
    """In the order of the channels asked for."""
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Groups:
    """What `group_sequences` made of a list of files."""

    layout: str
    channels: tuple[str, ...]
    groups: tuple[Group, ...]
    left_out: tuple[LeftOut, ...]


def match_paper(text: str) -> tuple[str, str] | None:
    """Return (id, channel) of a path in the paper's folders, or None."""
    match = _PAPER.fullmatch(text)
    if match is None or match["folder"].lower() != match["channel"].lower():
        return None
    return match["before"] + match["id"], match["channel"].lower()


def match_brats(text: str) -> tuple[str, str] | None:
    """Return (id, channel) of a path with an ending of BraTS, or None."""
    match = _BRATS.fullmatch(text)
    if match is None:
        return None
    return match["id"], _BRATS_NAMES[match["channel"].lower()]


def detect_layout(files: Sequence[SourceFile]) -> str | None:
    """Return ``paper`` or ``brats`` where 95 % of the files follow it and form groups, or None."""
    for name, matcher in (("paper", match_paper), ("brats", match_brats)):
        matches = [found for file in files if (found := matcher(file.text)) is not None]
        if files and len(matches) >= 0.95 * len(files) and len({c for _, c in matches}) > 1:
            return name
    return None


def group_sequences(
    files: Sequence[SourceFile],
    *,
    layout: str,
    channels: Sequence[str] | None = None,
    allow_missing: Iterable[str] = (),
) -> Groups:
    """Group files by what their paths say.

    Parameters
    ----------
    files
        Candidates; those that the layout does not describe are left out as ``not_selected``.
    layout
        ``paper``, ``brats``, or a pattern with ``{id}`` and ``{channel}``.
    channels
        The channels wanted, in order; None for all that occur (in the paper's order where they are
        the paper's).
    allow_missing
        Channels that a group may lack.

    Raises
    ------
    OptionError
        If the pattern is none, or a channel wanted is nowhere.
    """
    matcher = _matcher(layout, channels)
    members: defaultdict[str, defaultdict[str, list[SourceFile]]]
    members = defaultdict(lambda: defaultdict(list))
    left_out = []
    for file in files:
        found = matcher(file.text)
        if found is None:
            reason = f"its name does not follow the layout {layout!r}"
            left_out.append(_left_out(file, "not_selected", reason))
        else:
            members[found[0]][found[1]].append(file)
    present = {channel for group in members.values() for channel in group}
    wanted = _wanted(channels, present, allow_missing)
    groups = []
    for key in sorted(members):
        group = members[key]
        for channel, extra in group.items():
            if channel not in wanted:
                reason = f"the sequence {channel!r} was not asked for"
                left_out += [_left_out(file, "not_selected", reason) for file in extra]
        chosen = {channel: group[channel] for channel in wanted if channel in group}
        problem = _problem(key, chosen, wanted, allow_missing)
        if problem is not None:
            every = [file for some in chosen.values() for file in some]
            left_out += [_left_out(file, *problem) for file in every]
        else:
            firsts = tuple(chosen[channel][0] for channel in wanted if channel in chosen)
            groups.append(Group(key, firsts, tuple(c for c in wanted if c in chosen)))
    return Groups(layout, wanted, tuple(groups), tuple(left_out))


def _problem(
    key: str,
    chosen: dict[str, list[SourceFile]],
    wanted: tuple[str, ...],
    allow_missing: Iterable[str],
) -> tuple[str, str] | None:
    missing = [c for c in wanted if c not in chosen and c not in set(allow_missing)]
    if missing:
        return "missing_channel", f"{key!r} has no file for {', '.join(missing)}"
    for channel, some in chosen.items():
        if len(some) > 1:
            names = " and ".join(repr(file.name) for file in some[:2])
            return "ambiguous_channel", f"{key!r} has several files for {channel}: {names}"
    return None


def _wanted(
    channels: Sequence[str] | None, present: set[str], allow_missing: Iterable[str]
) -> tuple[str, ...]:
    if channels is None:
        known = [name for name in PAPER_CHANNELS if name in present]
        return (*known, *sorted(present.difference(known)))
    absent = [name for name in channels if name not in present and name not in set(allow_missing)]
    if absent or len(set(channels)) != len(channels):
        msg = (
            f"--channels is {','.join(channels)!r}, but the files have {', '.join(sorted(present))}"
            ". Name each channel that is there at most once."
        )
        raise OptionError(msg)
    return tuple(channels)


def _matcher(layout: str, channels: Sequence[str] | None) -> _Match:
    if layout == "paper":
        return match_paper
    if layout == "brats":
        return match_brats
    if layout.count("{id}") != 1 or layout.count("{channel}") != 1:
        msg = (
            f"--sequences is {layout!r}; expected 'paper', 'brats' or a pattern with {{id}} and "
            "{channel}, for example '{id}_{channel}.png'."
        )
        raise OptionError(msg)
    names = "|".join(map(re.escape, sorted(channels, key=len, reverse=True))) if channels else ""
    pattern = re.escape(layout).replace(r"\{id\}", "(?P<id>[^/]+)")
    pattern = pattern.replace(r"\{channel\}", f"(?P<channel>{names or '[^/]+?'})")
    compiled = re.compile(f"(?P<before>(?:.*/)?){pattern}")

    def match(text: str) -> tuple[str, str] | None:
        found = compiled.fullmatch(text)
        return None if found is None else (found["before"] + found["id"], found["channel"])

    return match


def _left_out(file: SourceFile, code: str, reason: str) -> LeftOut:
    return LeftOut(file.text, "group", code, reason, file.num_bytes)
