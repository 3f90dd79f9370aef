"""PNG: rows P1 to P9 and B1 to B5 of the catalogue of odd inputs."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.readers.reader_files import (
    SIGNATURE,
    chunk,
    exif,
    make_png,
    noise,
    one,
    png_stream,
    refusal,
)

from likeness.readers import ReadOptions, describe, read_pages
from likeness.readers.png import PngReader
from likeness.testing.readers import ImageReaderTests, Sample


def write(folder: Path, content: bytes, name: str = "image.png") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


class TestPngContract(ImageReaderTests):
    has_checksum = True
    may_end_early = True

    def reader(self):
        return PngReader()

    def samples(self, folder):
        grey = noise(14, 18)
        deep = noise(12, 11, dtype="uint16")
        rgb = noise(9, 10, 3)
        rgb16 = noise(9, 12, 3, dtype="uint16")
        bits = noise(10, 13) % 2
        return [
            Sample(write(folder, make_png(grey, parts=3), "grey.png"), [grey[None]]),
            Sample(write(folder, make_png(deep, depth=16), "deep.png"), [deep[None]]),
            Sample(write(folder, make_png(rgb, colour=2), "rgb.png"), [rgb.transpose(2, 0, 1)]),
            Sample(
                write(folder, make_png(rgb16, depth=16, colour=2), "rgb16.png"),
                [rgb16.transpose(2, 0, 1)],
            ),
            Sample(
                write(folder, make_png(bits, depth=1, interlaced=True), "bits.png"),
                [bits[None] * np.uint8(255)],
            ),
        ]


def test_P1_sixteen_bits_are_kept(tmp_path):
    pixels = noise(40, 30, dtype="uint16")
    page = one(write(tmp_path, make_png(pixels, depth=16)))
    assert page.pixels.dtype == np.uint16
    assert np.array_equal(page.pixels[0], pixels)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 1), (6, 3)])
def test_P1_sixteen_bit_colour_is_not_cut_to_eight(tmp_path, colour, channels, interlaced):
    samples = {2: 3, 4: 2, 6: 4}[colour]
    pixels = noise(23, 17, samples, dtype="uint16")
    if colour != 2:
        pixels[..., -1] = 65535
    page = one(write(tmp_path, make_png(pixels, depth=16, colour=colour, interlaced=interlaced)))
    assert page.pixels.dtype == np.uint16
    assert np.array_equal(page.pixels, pixels[..., :channels].transpose(2, 0, 1))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_P2_palette_is_expanded(tmp_path, depth):
    colours = noise(1 << depth, 3)
    indices = noise(21, 19) >> (8 - depth)
    content = make_png(indices, depth=depth, colour=3, before=((b"PLTE", colours.tobytes()),))
    page = one(write(tmp_path, content))
    assert np.array_equal(page.pixels, colours[indices].transpose(2, 0, 1))


def test_P2_palette_index_without_colour(tmp_path):
    content = make_png(np.full((5, 5), 9), colour=3, before=((b"PLTE", bytes(9)),))
    error = refusal(write(tmp_path, content))
    assert error.code == "damaged"
    assert "colour 9" in error.reason


@pytest.mark.parametrize("colour", [4, 6])
def test_P3_opaque_alpha_is_dropped(tmp_path, colour):
    pixels = noise(12, 12, {4: 2, 6: 4}[colour])
    pixels[..., -1] = 255
    page = one(write(tmp_path, make_png(pixels, colour=colour)))
    assert np.array_equal(page.pixels, pixels[..., :-1].transpose(2, 0, 1))
    assert page.notes == ("opaque alpha channel dropped",)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("background", ["black", "white"])
def test_P3_alpha_is_laid_on_the_background(tmp_path, depth, background):
    top = (1 << depth) - 1
    pixels = noise(16, 15, 4, dtype=f"uint{depth}")
    page = one(write(tmp_path, make_png(pixels, depth=depth, colour=6)), alpha=background)
    expected = np.zeros((3, 16, 15), pixels.dtype)
    for c, y, x in np.ndindex(expected.shape):  # slow and plain: exact fractions, half up
        a, v = int(pixels[y, x, 3]), int(pixels[y, x, c])
        ground = 0 if background == "black" else top
        expected[c, y, x] = int((v * a + ground * (top - a)) / top + 0.5)
    assert np.array_equal(page.pixels, expected)
    assert f"laid on {background}" in page.notes[0]


def test_P3_alpha_can_be_refused(tmp_path):
    error = refusal(write(tmp_path, make_png(noise(8, 9, 2), colour=4)), alpha="refuse")
    assert error.code == "transparent"


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_P3_transparent_grey_value(tmp_path, depth):
    top = (1 << depth) - 1
    pixels = noise(12, 14, dtype="uint16") >> (16 - depth)
    key = int(pixels[3, 3])
    content = make_png(pixels, depth=depth, before=((b"tRNS", struct.pack(">H", key)),))
    page = one(write(tmp_path, content), alpha="white")
    scale = 255 // top if depth < 16 else 1
    white = 65535 if depth == 16 else 255
    expected = np.where(pixels == key, white, pixels * scale)
    assert np.array_equal(page.pixels[0], expected)


def test_P3_transparent_colour_that_does_not_occur(tmp_path):
    pixels = noise(6, 7, 3) // 2
    content = make_png(pixels, colour=2, before=((b"tRNS", struct.pack(">3H", 255, 255, 255)),))
    page = one(write(tmp_path, content), alpha="refuse")
    assert np.array_equal(page.pixels, pixels.transpose(2, 0, 1))


def test_P3_palette_with_transparency(tmp_path):
    colours = noise(4, 3)
    indices = noise(9, 9) % 4
    before = ((b"PLTE", colours.tobytes()), (b"tRNS", bytes([255, 0])))
    page = one(write(tmp_path, make_png(indices, colour=3, before=before)))
    expected = np.where((indices == 1)[..., None], 0, colours[indices])
    assert np.array_equal(page.pixels, expected.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("depth", "colour"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (8, 4), (8, 6), (16, 2)]
)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (33, 21)])
def test_P4_interlaced_equals_not_interlaced(tmp_path, depth, colour, size):
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    pixels = noise(*size, samples, dtype="uint16") >> (16 - depth)
    plain = one(write(tmp_path, make_png(pixels, depth=depth, colour=colour)))
    content = make_png(pixels, depth=depth, colour=colour, interlaced=True)
    woven = one(write(tmp_path, content))
    assert np.array_equal(plain.pixels, woven.pixels)
    assert plain.pixels.dtype == woven.pixels.dtype


def test_P5_truncated_in_the_pixels(tmp_path):
    content = make_png(noise(64, 64))
    for length in range(60, len(content) - 16, 97):
        error = refusal(write(tmp_path, content[:length]))
        assert error.code == "truncated", length
        assert "ends early" in error.reason


@pytest.mark.parametrize("missing", range(1, 17))
def test_P6_missing_end_mark_with_complete_pixels(tmp_path, missing):
    pixels = noise(30, 31)
    path = write(tmp_path, make_png(pixels)[:-missing])
    page = one(path)
    assert np.array_equal(page.pixels[0], pixels)
    assert page.notes == ("the end mark (IEND) is missing; the pixels are complete (Adler-32)",)
    assert refusal(path, strict=True).code == "truncated"


def test_P6_missing_end_mark_and_adler(tmp_path):
    """Without the last bytes of the checksum nobody can say that the pixels are complete."""
    assert refusal(write(tmp_path, make_png(noise(30, 31))[:-17])).code == "truncated"


def test_P6_trailing_bytes(tmp_path):
    path = write(tmp_path, make_png(noise(9, 9)) + b"tail")
    assert one(path).notes == ("4 bytes after the end mark (IEND) ignored",)
    assert refusal(path, strict=True).code == "trailing_bytes"


@pytest.mark.parametrize("name", [b"IHDR", b"tEXt", b"PLTE", b"IDAT", b"IEND"])
def test_P7_bad_checksum_names_the_chunk(tmp_path, name):
    before = ((b"tEXt", b"a\x00b"), (b"PLTE", bytes(6)))
    content = make_png(noise(9, 9) % 2, depth=1, colour=3, before=before)
    start = content.index(name)
    length = struct.unpack(">I", content[start - 4 : start])[0]
    spoilt = bytearray(content)
    spoilt[start + 4 + length] ^= 1
    error = refusal(write(tmp_path, bytes(spoilt)))
    assert error.code == "png_crc"
    assert repr(name.decode()) in error.reason


def test_P7_checksum_of_pixels_that_unpack_well(tmp_path):
    """The stored checksum alone is wrong, so a decoder finds nothing amiss in the pixels."""
    content = bytearray(make_png(np.zeros((4, 4), np.uint8)))
    at = content.index(b"IDAT")
    content[at + 4 + struct.unpack(">I", content[at - 4 : at])[0]] ^= 0x80
    assert refusal(write(tmp_path, bytes(content))).code == "png_crc"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [(8, 3, "3 bits"), (8, 0, "0 bits"), (9, 1, "colour type 1"), (9, 9, "colour type 9"),
     (10, 1, "compression 1"), (11, 1, "filter 1"), (12, 2, "interlace 2")],
)  # fmt: skip
def test_P7_impossible_headers(tmp_path, field, value, words):
    content = make_png(noise(9, 9))
    body = bytearray(content[16:29])
    body[field] = value
    error = refusal(write(tmp_path, content[:8] + chunk(b"IHDR", bytes(body)) + content[33:]))
    assert error.code == "bad_header"
    assert words in error.reason


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda c: c[:33] + chunk(b"IEND", b""), "damaged"),  # no pixels
        (lambda c: c[:8] + c[33:], "damaged"),  # no header
        (lambda c: c[:33] + c[8:], "damaged"),  # two headers
        (lambda c: c.replace(b"\r\n", b"\n", 1), "damaged"),  # transferred as text
        (lambda c: b"\x09" + c[1:], "damaged"),  # the high bit cut off
        (lambda c: c[:33] + chunk(b"CgBI", bytes(4)) + c[33:], "unsupported"),
        (lambda c: c[:33] + chunk(b"IDAT", b"") + chunk(b"tEXt", b"") + c[33:], "damaged"),
    ],
    ids=["no IDAT", "no IHDR", "two IHDR", "text mode", "7 bits", "critical", "scattered"],
)
def test_P7_broken_structure(tmp_path, build, code):
    assert refusal(write(tmp_path, build(make_png(noise(9, 9))))).code == code


def test_P7_pixels_end_early_though_every_checksum_is_right(tmp_path):
    header = struct.pack(">IIBBBBB", 20, 20, 8, 0, 0, 0, 0)
    body = zlib.compress(png_stream(noise(12, 20, 1), 8))
    content = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    assert refusal(write(tmp_path, content)).code in {"truncated", "damaged"}
    header = struct.pack(">IIBBBBB", 20, 20, 16, 2, 0, 0, 0)
    content = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    assert refusal(write(tmp_path, content)).code == "truncated"


@pytest.mark.parametrize(("depth", "scale"), [(1, 255), (2, 85), (4, 17)])
def test_P8_few_bits_are_spread(tmp_path, depth, scale):
    pixels = noise(17, 19) % (1 << depth)
    page = one(write(tmp_path, make_png(pixels, depth=depth)))
    assert page.pixels.dtype == np.uint8
    assert np.array_equal(page.pixels[0], pixels * scale)


def test_P8_gamma_and_profiles_are_ignored_and_noted(tmp_path):
    pixels = noise(17, 19)
    before = (
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cICP", bytes([9, 16, 0, 1])),
        (b"iCCP", b"broken profile"),
    )
    page = one(write(tmp_path, make_png(pixels, before=before)))
    assert np.array_equal(page.pixels[0], pixels)
    assert page.notes == ("colour information ignored: gAMA, cICP, iCCP",)


def apng(tmp_path, mode="L", count=3):
    frames = [Image.fromarray(noise(12, 14, seed=i)).convert(mode) for i in range(count)]
    path = tmp_path / "film.png"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path, [np.asarray(frame) for frame in frames]


def test_P9_animation_is_refused(tmp_path):
    path, _ = apng(tmp_path)
    error = refusal(path)
    assert error.code == "multi_frame"
    assert "3 frames" in error.reason


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_P9_animation_frame_by_frame(tmp_path, mode):
    path, frames = apng(tmp_path, mode)
    pages = list(read_pages(path, ReadOptions(frames="all")))
    assert [page.member for page in pages] == ["0", "1", "2"]
    for page, frame in zip(pages, frames, strict=True):
        assert np.array_equal(page.pixels, frame.reshape(12, 14, -1).transpose(2, 0, 1))
    assert describe(path, ReadOptions(frames="all")).num_images == 3


def test_P9_damaged_animation_frame(tmp_path):
    path, _ = apng(tmp_path)
    content = bytearray(path.read_bytes())
    content[content.index(b"fdAT") + 20] ^= 4
    path.write_bytes(content)
    assert refusal(path, frames="all").code == "png_crc"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_J4_exif_orientation_in_png(tmp_path, orientation):
    from tests.readers.test_jpeg import UPRIGHT

    pixels = noise(6, 9)
    path = write(tmp_path, make_png(pixels, before=((b"eXIf", exif(orientation)),)))
    page = one(path)
    assert np.array_equal(page.pixels[0], UPRIGHT[orientation](pixels))
    assert describe(path).shape == page.pixels.shape


def bomb(height, width):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", b"x\x9c") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (12_000, 12_000), (2**31 - 1, 2**31 - 1)])
def test_B1_pixel_bomb_is_refused_by_its_header(tmp_path, size):
    path = write(tmp_path, bomb(*size))
    assert refusal(path).code == "too_many_pixels"
    from likeness.errors import UnreadableImageError

    with pytest.raises(UnreadableImageError, match="too_many_pixels"):
        describe(path)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_B4_no_rows_or_columns(tmp_path, size):
    assert refusal(write(tmp_path, bomb(*size))).code == "bad_size"


def test_B1_the_limit_can_be_raised_above_that_of_the_decoder(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    pixels = noise(20, 20)
    path = write(tmp_path, make_png(pixels))
    assert np.array_equal(one(path).pixels[0], pixels)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_B5_text_bomb_is_not_unpacked(tmp_path):
    body = b"key\x00\x00" + zlib.compress(bytes(200 << 20), 9)
    pixels = noise(9, 9)
    page = one(write(tmp_path, make_png(pixels, before=((b"zTXt", body), (b"iTXt", body)))))
    assert np.array_equal(page.pixels[0], pixels)


def test_a_header_far_behind_a_long_profile_is_described(tmp_path):
    path = write(tmp_path, make_png(noise(9, 9), before=((b"iCCP", noise(1 << 21).tobytes()),)))
    assert describe(path).shape == (1, 9, 9)


@pytest.mark.parametrize("length", range(4040, 4100))
def test_a_header_that_the_first_bytes_cut_is_described(tmp_path, length):
    path = write(tmp_path, make_png(noise(9, 9), before=((b"iCCP", bytes(length)),)))
    assert describe(path).shape == (1, 9, 9)


def test_a_text_that_names_the_pixels_does_not_mislead(tmp_path):
    path = write(tmp_path, make_png(noise(9, 9), before=((b"tEXt", b"IDAT" + bytes(9000)),)))
    assert describe(path).shape == (1, 9, 9)


@pytest.mark.parametrize(("depth", "colour", "values"), [(1, 0, 1), (8, 0, 1), (8, 6, 4)])
def test_P7_a_row_filter_that_does_not_exist(tmp_path, depth, colour, values):
    length = (6 * values * depth + 7) // 8
    rows = b"".join(bytes([kind]) + bytes(length) for kind in (0, 4, 5))
    header = struct.pack(">IIBBBBB", 6, 3, depth, colour, 0, 0, 0)
    content = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    error = refusal(write(tmp_path, content + chunk(b"IEND", b"")))
    assert (error.code, error.reason) == ("damaged", "there is no row filter 5")
