"""The contract of `likeness.readers.ImageReader`, as tests.

A reader of another format is checked like this::

    class TestMhaReader(ImageReaderTests):
        has_checksum = False

        def reader(self) -> ImageReader:
            return MhaReader()

        def samples(self, folder: Path) -> list[Sample]:
            pixels = np.arange(64 * 48, dtype=np.int16).reshape(1, 64, 48)
            write_mha(folder / "ramp.mha", pixels)
            return [Sample(folder / "ramp.mha", [pixels])]

The samples should be small: each is damaged and read `num_damaged` times.
"""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from likeness.errors import UnreadableImageError
from likeness.readers import CODES, ImageReader, Page, ReadOptions, registered_readers
from likeness.readers._base import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likeness.types import Image


@dataclass(frozen=True, eq=False)
class Sample:
    """A file and what must come out of it."""

    path: Path
    pixels: Sequence[Image]
    """The pages, each (C, H, W), in the order of the file."""
    options: ReadOptions = field(default_factory=ReadOptions)


class ImageReaderTests:
    """The promises of a reader; pytest collects the subclass that fills in the hooks."""

    has_checksum: bool = False
    """The format carries checksums of its pixels, so that no damage may ever change one."""
    may_end_early: bool = False
    """A file cut short may still be read where its pixels are complete."""
    num_damaged: int = 200
    """How many times each sample is damaged, by cutting it short and by flipping one bit."""
    seed: int = 20_250_101

    def reader(self) -> ImageReader:
        """Return the reader under test."""
        raise NotImplementedError

    def samples(self, folder: Path) -> Sequence[Sample]:
        """Write good files into `folder` and say what they hold."""
        raise NotImplementedError

    def test_name_and_suffixes(self) -> None:
        """The name is short and lower case; suffixes are lower case with their dot."""
        reader = self.reader()
        assert reader.name.isidentifier(), reader.name
        assert reader.name == reader.name.lower(), reader.name
        assert reader.suffixes, "a reader names at least one suffix"
        for suffix in reader.suffixes:
            assert suffix.startswith("."), suffix
            assert suffix == suffix.lower(), suffix

    def test_recognises_by_content_alone(self, tmp_path: Path) -> None:
        """The first bytes decide: the path may lie, or lead nowhere."""
        reader = self.reader()
        for sample in self.samples(tmp_path):
            head = sample.path.read_bytes()[:HEAD_BYTES]
            nowhere = tmp_path / "absent" / "name.txt"
            assert reader.recognises(head, nowhere), sample.path.name

    def test_recognises_no_other_content(self) -> None:
        """Text, zeros, noise and nothing at all are not recognised, and raise nothing."""
        reader = self.reader()
        noise = np.random.default_rng(self.seed).bytes(HEAD_BYTES)
        here = type(self).__module__
        for head in (b"", b"\x00", bytes(HEAD_BYTES), b"<html><body>404", noise, here.encode()):
            assert not reader.recognises(head, Path("any")), head[:16]

    def test_no_other_reader_recognises_it(self, tmp_path: Path) -> None:
        """Two readers never claim the same file."""
        reader = self.reader()
        others = [other for other in registered_readers() if other.name != reader.name]
        for sample in self.samples(tmp_path):
            head = sample.path.read_bytes()[:HEAD_BYTES]
            claims = [other.name for other in others if other.recognises(head, sample.path)]
            assert not claims, f"{sample.path.name} is claimed by {claims}"

    def test_pixels_are_those_of_the_file(self, tmp_path: Path) -> None:
        """Every page has the expected numbers, in the expected number type."""
        for sample in self.samples(tmp_path):
            pages = self._read(sample)
            assert len(pages) == len(sample.pixels), sample.path.name
            for page, expected in zip(pages, sample.pixels, strict=True):
                assert page.pixels.dtype == expected.dtype, (sample.path.name, page.pixels.dtype)
                assert page.pixels.shape == expected.shape, (sample.path.name, page.pixels.shape)
                assert np.array_equal(page.pixels, expected), sample.path.name

    def test_reading_again_gives_the_same(self, tmp_path: Path) -> None:
        """Two calls give equal pages: pixels, members, slices and notes."""
        for sample in self.samples(tmp_path):
            for first, again in zip(self._read(sample), self._read(sample), strict=True):
                assert np.array_equal(first.pixels, again.pixels), sample.path.name
                assert (first.member, first.slice_index, first.notes) == (
                    again.member,
                    again.slice_index,
                    again.notes,
                ), sample.path.name

    def test_describe_agrees_with_read(self, tmp_path: Path) -> None:
        """Shape, number type and number of pages are known without decoding."""
        reader = self.reader()
        for sample in self.samples(tmp_path):
            header = reader.describe(sample.path, sample.options)
            first = sample.pixels[0]
            assert header.reader == reader.name
            assert header.shape == first.shape, (sample.path.name, header)
            assert header.dtype == first.dtype.name, (sample.path.name, header)
            assert header.num_images == len(sample.pixels), (sample.path.name, header)

    def test_pages_belong_to_the_caller(self, tmp_path: Path) -> None:
        """Pages are contiguous, native, writable, and share no memory."""
        for sample in self.samples(tmp_path):
            pages = self._read(sample)
            for page in pages:
                assert page.pixels.ndim == 3, page.pixels.shape
                assert page.pixels.flags.c_contiguous, sample.path.name
                assert page.pixels.flags.writeable, sample.path.name
                assert page.pixels.dtype.isnative, sample.path.name
                page.pixels[...] = 1
            for first, second in itertools.pairwise(pages):
                assert not np.shares_memory(first.pixels, second.pixels), sample.path.name
            for page, expected in zip(self._read(sample), sample.pixels, strict=True):
                assert np.array_equal(page.pixels, expected), "a written page changed the next read"

    def test_parts_are_named_apart(self, tmp_path: Path) -> None:
        """Where a file has several pages, member and slice together tell them apart."""
        for sample in self.samples(tmp_path):
            keys = [(page.member, page.slice_index) for page in self._read(sample)]
            assert len(set(keys)) == len(keys), keys

    def test_too_many_pixels_are_refused_by_the_header(self, tmp_path: Path) -> None:
        """With a limit below its size a file is refused, by `describe` as by `read`."""
        reader = self.reader()
        for sample in self.samples(tmp_path):
            _, height, width = sample.pixels[0].shape
            small = replace(sample.options, max_pixels=height * width - 1)
            enough = replace(sample.options, max_pixels=height * width)
            assert _outcome(reader, sample.path, enough)[0] == "read"
            assert _outcome(reader, sample.path, small)[0] in {"too_many_pixels", "no_images"}
            try:
                reader.describe(sample.path, small)
            except UnreadableImageError as error:
                assert error.code in {"too_many_pixels", "no_images"}, error  # noqa: PT017
            else:
                msg = f"{sample.path.name} was described though it is too large"
                raise AssertionError(msg)

    def test_absent_files_and_folders_are_refused(self, tmp_path: Path) -> None:
        """What is no file is an `UnreadableImageError` as well."""
        reader = self.reader()
        assert _outcome(reader, tmp_path / "absent", ReadOptions())[0] == "missing"
        assert _outcome(reader, tmp_path, ReadOptions())[0] == "not_a_file"

    def test_cut_short(self, tmp_path: Path) -> None:
        """A file that ends early is refused, or, with complete pixels, read unchanged."""
        rng = np.random.default_rng(self.seed)
        for sample in self.samples(tmp_path):
            content = sample.path.read_bytes()
            lengths = rng.integers(0, len(content), self.num_damaged // 2)
            ends = range(max(0, len(content) - self.num_damaged // 2), len(content))
            for length in {*lengths.tolist(), *ends}:
                found = self._damaged(sample, content[:length])
                assert found != "changed", f"{sample.path.name} cut to {length} bytes"
                if not self.may_end_early:
                    assert found != "read", f"{sample.path.name} cut to {length} bytes"

    def test_one_bit_flipped(self, tmp_path: Path) -> None:
        """A flipped bit leads to a refusal or to unchanged pixels where checksums allow that."""
        rng = np.random.default_rng(self.seed)
        for sample in self.samples(tmp_path):
            content = sample.path.read_bytes()
            for place in rng.integers(0, 8 * len(content), self.num_damaged).tolist():
                spoilt = bytearray(content)
                spoilt[place // 8] ^= 1 << place % 8
                found = self._damaged(sample, bytes(spoilt))
                if self.has_checksum:
                    assert found != "changed", f"{sample.path.name}, bit {place}"

    def test_bytes_mixed_up(self, tmp_path: Path) -> None:
        """Blocks overwritten with noise never cause another exception."""
        rng = np.random.default_rng(self.seed)
        for sample in self.samples(tmp_path):
            content = sample.path.read_bytes()
            for _ in range(self.num_damaged // 4):
                start, length = int(rng.integers(len(content))), int(rng.integers(1, 32))
                spoilt = content[:start] + rng.bytes(length) + content[start + length :]
                found = self._damaged(sample, spoilt)
                if self.has_checksum:
                    assert found != "changed", f"{sample.path.name}, byte {start}"

    def test_nothing_around_is_changed(self, tmp_path: Path) -> None:
        """Reading leaves the folder, NumPy's error state and the warning filters as they were."""
        samples = self.samples(tmp_path)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        state, filters = np.geterr(), list(warnings.filters)
        for sample in samples:
            self._read(sample)
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert before == after
        assert state == np.geterr()
        assert filters == list(warnings.filters)

    def _read(self, sample: Sample) -> list[Page]:
        """Return the pages; a yielded error fails the test."""
        return list(_pages(self.reader(), sample.path, sample.options))

    def _damaged(self, sample: Sample, content: bytes) -> str:
        """Return ``read`` (unchanged pixels), ``changed``, or the code of the refusal."""
        ending = "".join(sample.path.suffixes)
        path = sample.path.with_name(f"damaged{ending}")
        path.write_bytes(content)
        try:
            reader = self.reader()
            try:
                reader.describe(path, sample.options)  # may succeed: it sees headers only
            except UnreadableImageError as error:
                assert error.code in CODES, error  # noqa: PT017
            code, pages = _outcome(reader, path, sample.options)
        finally:
            path.unlink()
        if code != "read":
            return code
        same = len(pages) == len(sample.pixels) and all(
            page.pixels.dtype == expected.dtype and np.array_equal(page.pixels, expected)
            for page, expected in zip(pages, sample.pixels, strict=True)
        )
        return "read" if same else "changed"


def _pages(reader: ImageReader, path: Path, options: ReadOptions) -> Iterator[Page]:
    """Yield pages and raise what is yielded as damage."""
    for found in reader.read(path, options):
        if isinstance(found, UnreadableImageError):
            raise found
        yield found


def _outcome(reader: ImageReader, path: Path, options: ReadOptions) -> tuple[str, list[Page]]:
    """Return ``read`` and the pages, or the code of the refusal. Other exceptions pass through."""
    try:
        return "read", list(_pages(reader, path, options))
    except UnreadableImageError as error:
        assert error.code in CODES, f"{error.code!r} is not a code"  # noqa: PT017
        assert error.reason.strip(), "a refusal gives a reason"  # noqa: PT017
        return error.code, []
