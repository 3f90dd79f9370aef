"""What one would use instead, each written for this benchmark and timed beside the search.

Every rival gets unsigned 8-bit images and gives the most correlated references of every query by
r_cat, the correlation over all pixels and channels as one vector. What each may do beforehand, not
timed, is said at its class.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

KEPT = 20
CENTRE = 128


def standardised(images):
    """Centre each image and divide it by its norm, in float64; store as float32 rows."""
    rows = np.empty((len(images), images[0].size), np.float32)
    for row, image in zip(rows, images, strict=True):
        values = image.reshape(-1).astype(np.float64)
        values -= values.mean()
        norm = np.sqrt(values @ values)
        row[:] = values / norm if norm else 0.0
    return rows


class Faiss:
    """`faiss.IndexFlatIP` on standardised float32 vectors.

    Beforehand: the references are standardised in float64 and stored in the index, and the queries
    are standardised. Timed: its search alone. The index is filled in place, because adding to it
    piece by piece needs twice the memory.
    """

    def __init__(self, queries, references, threads):
        # Its own OpenBLAS looks at these when it is loaded. Threads that spin while they wait would
        # punish FAISS for other work on the machine, and the side that runs next.
        os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        import faiss

        faiss.omp_set_num_threads(threads)
        length = int(np.prod(references.image_shape))
        self._index = faiss.IndexFlatIP(length)
        self._index.codes.resize(len(references) * length * 4)
        self._index.ntotal = len(references)
        whole = faiss.rev_swig_ptr(self._index.get_xb(), len(references) * length)
        whole = whole.reshape(len(references), length)
        for start in range(0, len(references), 100):
            stop = min(start + 100, len(references))
            whole[start:stop] = standardised(references.read(start, stop))
        self._queries = standardised(queries.read(0, len(queries)))

    def __call__(self):
        """Return correlations (n, 20) and references (n, 20)."""
        values, places = self._index.search(self._queries, min(KEPT, self._index.ntotal))
        return values, places


class PlainInt8:
    """All products in 8-bit integers by the fastest plain kernel at hand; r_cat, 20 best kept.

    Beforehand: nothing but the queries' bytes in memory. Timed: reading the references, sums,
    products, and keeping the best.
    """

    def __init__(self, queries, references, threads, kernel=None):
        self._queries, self._references, self._threads = queries, references, threads
        self.kernel = kernel or fastest_kernel(threads)

    def __call__(self):
        """Return correlations (n, 20) and references (n, 20)."""
        pixels = self._queries.read(0, len(self._queries))
        shape = self._references.image_shape
        length = int(np.prod(shape))
        kernel = KERNELS[self.kernel](pixels, self._threads)
        left = moments(pixels)
        best = np.full((len(pixels), KEPT), -np.inf)
        places = np.full((len(pixels), KEPT), -1)
        for start in range(0, len(self._references), kernel.tile):
            tile = self._references.read(start, min(start + kernel.tile, len(self._references)))
            right = moments(tile)
            # Below 2**53 throughout, so exact.
            covariance = length * kernel.products(tile) - np.outer(left[0], right[0])
            values = covariance / np.sqrt(np.outer(left[1], right[1]))
            merged = np.concatenate([best, values], axis=1)
            fresh = np.broadcast_to(np.arange(start, start + len(tile)), values.shape)
            numbers = np.concatenate([places, fresh], axis=1)
            chosen = np.argpartition(-merged, KEPT - 1, axis=1)[:, :KEPT]
            best = np.take_along_axis(merged, chosen, axis=1)
            places = np.take_along_axis(numbers, chosen, axis=1)
        order = np.argsort(-best, axis=1, kind="stable")
        return np.take_along_axis(best, order, axis=1), np.take_along_axis(places, order, axis=1)


def moments(images):
    """Return sums and (length x squares - sum squared) of images, exact in float64."""
    sums, squares = [], []
    for image in images:
        pieces = image.reshape(-1, 256).astype(np.float32)  # 256 squares of bytes are exact
        sums.append(pieces.sum(axis=1).sum(dtype=np.float64))
        squares.append(np.vecdot(pieces, pieces).sum(dtype=np.float64))
    sums, squares = np.array(sums), np.array(squares)
    return sums, images[0].size * squares - sums * sums


class TorchKernel:
    """`torch._int_mm`: signed bytes, sums in 32 bit, so a channel at a time."""

    tile = 256

    def __init__(self, queries, threads):
        import torch

        torch.set_num_threads(threads)
        self._torch = torch
        self._queries = [torch.from_numpy(part) for part in signed(queries)]
        self._sums = queries.reshape(len(queries), -1).sum(axis=1, dtype=np.int64)
        self._length = int(np.prod(queries.shape[1:]))

    def products(self, tile):
        """Return (n, m) exact products of unsigned bytes."""
        total = np.zeros((len(self._sums), len(tile)))
        for left, right in zip(self._queries, signed(tile), strict=True):
            part = self._torch._int_mm(left, self._torch.from_numpy(right).t())
            total += part.numpy()
        sums = tile.reshape(len(tile), -1).sum(axis=1, dtype=np.int64)
        shifted = CENTRE * (self._sums[:, None] + sums[None, :]) - CENTRE**2 * self._length
        return total + shifted


def signed(images):
    """Return per channel the bytes less 128, (n, H W), in pieces whose sums fit into 32 bit."""
    flat = (images ^ np.uint8(CENTRE)).view(np.int8).reshape(*images.shape[:2], -1)
    most = 1 << 16  # 2**16 products of at most 2**14 are 2**30
    return [
        np.ascontiguousarray(flat[:, channel, start : start + most])
        for channel in range(images.shape[1])
        for start in range(0, flat.shape[2], most)
    ]


class NumkongKernel:
    """The byte kernels of NumKong, in groups of queries that stay in the cache."""

    tile = 256
    group = 96

    def __init__(self, queries, threads):
        from likeness.search import choose_engine

        self._engine = choose_engine("numkong-uint8").engine
        self._pool = ThreadPoolExecutor(threads)
        rows = queries.reshape(len(queries), -1)
        starts = range(0, len(rows), self.group)
        self._packed = list(
            self._pool.map(lambda i: self._engine.pack(rows[i : i + self.group]), starts)
        )

    def products(self, tile):
        """Return (n, m) exact products of unsigned bytes."""
        rows = tile.reshape(len(tile), -1)
        parts = self._pool.map(lambda packed: self._engine.products(rows, packed), self._packed)
        return np.concatenate([part.T for part in parts])


KERNELS = {"torch._int_mm": TorchKernel, "NumKong tiles": NumkongKernel}


def fastest_kernel(threads):
    """Return the name of the kernel that is right and fastest here on a small block."""
    rng = np.random.default_rng(0)
    queries = rng.integers(0, 256, (512, 4, 128, 128), dtype=np.uint8)
    tile = rng.integers(0, 256, (256, 4, 128, 128), dtype=np.uint8)
    wide = tile[:2].reshape(2, -1).astype(np.int64)
    truth = np.stack([(queries[0].reshape(-1) * row).sum() for row in wide])
    speed = {}
    for name, make in KERNELS.items():
        try:
            kernel = make(queries, threads)
            times = []
            for _ in range(3):
                began = time.perf_counter()
                found = kernel.products(tile)
                times.append(time.perf_counter() - began)
        except (ImportError, RuntimeError, AttributeError) as error:
            print(f"  {name} cannot be used: {error}")
            continue
        if np.array_equal(found[0, :2], truth):
            speed[name] = min(times)
    return min(speed, key=speed.get)


class ScikitLearn:
    """`sklearn.neighbors.NearestNeighbors(algorithm="brute", metric="correlation")`.

    Beforehand: the images as float64 vectors in memory. Timed: `kneighbors`.
    """

    def __init__(self, queries, references, threads):
        from sklearn.neighbors import NearestNeighbors

        self._queries, vectors = (
            images.read(0, len(images)).reshape(len(images), -1).astype(np.float64)
            for images in (queries, references)
        )
        self._search = NearestNeighbors(
            n_neighbors=min(KEPT, len(vectors)),
            algorithm="brute",
            metric="correlation",
            n_jobs=threads,
        ).fit(vectors)

    def __call__(self):
        """Return correlations (n, 20) and references (n, 20)."""
        distances, places = self._search.kneighbors(self._queries)
        return 1.0 - distances, places


class PairByPair:
    """The paper's procedure: read both files for every pair, as grey, then `scipy.stats.pearsonr`.

    Written from its description (Akbar, Wang, Eklund 2025, section 2.3), one process. The files are
    PNG in the page cache. With one channel a pair is two files and a quarter of the pixels that
    the search compares; with four, the four files of each image make one vector.

    Beforehand: writing the files. Timed: all pairs of a sample.
    """

    def __init__(self, queries, references, folder, channels):
        from PIL import Image

        self._files = []
        for side, images in (("query", queries), ("reference", references)):
            paths = []
            for number, image in enumerate(images.read(0, len(images))):
                names = [folder / f"{side}-{number}-{channel}.png" for channel in range(channels)]
                for name, pixels in zip(names, image, strict=False):
                    Image.fromarray(pixels).save(name)
                paths.append(names)
            self._files.append(paths)

    def __call__(self):
        """Return the correlations (n, m)."""
        from scipy.stats import pearsonr

        queries, references = self._files
        found = np.empty((len(queries), len(references)))
        for i, query in enumerate(queries):
            for j, reference in enumerate(references):
                found[i, j] = pearsonr(grey_vector(query), grey_vector(reference))[0]
        return found


def grey_vector(paths):
    """Read image files as grey and put their pixels into one vector."""
    from PIL import Image

    parts = []
    for path in paths:
        with Image.open(path) as image:
            parts.append(np.asarray(image.convert("L")).reshape(-1))
    return np.concatenate(parts)
