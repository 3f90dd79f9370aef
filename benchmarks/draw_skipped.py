"""Draw which pairs a search skips, and at which step: docs/skipped.png, from artificial brains.

Run: python -m benchmarks.draw_skipped [--out docs/skipped.png]
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.phantom_images import BLUR, QUERY_PATIENTS, Collection
from likeness.datasets import ImageSet
from likeness.search import SearchOptions, plan_search, search
from likeness.search._block import BlockState, Job
from likeness.search._filtered import coarse_level
from likeness.search.filter.queries import Queries
from likeness.search.filter.run import FilteredBlock

STEPS = (
    "skipped after 768 coefficients per channel",
    "skipped after 2,816",
    "skipped after 6,912",
    "pixels compared, at least of one channel",
    "among the 20 best of this query",
)
COLOURS = ("#eceff4", "#c3d3e8", "#6f9bcc", "#f2a65a", "#b5182b")


def steps_of(queries, references):
    """Return the step at which each pair ended, (queries, references)."""
    options = SearchOptions(top_k=20, top_patients=2, transforms=("identity",))
    found = search(queries, references, options=options, method="filter")
    plan = plan_search(queries, references, options=options, method="filter")
    step = np.zeros((len(queries), len(references)), dtype=np.int8)
    with ThreadPoolExecutor(plan.threads) as pool, ThreadPoolExecutor(1) as reader:
        job = Job(queries, references, None, options, plan, None, pool, reader)
        level = coarse_level(references, work=None, progress=_Silent())
        block = FilteredBlock(BlockState(0, len(queries), job), job, level)
        asked = Queries(queries.read(0, len(queries)), block._chunks, block._layout, pool)
        ready, floors = asked.turned("identity"), floors_of(found)[asked.order]
        tables = np.empty((2, *step.shape), dtype=np.float32)
        block._estimate(ready, *tables)
        nobody = np.full(len(queries), -1)
        for used in range(len(ready.bands) + 1):
            some = replace(ready, bands=ready.bands[:used])
            left, right, _ = block._left(some, *tables, floors, nobody, 0, len(references))
            step[asked.order[right], left] = used + 1
    listed = found.top.reference_index
    for query, places in enumerate(listed):
        step[query, places[places >= 0]] = len(STEPS) - 1
    return step


def floors_of(found):
    """Return what the lists end at, by both correlations, (queries, 2)."""
    ends = [
        np.minimum(getattr(top, name)[:, -1], getattr(people, name)[:, -1])
        for name, top, people in (
            ("correlation", found.top, found.patients),
            ("correlation_mean", found.top_mean, found.patients_mean),
        )
    ]
    return np.stack(ends, axis=1).astype(np.float32)


class _Silent:
    def task(self, *_, **__):
        from likeness._progress import SILENT

        return SILENT.task("coarse", 1)

    def say(self, text):
        del text


def images_of(collection):
    drawn = [(recipe.name, recipe.draw()) for recipe in collection.recipes()]
    names = [name for name, images in drawn for _ in images]
    return ImageSet.from_arrays(np.concatenate([i for _, i in drawn]), patient_ids=names)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/skipped.png"))
    parser.add_argument("--references", type=int, default=1824)
    given = parser.parse_args()
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    references = images_of(Collection(num_images=given.references, blur=BLUR))
    queries = images_of(Collection(num_images=76, first=QUERY_PATIENTS, blur=BLUR))
    step = steps_of(queries, references)
    figure, axes = plt.subplots(figsize=(11, 4.6), dpi=130)
    axes.imshow(
        step,
        aspect="auto",
        interpolation="nearest",
        cmap=ListedColormap(COLOURS),
        vmin=-0.5,
        vmax=4.5,
    )
    starts = np.flatnonzero(np.diff(references.patient_codes)) + 0.5
    axes.vlines(starts, -0.5, len(step) - 0.5, color="white", linewidth=0.6)
    axes.set_xlabel(f"{len(references):,} training images of {references.num_patients} patients")
    axes.set_ylabel("76 slices of one new patient, lowest first")
    axes.set_title("What one search skips: artificial brains, 4 channels of 256 x 256")
    shares = [float(np.mean(step == k)) for k in range(len(STEPS))]
    axes.legend(
        handles=[
            Patch(facecolor=colour, edgecolor="#888888", label=f"{share:.1%}  {text}")
            for colour, share, text in zip(COLOURS, shares, STEPS, strict=True)
        ],
        loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=2, frameon=False,
    )  # fmt: skip
    figure.savefig(given.out, bbox_inches="tight")
    print(f"{given.out}: " + ", ".join(f"{s:.1%} {t}" for s, t in zip(shares, STEPS, strict=True)))


if __name__ == "__main__":
    main()
