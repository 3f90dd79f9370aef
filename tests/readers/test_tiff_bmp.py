"""TIFF and BMP: rows T1 to T3 and B1 to B5 of the catalogue of odd inputs."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.readers.reader_files import noise, one, refusal

from likeness.errors import UnreadableImageError
from likeness.readers import ReadOptions, describe, read_pages
from likeness.readers.bmp import BmpReader
from likeness.readers.tiff import TiffReader
from likeness.testing.readers import ImageReaderTests, Sample


def tiff(folder: Path, pixels: np.ndarray, name: str = "image.tif", **more: object) -> Path:
    path = folder / name
    tifffile.imwrite(path, pixels, metadata=None, **more)
    return path


def plain_tiff(
    width: int,
    height: int,
    strips: list[bytes],
    *,
    photometric: int = 1,
    bits: int = 8,
    **tags: int,
) -> bytes:
    """Write a little-endian TIFF by hand; `tags` overrule or add (``t258=16``)."""
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: 1, 278: height}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    data_at = 8
    body = b"".join(strips)
    entries |= {273: data_at, 279: len(body)} if 273 not in entries else {}
    directory = struct.pack("<H", len(entries))
    for tag in sorted(entries):
        directory += struct.pack("<HHII", tag, 4, 1, entries[tag])
    return struct.pack("<2sHI", b"II", 42, data_at + len(body)) + body + directory + bytes(4)


class TestTiffContract(ImageReaderTests):
    num_damaged = 100
    may_end_early = True  # tags that do not touch the pixels may lie behind them

    def reader(self):
        return TiffReader()

    def samples(self, folder):
        grey = noise(21, 17)
        deep = noise(18, 20, 3, dtype="uint16")
        stack = noise(3, 16, 18, dtype="int16")
        floats = np.linspace(-1, 1, 300, dtype="f4").reshape(15, 20)
        zipped = {"compression": "zlib", "rowsperstrip": 5}
        tiles = {"tile": (16, 16), "byteorder": ">", "photometric": "rgb"}
        images = ReadOptions(tiff_pages="images")
        return [
            Sample(tiff(folder, grey, "grey.tif", **zipped), [grey[None]]),
            Sample(tiff(folder, deep, "deep.tif", **tiles), [deep.transpose(2, 0, 1)]),
            Sample(
                tiff(folder, stack, "stack.tif", photometric="minisblack"),
                [page[None] for page in stack],
                images,
            ),
            Sample(tiff(folder, floats, "floats.tif", bigtiff=True), [floats[None]]),
        ]


class TestBmpContract(ImageReaderTests):
    num_damaged = 120

    def reader(self):
        return BmpReader()

    def samples(self, folder):
        samples = []
        for mode in ("1", "L", "P", "RGB"):
            image = Image.fromarray(noise(13, 11, 3)).convert(mode)
            path = folder / f"{mode}.bmp"
            image.save(path)
            shown = np.asarray(image.convert("RGB") if mode in "P" else image)
            if mode == "1":
                shown = np.where(shown, np.uint8(255), np.uint8(0))
            samples.append(Sample(path, [shown.reshape(13, 11, -1).transpose(2, 0, 1)]))
        return samples


TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", "u8", "i8")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", TYPES)
def test_T1_every_number_type(tmp_path, dtype, order):
    pixels = (np.arange(12 * 15).reshape(12, 15) - 60).astype(dtype)
    page = one(tiff(tmp_path, pixels, byteorder=order))
    assert page.pixels.dtype == np.dtype(dtype)
    assert np.array_equal(page.pixels[0], pixels)


@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_T1_complex_is_refused(tmp_path, dtype):
    assert refusal(tiff(tmp_path, np.ones((12, 12), dtype))).code == "dtype"


@pytest.mark.parametrize(
    "more",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "packbits"},
        {"tile": (16, 32)},
        {"tile": (16, 16), "compression": "zlib"},
        {"rowsperstrip": 7},
        {"bigtiff": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_T3_tiles_strips_and_packing(tmp_path, dtype, more):
    pixels = noise(50, 41, dtype=dtype)
    if more.get("compression") == "packbits":
        path = tmp_path / "image.tif"
        Image.fromarray(pixels).save(path, compression="packbits")
    else:
        path = tiff(tmp_path, pixels, **more)
    assert np.array_equal(one(path).pixels[0], pixels)


@pytest.mark.parametrize(
    ("compression", "mode"),
    [("tiff_lzw", "L"), ("tiff_lzw", "I;16"), ("tiff_lzw", "RGB"), ("tiff_lzw", "F"),
     ("tiff_adobe_deflate", "RGB")],
)  # fmt: skip
def test_T3_lzw_through_the_other_decoder(tmp_path, compression, mode):
    pixels = {
        "L": noise(30, 31),
        "I;16": noise(30, 31, dtype="uint16"),
        "RGB": noise(30, 31, 3),
        "F": noise(30, 31).astype("f4") / 7,
    }[mode]
    path = tmp_path / "image.tif"
    Image.fromarray(pixels).save(path, compression=compression)
    expected = pixels.reshape(30, 31, -1).transpose(2, 0, 1)
    page = one(path)
    assert np.array_equal(page.pixels, expected)
    assert describe(path).shape == expected.shape


def test_T3_jpeg_in_tiff(tmp_path):
    y, x = np.mgrid[:48, :64]
    pixels = (100 + x + y).astype(np.uint8)
    path = tmp_path / "image.tif"
    Image.fromarray(pixels).save(path, compression="jpeg", quality=95)
    assert np.abs(one(path).pixels[0].astype(int) - pixels).max() <= 4
    Image.fromarray(np.stack([pixels] * 3, -1)).save(path, compression="jpeg", quality=95)
    page = one(path)
    assert page.pixels.shape == (3, 48, 64)
    assert np.abs(page.pixels.astype(int) - pixels).max() <= 6


def test_T3_truncated(tmp_path):
    path = tiff(tmp_path, noise(64, 64), compression="zlib", rowsperstrip=8)
    content = path.read_bytes()
    path.write_bytes(content[:-50])
    error = refusal(path)
    assert error.code == "truncated"
    assert f"{len(content):,}" in error.reason


def test_T3_absent_strips_are_not_zeros(tmp_path):
    content = plain_tiff(8, 8, [noise(8, 8).tobytes()], t273=0, t279=0)
    path = tmp_path / "sparse.tif"
    path.write_bytes(content)
    assert refusal(path).code == "sparse"
    path.write_bytes(plain_tiff(8, 8, [noise(8, 8).tobytes()], t278=4))
    assert refusal(path).code == "sparse"


def test_T3_strips_that_hold_too_little(tmp_path):
    path = tmp_path / "short.tif"
    path.write_bytes(plain_tiff(8, 8, [bytes(60)]))
    error = refusal(path)
    assert error.code == "bad_header"
    assert "60 bytes" in error.reason


def test_T3_broken_lzw(tmp_path):
    path = tmp_path / "image.tif"
    Image.fromarray(noise(30, 31)).save(path, compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    assert refusal(path).code == "damaged"


def test_T2_several_pages_are_asked_about(tmp_path):
    stack = noise(5, 20, 21)
    path = tiff(tmp_path, stack, photometric="minisblack")
    error = refusal(path)
    assert error.code == "ask_tiff_pages"
    assert "tiff_pages" in error.reason
    images = list(read_pages(path, ReadOptions(tiff_pages="images")))
    assert [page.member for page in images] == list("01234")
    assert np.array_equal(np.concatenate([page.pixels for page in images]), stack)
    channels = one(path, tiff_pages="channels")
    assert np.array_equal(channels.pixels, stack)
    assert channels.notes == ("5 pages stacked as channels",)
    assert describe(path, ReadOptions(tiff_pages="channels")).shape == (5, 20, 21)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_T2_channels_in_one_page(tmp_path, planar, count):
    pixels = noise(20, 21, count, dtype="uint16")
    stored = pixels if planar == "contig" else pixels.transpose(2, 0, 1)
    path = tiff(tmp_path, stored, photometric="minisblack", planarconfig=planar)
    assert np.array_equal(one(path).pixels, pixels.transpose(2, 0, 1))
    assert describe(path).shape == (count, 20, 21)


@pytest.mark.parametrize("how", ["channels", "images"])
@pytest.mark.parametrize(
    "second", [noise(20, 20), noise(20, 21, dtype="uint16")], ids=["size", "type"]
)
def test_T2_pages_that_differ(tmp_path, how, second):
    path = tmp_path / "image.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(noise(20, 21), metadata=None)
        writer.write(second, metadata=None)
    assert refusal(path, tiff_pages=how).code == "sizes_differ"


def test_T2_images_hidden_behind_one_directory(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, noise(4, 20, 20), imagej=True)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        second = file.pages[1].offset
    # Cut the chain after the first directory, as ImageJ does for stacks above 4 GB.
    spoilt = content.replace(struct.pack(">I", second), bytes(4)).replace(
        struct.pack("<I", second), bytes(4)
    )
    path.write_bytes(spoilt)
    assert refusal(path).code == "unsupported"
    tifffile.imwrite(path, noise(4, 20, 20), photometric="minisblack", truncate=True)
    assert refusal(path).code == "unsupported"


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_white_is_zero_is_inverted(tmp_path, bits):
    dtype = "uint16" if bits == 16 else "uint8"
    pixels = noise(16, 16, dtype=dtype)
    path = tmp_path / "image.tif"
    if bits == 1:
        pixels %= 2
        path.write_bytes(plain_tiff(16, 16, [np.packbits(pixels).tobytes()], photometric=0, bits=1))
        expected = (1 - pixels) * 255
    else:
        tiff(tmp_path, pixels, photometric="miniswhite")
        expected = np.iinfo(dtype).max - pixels
    page = one(path)
    assert np.array_equal(page.pixels[0], expected)
    assert page.notes == ("white is zero in the file: inverted",)


def test_one_bit_is_black_and_white(tmp_path):
    pixels = noise(16, 16) % 2
    path = tmp_path / "image.tif"
    path.write_bytes(plain_tiff(16, 16, [np.packbits(pixels).tobytes()], bits=1))
    assert np.array_equal(one(path).pixels[0], pixels * 255)


def test_palette_is_expanded(tmp_path):
    indices = noise(12, 12)
    colours = noise(3, 256).astype("u2") * 257
    path = tiff(tmp_path, indices, photometric="palette", colormap=colours)
    page = one(path)
    assert page.pixels.dtype == np.uint8
    assert np.array_equal(page.pixels, (colours // 257)[:, indices])


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_alpha(tmp_path, kind):
    pixels = noise(10, 10, 4)
    path = tiff(tmp_path, pixels, photometric="rgb", extrasamples=[kind])
    assert describe(path).shape == (3, 10, 10)
    page = one(path)
    if kind == "assocalpha":
        expected = pixels[..., :3]
        assert refusal(path, alpha="white").code == "transparent"
    else:
        expected = (pixels[..., :3] * (pixels[..., 3:] / 255) + 0.5 + 1e-9).astype(np.uint8)
    assert np.array_equal(page.pixels, expected.transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_tag_is_applied(tmp_path, orientation):
    from tests.readers.test_jpeg import UPRIGHT

    pixels = noise(12, 19)
    path = tiff(tmp_path, pixels, extratags=[(274, "H", 1, orientation, True)])
    page = one(path)
    assert np.array_equal(page.pixels[0], UPRIGHT[orientation](pixels))
    assert describe(path).shape == page.pixels.shape


def test_N9_not_finite(tmp_path):
    pixels = np.ones((10, 12), "f4")
    pixels[3, 4], pixels[0, 0], pixels[1, 1] = np.nan, np.inf, -np.inf
    path = tiff(tmp_path, pixels)
    error = refusal(path)
    assert error.code == "non_finite"
    assert "3 of 120" in error.reason
    page = one(path, nan="zero")
    assert page.notes == ("3 NaN or infinite numbers replaced by 0",)
    assert np.array_equal(page.pixels[0], np.where(np.isfinite(pixels), pixels, 0))


def test_one_bad_page_does_not_hide_the_others(tmp_path):
    stack = np.ones((3, 10, 12), "f4")
    stack[1, 0, 0] = np.nan
    path = tiff(tmp_path, stack, photometric="minisblack")
    bad = []
    pages = list(read_pages(path, ReadOptions(tiff_pages="images"), on_damaged=bad.append))
    assert [page.member for page in pages] == ["0", "2"]
    assert [str(error.path) for error in bad] == [f"{path}::1"]


def test_B1_bomb_is_refused_by_its_header(tmp_path):
    path = tmp_path / "bomb.tif"
    path.write_bytes(plain_tiff(100_000, 100_000, [bytes(64)]))
    assert refusal(path).code == "too_many_pixels"
    with pytest.raises(UnreadableImageError, match="too_many_pixels"):
        describe(path)


def test_B5_directories_in_a_circle(tmp_path):
    content = bytearray(plain_tiff(8, 8, [noise(8, 8).tobytes()]))
    start = struct.unpack_from("<I", content, 4)[0]
    struct.pack_into("<I", content, len(content) - 4, start)
    path = tmp_path / "circle.tif"
    path.write_bytes(content)
    error = refusal(path, tiff_pages="images")
    assert error.code in {"damaged", "bad_header"}


def test_ink_colours_are_refused(tmp_path):
    path = tmp_path / "ink.tif"
    Image.fromarray(noise(9, 9, 4), "CMYK").save(path)
    assert refusal(path).code == "cmyk"


def test_compression_without_decoder_is_named(tmp_path):
    path = tmp_path / "fax.tif"
    Image.fromarray(noise(16, 16) > 99).save(path, compression="group4")
    error = refusal(path)
    assert error.code == "unsupported"
    assert "compression 4" in error.reason


def test_bmp_alpha_that_means_nothing_is_dropped(tmp_path):
    pixels = noise(9, 9, 4)
    pixels[..., 3] = 0
    path = tmp_path / "image.bmp"
    Image.fromarray(pixels).save(path)
    page = one(path)
    assert np.array_equal(page.pixels, pixels[..., :3].transpose(2, 0, 1))


def test_bmp_compressed_is_refused_and_truncated_is_noticed(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(noise(20, 20)).save(stream, "BMP")
    content = bytearray(stream.getvalue())
    path = tmp_path / "image.bmp"
    path.write_bytes(content[:-1])
    assert refusal(path).code == "truncated"
    struct.pack_into("<I", content, 30, 1)
    path.write_bytes(content)
    assert refusal(path).code == "unsupported"


def test_B1_bmp_bomb(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(noise(20, 20)).save(stream, "BMP")
    content = bytearray(stream.getvalue())
    struct.pack_into("<ii", content, 18, 40_000, -40_000)
    path = tmp_path / "image.bmp"
    path.write_bytes(content)
    assert refusal(path).code == "too_many_pixels"
