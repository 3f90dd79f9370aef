"""The audit on real images: brain MRI and chest X-rays, with copies planted among innocent images.

    python runs/real_images.py --data ../shared/data --out /tmp/real-images

For each set: patients are divided into train, test and a third group whose images stand in for an
honest generator's. Altered copies of training images are hidden among them, the sets are audited,
and what was found is held against what was hidden. The images belong to their collections (see the
README beside them) and are never part of this project.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from pathlib import Path

import numpy as np

import likeness
from likeness import AuditOptions, ImageSet
from likeness.cli._console import make_progress
from likeness.datasets import BratsOptions, ChestXrayOptions
from likeness.datasets.phantoms import PLANTED_KINDS, plant


def groups_of(images: ImageSet, sizes: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Image rows of three disjoint groups of patients: the rest, `sizes[0]`, `sizes[1]`."""
    order = np.random.default_rng(seed).permutation(images.num_patients)
    second, third = set(order[: sizes[0]]), set(order[sizes[0] : sum(sizes)])
    side = np.array([1 if c in second else 2 if c in third else 0 for c in images.patient_codes])
    return [np.flatnonzero(side == number) for number in range(3)]


def run(name: str, images: ImageSet, sizes: tuple[int, int], per_kind: int, most: int, out: Path,
        seed: int, jobs: int) -> None:  # fmt: skip
    """Plant, audit, compare with the truth, print."""
    train_rows, test_rows, innocent_rows = groups_of(images, sizes, seed)
    train, test = images.subset(train_rows), images.subset(test_rows)
    rng = np.random.default_rng([seed, 1])
    innocent_rows = rng.permutation(innocent_rows)[:most]
    annotations = images.annotation_channels
    channels = [i for i, name in enumerate(images.channels) if name not in annotations]
    sources = rng.choice(len(train), per_kind * len(PLANTED_KINDS), replace=False)
    kinds = [kind for kind in PLANTED_KINDS for _ in range(per_kind)]
    copies = []
    for number, (row, kind) in enumerate(zip(sources, kinds, strict=True)):
        image = train.take([row])[0]
        altered = image.copy()
        altered[channels] = plant(image[channels], kind, seed=number)
        copies.append(altered)
    pixels = np.concatenate([np.stack(copies), images.take(np.sort(innocent_rows))])
    ids = [f"copy-{k}" for k in range(len(copies))]
    ids += [f"innocent-{k}" for k in range(len(innocent_rows))]
    order = rng.permutation(len(pixels))
    synthetic = ImageSet.from_arrays(
        pixels[order], image_ids=[ids[k] for k in order], channels=images.channels
    )
    start = time.monotonic()
    findings = likeness.audit(
        train, synthetic, test, out=out / name, overwrite=True, options=AuditOptions(jobs=jobs),
        progress=make_progress(show=True),
    )  # fmt: skip
    seconds = time.monotonic() - start
    flagged = {copy.image_id: copy for copy in findings.copies}
    right = Counter(
        kind
        for number, kind in enumerate(kinds)
        if (copy := flagged.get(f"copy-{number}")) is not None
        and copy.patient_id == train.patient_ids[sources[number]]
    )
    wrong = [i for i in flagged if i.startswith("innocent")]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{name}: {len(train)} train, {len(test)} test, {len(synthetic)} synthetic images; "
        f"{train.num_patients} and {test.num_patients} patients"
    )
    for kind in PLANTED_KINDS:
        print(f"  planted {kind:<11} found {right[kind]} of {per_kind}")
    print(
        f"  innocent listed {len(wrong)} of {len(innocent_rows)} "
        f"(among {len(flagged)} listed; at most {findings.counts.expected:.1f} expected by mistake)"
    )
    print(
        f"  verdict {findings.verdict.code}; baseline {findings.baseline.comparison}: "
        f"{findings.baseline.reason}"
    )
    for row in findings.distributions:
        print(
            f"  mean highest r, as is: {row.comparison:<17} {row.mean_correlation_identity:.4f} "
            f"({row.num_images} images, {row.num_reference_patients} patients searched)"
        )
    print(
        f"  duplicates listed: {findings.duplicates_total}, "
        f"equal: {sum(d.kind == 'exact' for d in findings.duplicates)}"
    )
    print(f"  audit {seconds:.0f} s, peak memory of the process so far {memory:.0f} MiB")
    print(f"  {out / name / 'report-INTERNAL.html'}")


def main() -> None:
    """Both sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("lgg", "cxr"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    progress = make_progress(show=True)
    if given.only != "cxr":
        options = BratsOptions(
            channels=("t1", "flair", "t1ce", "seg"), scaling="none", foreground_channel="flair",
            jobs=given.jobs,
        )  # fmt: skip
        start = time.monotonic()
        made = likeness.prepare_brats(
            given.data / "lgg", given.out / "lgg-set", options=options, progress=progress
        )
        print(
            f"lgg prepared in {time.monotonic() - start:.0f} s: {made.accounting.summary()}; "
            f"{len(made.image_set)} slices of {made.image_set.num_patients} patients"
        )
        run("lgg", made.image_set, (8, 6), 8, 10_000, given.out, given.seed, given.jobs)
    if given.only != "lgg":
        start = time.monotonic()
        made = likeness.prepare_chest_xray(
            given.data / "cxr", given.out / "cxr-set", options=ChestXrayOptions(jobs=given.jobs),
            progress=progress,
        )  # fmt: skip
        print(
            f"cxr prepared in {time.monotonic() - start:.0f} s: {made.accounting.summary()}; "
            f"{len(made.image_set)} images of {made.image_set.num_patients} patients"
        )
        patients = made.image_set.num_patients
        run("cxr", made.image_set, (patients // 5, patients // 5), 20, 500, given.out, given.seed,
            given.jobs)  # fmt: skip


if __name__ == "__main__":
    main()
