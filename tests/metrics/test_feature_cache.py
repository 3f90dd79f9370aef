"""Kept features: used again when nothing changed, never trusted when the file did."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from likeness._progress import SILENT
from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError
from likeness.metrics.feature_cache import extract


@dataclass
class Counting:
    """Features that count how often they are asked for."""

    key: str = "a"
    num_channels: int = 1
    num_features: int = 2
    num_classes: int = 0
    name: str = "counting"
    together: int = 4
    spoil: float = 1.0
    record: dict = field(default_factory=dict)
    calls: int = 0

    def features(self, images):
        self.calls += 1
        flat = images.reshape(len(images), -1).astype(float)
        return np.stack([flat.mean(axis=1), self.spoil * flat.max(axis=1)], axis=1)


class CountingClassifier(Counting):
    def features_and_logits(self, images):
        found = self.features(images)
        return found, np.concatenate([found, -found[:, :1]], axis=1)


def some_set(count=10, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return ImageSet.from_arrays(rng.integers(0, 256, (count, channels, 5, 5), dtype=np.uint8))


def run(images, extractor, cache, **options):
    return extract(images, extractor, cache=cache, progress=SILENT, **options)


def test_batches_and_what_is_kept(tmp_path):
    images, extractor = some_set(), Counting()
    first = run(images, extractor, tmp_path)
    assert extractor.calls == 3
    assert np.array_equal(first.features, Counting().features(images.read(0, 10)))
    again = run(images, extractor, tmp_path)
    assert extractor.calls == 3
    assert np.array_equal(first.features, again.features)
    assert again.logits is None
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_logits_are_kept_beside_them(tmp_path):
    extractor = CountingClassifier(num_classes=3)
    first, again = (run(some_set(), extractor, tmp_path) for _ in range(2))
    assert extractor.calls == 3
    assert np.array_equal(first.logits, again.logits)
    assert again.logits.shape == (10, 3)


def test_everything_that_changes_features_changes_the_file(tmp_path):
    images = some_set()
    run(images, Counting(), tmp_path)
    run(images, Counting(key="b"), tmp_path)
    run(images, Counting(num_channels=3), tmp_path, repeat=3)
    run(some_set(seed=1), Counting(), tmp_path)
    run(images.subset(np.arange(9)), Counting(), tmp_path)
    run(images.rename_channels(["other"]), Counting(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 6


def test_a_channel_of_a_set_is_a_set_of_its_own(tmp_path):
    images = some_set(channels=2)
    first = run(images.select_channels(["channel_0"]), Counting(), tmp_path)
    second = run(images.select_channels(["channel_1"]), Counting(), tmp_path)
    assert not np.array_equal(first.features, second.features)


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "header", "empty", "other"])
def test_a_damaged_file_is_computed_again(tmp_path, damage):
    images, extractor = some_set(), Counting()
    first = run(images, extractor, tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-3] ^= 1
    elif damage == "header":
        content[5] ^= 1
    else:
        content = {
            "cut": content[:-8],
            "grow": content + b"12345678",
            "empty": b"",
            "other": b"[1, 2]\n",
        }[damage]
    path.write_bytes(content)
    again = run(images, extractor, tmp_path)
    assert extractor.calls == 6
    assert np.array_equal(first.features, again.features)
    run(images, extractor, tmp_path)  # and it is sound again
    assert extractor.calls == 6


def test_a_file_of_another_set_under_its_name_is_not_taken(tmp_path):
    run(some_set(seed=1), Counting(), tmp_path)
    (wrong,) = tmp_path.iterdir()
    content = wrong.read_bytes()
    wrong.unlink()
    images = some_set()
    right = run(images, Counting(), tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert np.array_equal(run(images, Counting(), tmp_path).features, right.features)


def test_nothing_is_kept_unless_a_folder_is_named():
    extractor = Counting()
    run(some_set(), extractor, None)
    run(some_set(), extractor, None)
    assert extractor.calls == 6


def test_extractors_that_do_not_do_what_they_say():
    with pytest.raises(InputError, match=r"gives \(4, 2\) numbers for 4 images; expected \(4, 3\)"):
        run(some_set(), Counting(num_features=3), None)
    with pytest.raises(InputError, match="all finite"):
        run(some_set(), Counting(spoil=np.inf), None)
    with pytest.raises(ImageMismatchError, match="8-bit images of 1 channels; these are"):
        run(some_set(channels=2), Counting(), None)
