"""JPEG: rows J1 to J6 and P9 of the catalogue of odd inputs."""

from __future__ import annotations

import io
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from tests.readers.reader_files import REAL, exif, needs, noise, one, real, refusal

from likeness.readers import ReadOptions, describe, read_pages
from likeness.readers._pillow import _array_of, decode, steady
from likeness.readers.jpeg import JpegReader
from likeness.testing.readers import ImageReaderTests, Sample

# What a camera held in each way must be turned by, written from the picture in the EXIF standard.
UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


def smooth(height: int = 48, width: int = 40, channels: int = 1) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    planes = [120 + 100 * np.sin(x / (5 + c) + c) * np.cos(y / 7) for c in range(channels)]
    image = np.stack(planes, -1).astype(np.uint8)
    return image[..., 0] if channels == 1 else image


def jpeg(pixels: np.ndarray, **more: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92, **more)
    return stream.getvalue()


def decoded(content: bytes) -> np.ndarray:
    """Decode with the library itself: the test is about what surrounds the decoder."""
    raw = np.asarray(Image.open(io.BytesIO(content)))
    return raw.reshape(*raw.shape[:2], -1).transpose(2, 0, 1)


def write(folder: Path, content: bytes, name: str = "image.jpg") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


class TestJpegContract(ImageReaderTests):
    def reader(self):
        return JpegReader()

    def samples(self, folder):
        contents = {
            "grey": jpeg(smooth()),
            "rgb": jpeg(smooth(33, 29, 3)),
            "progressive": jpeg(smooth(channels=3), progressive=True),
        }
        return [
            Sample(write(folder, content, f"{name}.jpg"), [decoded(content)])
            for name, content in contents.items()
        ]


def test_pixels_are_near_what_was_saved(tmp_path):
    pixels = smooth()
    page = one(write(tmp_path, jpeg(pixels)))
    assert page.pixels.shape == (1, 48, 40)
    assert np.abs(page.pixels[0].astype(int) - pixels).max() <= 6


@pytest.mark.parametrize("permissive", [False, True])
def test_J1_truncated_whatever_the_global_switch_says(tmp_path, monkeypatch, permissive):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", permissive)
    content = jpeg(smooth(channels=3))
    for length in [*range(3, len(content), 37), len(content) - 1, len(content) - 2]:
        error = refusal(write(tmp_path, content[:length]))
        assert error.code == "truncated", length
    assert permissive == ImageFile.LOAD_TRUNCATED_IMAGES


