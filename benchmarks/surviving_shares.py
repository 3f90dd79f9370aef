"""How hard a set is to prune: the share of references that a coarse upper bound cannot rule out.

Of every image, a centred unit vector, the means of the blocks of a grid are kept (`m`, scaled so
that they are coordinates in an orthonormal basis) and per block the norm of what is left (`e`).
Then ``<x, y> <= <m_x, m_y> + <e_x, e_y>`` (Cauchy-Schwarz in each block). A reference survives if
its upper bound reaches what the answer needs in the end: the best correlation (top 1), the 20th
best (top 20), or the best of the second best patient (2 patients). The fewer survive, the more a
search can skip. Queries are of patients that are not among the references: copies prune far better.

A search benchmark on images whose shares are lower than those of real images would flatter the
search, so this is measured for the artificial images that the other benchmarks use, and for real
ones where they are at hand.

Run: python -m benchmarks.surviving_shares [--references 2569 23478] [--lgg ../shared/data/lgg]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.phantom_images import BLUR, QUERY_PATIENTS, Collection, iter_drawn
from benchmarks.recording import add_common_arguments, arguments_of, write_result

GRIDS = (16, 32, 64, 128)
NEEDED = ("top 1", "top 20", "2 patients")
KEPT = 20
REAL = "real brain MRI (TCGA-LGG, Buda et al. 2019)"


def unit_vectors(images):
    """Centre every image over all its channels and divide it by its norm: (n, C, H, W) float32."""
    vectors = images.astype(np.float64)
    vectors -= vectors.mean(axis=(1, 2, 3), keepdims=True)
    norms = np.sqrt(np.square(vectors).sum(axis=(1, 2, 3), keepdims=True))
    return (vectors / np.where(norms > 0, norms, 1.0)).astype(np.float32)


def coarse(vectors):
    """Return, per grid, block means and norms of the rest, side by side: (n, 2 C grid grid)."""
    count, _, height, width = vectors.shape
    sums, energy = vectors, np.square(vectors)
    found = {}
    while height > min(GRIDS):
        sums, energy = halved(sums), halved(energy)
        height, width = height // 2, width // 2
        if height in GRIDS:
            means = sums / np.float32(vectors.shape[2] / height)
            rest = np.sqrt(np.maximum(energy - np.square(means), 0.0))
            pair = [means.reshape(count, -1), rest.reshape(count, -1)]
            found[height] = np.concatenate(pair, axis=1)
    return found


def halved(values):
    """Add up blocks of 2 x 2."""
    rows = values[:, :, 0::2] + values[:, :, 1::2]
    return rows[..., 0::2] + rows[..., 1::2]


def surviving_shares(queries, query_patients, batches):
    """Return the share that survives, per grid and per what is needed, over all pairs.

    Parameters
    ----------
    queries
        (n, C, H, W).
    query_patients
        (n,) codes: references of the same patient do not count.
    batches
        Yields references (m, C, H, W) and their patients' codes (m,).
    """
    left = unit_vectors(queries)
    coarse_left = coarse(left)
    left = left.reshape(len(left), -1)
    exact, bounds, codes = [], {grid: [] for grid in GRIDS}, []
    for images, patients in batches:
        right = unit_vectors(images)
        exact.append(left @ right.reshape(len(right), -1).T)
        for grid, pair in coarse(right).items():
            bounds[grid].append(coarse_left[grid] @ pair.T)
        codes.append(np.asarray(patients))
    correlation, codes = np.concatenate(exact, axis=1), np.concatenate(codes)
    met = query_patients[:, None] != codes[None, :]
    needed = {name: np.empty(len(queries)) for name in NEEDED}
    for row, (values, allowed) in enumerate(zip(correlation, met, strict=True)):
        descending = np.sort(values[allowed])[::-1]
        needed["top 1"][row] = descending[0]
        needed["top 20"][row] = descending[min(KEPT, len(descending)) - 1]
        best = np.full(codes.max() + 1, -np.inf)
        np.maximum.at(best, codes[allowed], values[allowed])
        needed["2 patients"][row] = np.sort(best)[-2]
    shares = {}
    for grid in GRIDS:
        bound = np.concatenate(bounds[grid], axis=1)
        shares[grid] = {
            name: float((bound >= least[:, None])[met].mean()) for name, least in needed.items()
        }
    return {
        "shares": {str(grid): shares[grid] for grid in GRIDS},
        "mean_highest_r": float(needed["top 1"].mean()),
        "queries": len(queries),
        "references": len(codes),
        "patients": len(np.unique(codes)),
        "shape": list(queries.shape[1:]),
    }


def measure_phantoms(collection, num_queries, jobs):
    """Measure artificial patients; the queries are slices of other people, four of each."""
    asked = collection.changed(num_images=num_queries, slices_per_patient=4, first=QUERY_PATIENTS)
    queries = np.concatenate([images for _, images in iter_drawn(asked.recipes(), jobs=jobs)])

    def batches():
        for recipe, images in iter_drawn(collection.recipes(), jobs=jobs):
            yield images, np.full(len(images), recipe.patient)

    return surviving_shares(queries, np.full(len(queries), -1), batches())


def measure_lgg(folder, num_queries, jobs):
    """Measure real brain MRI: slices drawn from all patients, against all other patients."""
    from likeness import prepare_brats
    from likeness.datasets import BratsOptions

    options = BratsOptions(
        channels=("t1", "flair", "t1ce"), scaling="none", foreground_channel="flair", jobs=jobs
    )
    with tempfile.TemporaryDirectory() as name:
        made = prepare_brats(folder, Path(name) / "set", options=options).image_set
        codes = made.patient_codes
        chosen = np.random.default_rng(0).permutation(len(made))[:num_queries]

        def batches():
            for start in range(0, len(made), 50):
                stop = min(start + 50, len(made))
                yield made.read(start, stop), codes[start:stop]

        return surviving_shares(made.take(chosen), codes[chosen], batches())


def table(found):
    """Lay out the shares of one set as lines."""
    heads = "".join(f"{name:>12}" for name in NEEDED)
    lines = [
        f"{found['name']}: {found['queries']} queries x {found['references']} images of "
        f"{found['patients']} patients, {found['shape']}, mean highest r "
        f"{found['mean_highest_r']:.4f}",
        f"  grid   {heads}",
    ]
    for grid, shares in found["shares"].items():
        lines.append(f"  {grid:>5}  " + "".join(f"{shares[name]:12.2%}" for name in NEEDED))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--references", type=int, nargs="+", default=[2569, 23_478])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--lgg", type=Path, help="folder of real patients in BraTS's layout")
    parser.add_argument(
        "--blurs", type=float, nargs="+", default=[0.0, BLUR], help="of the artificial images"
    )
    add_common_arguments(parser)
    given = arguments_of(parser, references=[160], queries=8)
    measured = []
    if given.lgg is not None:
        measured.append({"name": REAL, **measure_lgg(given.lgg, 100, given.jobs)})
        print(table(measured[-1]), flush=True)
        real = measured[-1]
        like = Collection(
            num_images=real["references"],
            slices_per_patient=real["references"] / real["patients"],
            sequences=("t1", "flair", "t1ce"),
        )
        for blur in given.blurs:
            found = measure_phantoms(like.changed(blur=blur), given.queries, given.jobs)
            measured.append({"name": f"artificial, blurred by {blur:g} pixels", **found})
            print(table(measured[-1]), flush=True)
    for count in given.references:
        for blur in given.blurs:
            kind = Collection(num_images=count, blur=blur)
            found = measure_phantoms(kind, given.queries, given.jobs)
            measured.append({"name": f"artificial, blurred by {blur:g} pixels", **found})
            print(table(measured[-1]), flush=True)
    write_result(given, "surviving_shares", {"sets": measured})


if __name__ == "__main__":
    main()
