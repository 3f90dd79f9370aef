"""Bytes to read from, and the promise that nothing but `UnreadableImageError` comes out.

A `Source` is an open file or a member of an archive held in memory; readers built on
`SourceReader` work on both, which is how a PNG inside a ZIP is read without being extracted.
"""

from __future__ import annotations

import io
import os
import re
import stat
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn, TypeVar

from likeness.errors import UnreadableImageError
from likeness.readers._base import HEAD_BYTES, Header, Page, ReadOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Parts = TypeVar("_Parts")
_ADDRESS: Final = re.compile(r"<\S+ object at 0x[0-9a-fA-F]+>")


@dataclass(frozen=True, eq=False)
class Source:
    """Where bytes come from, and how to call it in a message."""

    label: Path | str
    """Path of the file, or ``archive::member``."""
    stream: IO[bytes]
    """Seekable, at any position."""
    size: int
    """Bytes."""

    def read_all(self, options: ReadOptions) -> bytes:
        """Return all bytes, unless they are more than any image within the limits can need."""
        self.check_size(options)
        self.stream.seek(0)
        return self.stream.read()

    def check_size(self, options: ReadOptions) -> None:
        """Refuse a file that is larger than any image within the limits can be."""
        limit = 16 * options.max_values + (64 << 20)  # twice 64 bits, and a generous header
        if self.size > limit:
            self.refuse(
                "too_large", f"the file has {self.size:,} bytes; an image may have {limit:,}"
            )

    def head(self) -> bytes:
        """Return the first 4,096 bytes."""
        self.stream.seek(0)
        return self.stream.read(HEAD_BYTES)

    def parse_start(
        self, parse: Callable[[bytes], _Parts], length: int, options: ReadOptions
    ) -> _Parts:
        """Parse the headers in the head; where they are longer, in `length` bytes, or in all.

        Parameters
        ----------
        parse
            Refuses as ``truncated`` what goes on behind the bytes that it was given.
        """
        for size in (HEAD_BYTES, length):
            self.stream.seek(0)
            try:
                return parse(self.stream.read(min(size, self.size)))
            except UnreadableImageError as error:
                if error.code != "truncated" or size >= self.size:
                    raise
        return parse(self.read_all(options))

    def error(self, code: str, reason: str) -> UnreadableImageError:
        """Make an error about this source."""
        return UnreadableImageError(self.label, code, reason)

    def refuse(self, code: str, reason: str) -> NoReturn:
        """Raise an error about this source."""
        raise UnreadableImageError(self.label, code, reason)


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open an ordinary file; pipes and devices, which may block for ever, are refused unopened."""
    with _guarded(path):
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableImageError(path, "not_a_file", "this is not an ordinary file")
        # A pipe that took the file's place since must not block either.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
        with os.fdopen(descriptor, "rb") as stream:
            yield Source(path, stream, os.fstat(descriptor).st_size)


@contextmanager
def opened_in_memory(content: bytes, path: Path) -> Iterator[Source]:
    """Do what `opened` does for a file whose bytes are in memory already."""
    with _guarded(path):
        yield in_memory(content, path)


def in_memory(content: bytes, label: Path | str) -> Source:
    """Return a source for bytes that are in memory already."""
    return Source(label, io.BytesIO(content), len(content))


@contextmanager
def _guarded(label: Path | str) -> Iterator[None]:
    """Turn everything that a decoder may throw at a bad file into an `UnreadableImageError`."""
    try:
        yield
    except UnreadableImageError:
        raise
    except FileNotFoundError as error:
        reason = "there is no such file (a dangling link?)"
        raise UnreadableImageError(label, "missing", reason) from error
    except (PermissionError, BlockingIOError) as error:
        reason = f"the system refuses to open it: {error.strerror}"
        raise UnreadableImageError(label, "cannot_open", reason) from error
    except MemoryError as error:
        reason = "decoding needs more memory than there is"
        raise UnreadableImageError(label, "too_large", reason) from error
    except OSError as error:
        # Without an errno it is a decoder that speaks, not the system.
        code = "cannot_open" if error.errno is not None else "damaged"
        raise UnreadableImageError(label, code, _sentence(error)) from error
    except Exception as error:
        raise UnreadableImageError(label, "damaged", _sentence(error)) from error


def _sentence(error: Exception) -> str:
    """Return the words of a foreign exception on one line, the same in every run."""
    words = _ADDRESS.sub("an object in memory", " ".join(str(error).split()))[:300]
    return f"the decoder gives up: {words or 'no reason given'} ({type(error).__name__})"


class SourceReader(ABC):
    """A reader that works on a `Source`, and so on members of archives too."""

    name: str
    suffixes: tuple[str, ...] = ()

    @abstractmethod
    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether the file that starts with `head` is one of this reader's."""

    @abstractmethod
    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return what the headers say."""

    @abstractmethod
    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the pages."""

    def describe(self, path: Path, options: ReadOptions) -> Header:
        """Return what the headers say."""
        with opened(Path(path)) as source:
            return self.describe_source(source, options)

    def read(self, path: Path, options: ReadOptions) -> Iterator[Page | UnreadableImageError]:
        """Yield the pages."""
        with opened(Path(path)) as source:
            yield from self.read_source(source, options)

    def describe_guarded(self, source: Source, options: ReadOptions) -> Header:
        """Return what the headers say, with foreign exceptions turned into our own."""
        with _guarded(source.label):
            return self.describe_source(source, options)

    def read_source(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the pages, with every foreign exception turned into an `UnreadableImageError`."""
        pages = self.pages_of(source, options)
        while True:
            with _guarded(source.label):  # closed again before the page is handed out
                try:
                    page = next(pages)
                except StopIteration:
                    return
            yield page
