"""The artificial patients that the benchmarks share: brains of 4 x 256 x 256, 8 bit.

A `Collection` says how many images there are and of what kind; a `Recipe` says all about one
patient's images. A patient's number decides everything, so a set can be made patient by patient, in
any order, by any number of processes, and a part of it made again gives the same bytes.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

CHANNELS = ("t1", "t2", "flair", "t1ce")
IMAGE_SIZE = 256
IMAGE_BYTES = len(CHANNELS) * IMAGE_SIZE * IMAGE_SIZE
SEED = 1
BLUR = 0.7
"""Standard deviation in pixels. Without it the artificial brains are several times harder to search
than real ones; see `surviving_shares`, which measures both."""
LOWEST, HIGHEST = 30.0, 125.0
"""Heights between which a slice has enough of the head in it to pass the paper's 15 % rule."""
PAPER_IMAGES, PAPER_PATIENTS = 91_271, 1_195
"""BRATS21 after cutting: 76 or 77 slices of each patient."""
TEST_PATIENTS, SYNTHETIC_PATIENTS, QUERY_PATIENTS = 1_000_000, 2_000_000, 3_000_000
"""Numbers of the first patient of other sets: the same person is never in two of them."""


@dataclass(frozen=True)
class Recipe:
    """One patient's images."""

    patient: int
    positions: tuple[float, ...]
    """Heights in native slices."""
    sequences: tuple[str, ...] = CHANNELS
    blur: float = 0.0
    """Standard deviation of a Gaussian blur, in pixels."""
    noise: float = 0.0
    """Standard deviation of white noise added at the end, in grey levels."""
    planted: str | None = None
    """How the images are altered, where they pose as synthetic ones; see `phantoms.plant`."""

    @property
    def name(self):
        """The patient's id."""
        return f"patient-{self.patient:07d}"

    def draw(self):
        """Return the images (n, C, H, W)."""
        from likeness.datasets.phantoms import brain_slices, plant

        images = brain_slices(
            SEED, self.patient, self.positions, sequences=self.sequences, image_size=IMAGE_SIZE
        )
        if self.blur:
            images = blurred(images, self.blur)
        if self.noise:
            images = with_noise(images, self.noise, self.patient)
        if self.planted:
            images = np.stack([plant(image, self.planted, seed=self.patient) for image in images])
        return images


@dataclass(frozen=True)
class Collection:
    """A set of artificial patients: how many images, and of what kind."""

    num_images: int = PAPER_IMAGES
    slices_per_patient: float = PAPER_IMAGES / PAPER_PATIENTS
    """On average: some patients get one more, so that the sum is right."""
    first: int = 0
    """Number of the first patient."""
    sequences: tuple[str, ...] = CHANNELS
    blur: float = 0.0
    noise: float = 0.0

    @property
    def num_patients(self):
        """Patients in the set."""
        return max(1, round(self.num_images / self.slices_per_patient))

    def changed(self, **values):
        """Return the same kind of set, but for these values."""
        return replace(self, **values)

    def recipes(self):
        """Yield one recipe per patient, in order."""
        edges = [self.num_images * k // self.num_patients for k in range(self.num_patients + 1)]
        for number in range(self.num_patients):
            patient, count = self.first + number, edges[number + 1] - edges[number]
            # Scanners do not agree on where the first slice lies.
            phase = np.random.default_rng([SEED, patient, 98]).uniform()
            heights = LOWEST + (np.arange(count) + phase) * ((HIGHEST - LOWEST) / count)
            yield Recipe(patient, tuple(map(float, heights)), self.sequences, self.blur, self.noise)


def blurred(images, sd):
    """Blur images (n, C, H, W) of 8 bit within their slices."""
    from scipy.ndimage import gaussian_filter

    soft = gaussian_filter(images.astype(np.float32), sigma=(0, 0, sd, sd))
    return np.rint(soft).astype(np.uint8)


def with_noise(images, sd, number):
    """Add white noise to 8-bit images; what leaves 0..255 is cut off."""
    rng = np.random.default_rng([SEED, number, 99])
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    return np.rint(np.clip(images + np.float32(sd) * noise, 0.0, 255.0)).astype(np.uint8)


def iter_drawn(recipes, *, jobs=1):
    """Yield each recipe with its images, in order; only few are in memory at once."""
    if jobs == 1:
        for recipe in recipes:
            yield recipe, recipe.draw()
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = deque()
        try:
            for recipe in recipes:
                waiting.append((recipe, pool.submit(recipe.draw)))
                if len(waiting) > 2 * jobs:
                    done, future = waiting.popleft()
                    yield done, future.result()
            for done, future in waiting:
                yield done, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def image_set(collection, *, jobs=1):
    """Return the whole set in memory."""
    from likeness import ImageSet

    shape = (len(collection.sequences), IMAGE_SIZE, IMAGE_SIZE)
    images = np.empty((collection.num_images, *shape), np.uint8)
    names, row = [], 0
    for recipe, part in iter_drawn(collection.recipes(), jobs=jobs):
        images[row : row + len(part)] = part
        names += [recipe.name] * len(part)
        row += len(part)
    return ImageSet.from_arrays(images, patient_ids=names, channels=collection.sequences)
