"""The contract suite itself: a reader that breaks a promise must fail the test of that promise."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from tests.readers.reader_files import make_png, noise

from likeness.errors import UnreadableImageError
from likeness.readers import Page
from likeness.readers.png import PngReader
from likeness.testing.readers import ImageReaderTests, Sample


class Wrong(PngReader):
    """A PNG reader with one fault, chosen by a class attribute."""

    fault = ""

    def recognises(self, head, path):
        if self.fault == "trusts the name":
            return path.suffix == ".png"
        if self.fault == "takes text":
            return True
        return super().recognises(head, path)

    def describe(self, path, options):
        header = super().describe(path, options)
        return replace(header, num_images=2) if self.fault == "describes wrongly" else header

    def read(self, path, options):
        if self.fault == "ignores the limit":
            options = replace(options, max_pixels=10**9)
        if self.fault == "writes":
            (path.parent / "trace.txt").write_text("was here")
        if self.fault == "changes warnings":
            warnings.simplefilter("always")
        try:
            for page in super().read(path, options):
                yield self.spoilt(page)
        except UnreadableImageError as error:
            if self.fault == "fills with zeros" and error.code == "truncated":
                yield Page(np.zeros((1, 9, 8), np.uint8))
            elif self.fault == "raises others":
                raise ValueError(error.reason) from error
            else:
                raise

    def spoilt(self, page):
        pixels = page.pixels
        if self.fault == "reads only":
            pixels.flags.writeable = False
        elif self.fault == "another type":
            pixels = pixels.astype(np.float32)
        elif self.fault == "turned":
            pixels = pixels[:, ::-1]
        elif self.fault == "big endian":
            pixels = pixels.astype(">u2")
        return replace(page, pixels=pixels)


def suite(fault: str) -> ImageReaderTests:
    class Suite(ImageReaderTests):
        has_checksum = True
        may_end_early = True
        num_damaged = 40

        def reader(self):
            reader = Wrong()
            reader.fault = fault
            return reader

        def samples(self, folder):
            pixels = noise(9, 8)
            (folder / "a.png").write_bytes(make_png(pixels))
            return [Sample(folder / "a.png", [pixels[None]])]

    return Suite()


CASES = [
    ("trusts the name", "test_recognises_by_content_alone"),
    ("takes text", "test_recognises_no_other_content"),
    ("describes wrongly", "test_describe_agrees_with_read"),
    ("ignores the limit", "test_too_many_pixels_are_refused_by_the_header"),
    ("writes", "test_nothing_around_is_changed"),
    ("changes warnings", "test_nothing_around_is_changed"),
    ("fills with zeros", "test_cut_short"),
    ("raises others", "test_cut_short"),
    ("raises others", "test_one_bit_flipped"),
    ("raises others", "test_bytes_mixed_up"),
    ("raises others", "test_absent_files_and_folders_are_refused"),
    ("reads only", "test_pages_belong_to_the_caller"),
    ("big endian", "test_pages_belong_to_the_caller"),
    ("another type", "test_pixels_are_those_of_the_file"),
    ("turned", "test_pixels_are_those_of_the_file"),
]


def run(fault: str, test: str, folder) -> None:
    method = getattr(suite(fault), test)
    takes_folder = "tmp_path" in method.__code__.co_varnames[: method.__code__.co_argcount]
    method(*([folder] if takes_folder else []))


@pytest.mark.parametrize(("fault", "test"), CASES, ids=str)
def test_a_broken_promise_is_found(tmp_path, fault, test):
    run("", test, tmp_path)
    with warnings.catch_warnings(), pytest.raises((AssertionError, ValueError)):
        run(fault, test, tmp_path)
