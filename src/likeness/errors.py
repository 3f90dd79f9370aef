"""Everything that Likeness raises on purpose.

LikenessError                     exit
+-- OptionError                    2    a setting is out of range or contradicts another
+-- MissingExtraError              2    an optional package is absent
+-- InputError                     3    what was given cannot be used
|   +-- UnreadableImageError            one file cannot be decoded (.path .code .reason)
|   +-- ImageMismatchError              shapes, channels or number types differ
|   +-- NoImagesError                   nothing usable was found
|   +-- ManifestError                   a table does not say what it must
|   +-- SplitOverlapError               a patient is in two sets
|   +-- TooManySkippedError             more files were left out than allowed
|   +-- DamagedSetError                 an image set does not match its checksums
|   +-- SourceChangedError              files changed since they were read
|   +-- FormatVersionError              written by another version
|   +-- MemoryBudgetError               the smallest plan does not fit
|   +-- ClusterError                    the machines of --cluster cannot do the work
+-- LockedError                    6    another run is at work in that folder
+-- OutputError                    7    cannot write

Messages say what is wrong (with the value), where, what was expected and what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class LikenessError(Exception):
    """Root of all errors that have a message for the user."""

    exit_code: ClassVar[int] = 70


class OptionError(LikenessError):
    """A setting is out of range or contradicts another."""

    exit_code = 2


class MissingExtraError(LikenessError):
    """An optional package is absent; the message ends with the line that installs it."""

    exit_code = 2


class InputError(LikenessError):
    """What was given cannot be used."""

    exit_code = 3


class UnreadableImageError(InputError):
    """One file, or one member of an archive, cannot be decoded.

    Parameters
    ----------
    path
        The file; for a member of an archive ``archive.zip::member``.
    code
        One word for the kind of damage, stable across versions, for example ``truncated``.
    reason
        What is wrong, in words for the person who has to mend it.
    """

    def __init__(self, path: Path | str, code: str, reason: str) -> None:
        self.path = path
        self.code = code
        self.reason = reason
        super().__init__(f"{str(path)!r}: {reason} [{code}]")

    def __reduce__(self) -> tuple[type[UnreadableImageError], tuple[Path | str, str, str]]:
        return type(self), (self.path, self.code, self.reason)


class ImageMismatchError(InputError):
    """Images that must agree differ in shape, channels, number type or orientation."""


class NoImagesError(InputError):
    """No usable image was found."""


class ManifestError(InputError):
    """A table lacks a column or holds a value that it must not hold."""


class SplitOverlapError(InputError):
    """A patient would be in two sets that must be disjoint."""


class TooManySkippedError(InputError):
    """More files were left out than the caller allows."""


class DamagedSetError(InputError):
    """An image set does not match its own checksums."""


class SourceChangedError(InputError):
    """Files changed since they were read."""


class FormatVersionError(InputError):
    """A file was written by a version whose format this one does not read."""


class MemoryBudgetError(InputError):
    """Even the smallest plan needs more memory than the budget."""


class ClusterError(InputError):
    """The machines of a cluster do not answer, or do not see what they must see."""


class LockedError(LikenessError):
    """Another run is at work in that folder."""

    exit_code = 6


class OutputError(LikenessError):
    """The result cannot be written: disk full, quota, read-only, or a foreign folder."""

    exit_code = 7