def test_J1_the_decoder_is_strict_while_it_decodes(tmp_path, monkeypatch):
    """A switch set by another library is off inside, and as it was afterwards, also on failure."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 17)
    with steady():
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False
        with steady():
            assert Image.MAX_IMAGE_PIXELS is None
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) == (True, 17)
    content = jpeg(smooth())
    with pytest.raises(OSError, match="truncated"):
        decode(content[:-200], "JPEG", size=(48, 40), modes=("L",))
    assert (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) == (True, 17)


def test_J1_the_global_switch_survives_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = write(tmp_path, jpeg(smooth()))
    expected = one(path).pixels
    found = []

    def work():
        found.extend(one(path).pixels for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(np.array_equal(pixels, expected) for pixels in found)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_J3_cmyk_is_refused(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(noise(16, 16, 4), "CMYK").save(stream, "JPEG")
    error = refusal(write(tmp_path, stream.getvalue()))
    assert error.code == "cmyk"
    assert "save it as grey" in error.reason


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_J4_exif_orientation_is_applied(tmp_path, orientation, order):
    block = b"Exif\x00\x00" + exif(orientation, order)
    content = jpeg(smooth(24, 40), exif=block)
    page = one(write(tmp_path, content))
    plain = np.asarray(Image.open(io.BytesIO(content)))
    assert np.array_equal(page.pixels[0], UPRIGHT[orientation](plain))
    noted = (f"EXIF orientation {orientation} applied",) if orientation > 1 else ()
    assert page.notes == noted
    header = describe(tmp_path / "image.jpg")
    assert header.shape == page.pixels.shape
    assert header.notes == noted


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_J4_impossible_orientations_turn_nothing(tmp_path, value):
    content = jpeg(smooth(24, 40), exif=b"Exif\x00\x00" + exif(value))
    assert one(write(tmp_path, content)).pixels.shape == (1, 24, 40)


def test_J5_grey_and_colour_keep_their_channels(tmp_path):
    """Whether equal channels mean grey is decided for a whole set, not for one file."""
    grey = smooth()
    assert one(write(tmp_path, jpeg(grey))).pixels.shape[0] == 1
    assert one(write(tmp_path, jpeg(np.stack([grey] * 3, -1)))).pixels.shape[0] == 3


@pytest.mark.parametrize(
    ("marker", "bits", "code"),
    [(0xC1, 12, "jpeg_12bit"), (0xC3, 16, "jpeg_lossless"), (0xC9, 8, "jpeg_arithmetic"),
     (0xC5, 8, "jpeg_hierarchical"), (0xC7, 8, "jpeg_lossless"), (0xCA, 12, "jpeg_12bit")],
)  # fmt: skip
def test_J6_kinds_without_decoder_are_named(tmp_path, marker, bits, code):
    content = bytearray(jpeg(smooth()))
    at = content.index(b"\xff\xc0")
    content[at + 1], content[at + 4] = marker, bits
    error = refusal(write(tmp_path, bytes(content)))
    assert error.code == code
    assert f"SOF{marker - 0xC0}" in error.reason


def test_J6_two_channels(tmp_path):
    content = bytearray(jpeg(smooth()))
    content[content.index(b"\xff\xc0") + 9] = 2
    assert refusal(write(tmp_path, bytes(content))).code == "unsupported"


def mpo(tmp_path):
    frames = [smooth(30, 30), smooth(30, 30)[::-1].copy()]
    path = tmp_path / "burst.jpg"
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, "MPO", save_all=True, append_images=images[1:])
    return path


def test_P9_burst_is_refused(tmp_path):
    error = refusal(mpo(tmp_path))
    assert error.code == "multi_frame"
    assert "2 images" in error.reason


def test_P9_burst_image_by_image(tmp_path):
    path = mpo(tmp_path)
    pages = list(read_pages(path, ReadOptions(frames="all")))
    assert [page.member for page in pages] == ["0", "1"]
    with Image.open(path) as image:
        for index, page in enumerate(pages):
            image.seek(index)
            assert np.array_equal(page.pixels[0], np.asarray(image))
    assert describe(path, ReadOptions(frames="all")).num_images == 2


def test_trailing_bytes_are_noted(tmp_path):
    path = write(tmp_path, jpeg(smooth()) + b"appended")
    assert one(path).notes == ("8 bytes after the end mark ignored",)
    assert refusal(path, strict=True).code == "trailing_bytes"
    assert one(write(tmp_path, jpeg(smooth()) + bytes(100)), strict=True).notes == ()


def test_an_end_mark_inside_the_thumbnail_is_not_the_end(tmp_path):
    """A thumbnail in the EXIF block is a JPEG of its own, with an end mark."""
    block = b"Exif\x00\x00" + exif(1) + jpeg(smooth(8, 8))
    content = jpeg(smooth(), exif=block)
    assert np.array_equal(one(write(tmp_path, content)).pixels, decoded(content))


def test_a_frame_header_behind_long_comments_is_described(tmp_path):
    content = jpeg(smooth())
    comment = b"\xff\xfe" + struct.pack(">H", 65000) + bytes(64998)
    path = write(tmp_path, content[:2] + comment * 6 + content[2:])
    assert describe(path).shape == one(path).pixels.shape == (1, 48, 40)


@pytest.mark.parametrize("length", range(4070, 4100, 2))
def test_a_frame_header_that_the_first_bytes_cut_is_described(tmp_path, length):
    content = jpeg(smooth())
    frame = content.index(b"\xff\xc0")
    comment = b"\xff\xfe" + struct.pack(">H", length - frame) + bytes(length - frame - 2)
    path = write(tmp_path, content[:2] + comment + content[2:])
    assert describe(path).shape == one(path).pixels.shape == (1, 48, 40)


def test_B1_bomb_is_refused_by_its_header(tmp_path):
    content = bytearray(jpeg(smooth()))
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 60000, 60000)
    assert refusal(write(tmp_path, bytes(content))).code == "too_many_pixels"


@real
def test_real_chest_xrays_read_through():
    """Grey and RGB files of the set come out as the decoder alone gives them."""
    paths = sorted(needs(REAL / "cxr").glob("*/*.jpeg"))[::400]
    shapes = set()
    for path in paths:
        page = one(path)
        shapes.add(page.pixels.shape[0])
        assert np.array_equal(page.pixels, decoded(path.read_bytes()))
        assert describe(path).shape == page.pixels.shape
    assert len(paths) >= 10
    assert 1 in shapes


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "1"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (1301, 33), (5003, 4001)])
def test_the_memory_of_an_image_holds_its_pixels_row_by_row(mode, size):
    # The largest takes several blocks of Pillow's memory, or rows with gaps between them.
    rng = np.random.default_rng(0)
    image = Image.frombytes("L", size, rng.bytes(size[0] * size[1])).convert(mode)
    image.putpixel((size[0] - 1, size[1] - 1), image.getpixel((0, 0)))
    expected = np.asarray(image)
    found = _array_of(image)
    del image
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_the_pixels_of_an_image_outlive_it():
    rng = np.random.default_rng(0)
    expected = rng.integers(0, 256, (300, 200), dtype=np.uint8)
    with Image.fromarray(expected) as image:
        found = _array_of(image.copy())
    others = [Image.new("L", (200, 300), value) for value in range(200)]
    np.testing.assert_array_equal(found, expected)
    assert len(others) == 200
    assert not found.flags.writeable
