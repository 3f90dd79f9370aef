"""The whole job on artificial patients: what `likeness demo` does.

Phantom patients are written as NIfTI volumes in the layout of BraTS and prepared like real ones,
split into train, test, and a third group that gives the innocent synthetic images. Copies of
training slices, altered in five ways, are hidden among the innocent ones. The synthetic set is an
NPZ batch, as samplers of diffusion models write it. Then the ordinary audit runs, and because the
demo knows what it hid, it can say what was found.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._audit import AuditOptions, audit
from likeness._files import atomic_write, make_folder, write_text
from likeness._findings import Findings
from likeness._progress import SILENT, Progress
from likeness.datasets import BratsOptions, ImageSet, SplitRule, prepare_brats
from likeness.datasets.manifest import read_table
from likeness.datasets.phantoms import PLANTED_KINDS, plant, write_brats
from likeness.errors import OptionError

TRAIN_PATIENTS: Final = 40
TEST_PATIENTS: Final = 16
INNOCENT_PATIENTS: Final = 18
SLICES: Final = 16
"""Slices per volume; about half of them pass the foreground rule."""
COPIES_PER_KIND: Final = 3
SYNTHETIC: Final = 120
EVIDENCE: Final = 24
"""Pairs in the report; fewer than in an ordinary audit, for the sake of time."""
LOCAL_SAMPLE: Final = 200
CLOSER_LOOK: Final = 3
PLANTED: Final = 60
"""Copies per level in the self-check; fewer than in an ordinary audit, for the sake of time."""
CHANNELS: Final = ("t1", "t2", "flair", "t1ce")
MARK: Final = "likeness-demo.txt"
"""File that says that a folder is a demo and may be replaced."""


@dataclass(frozen=True)
class DemoResult:
    """What was hidden and what was found."""

    findings: Findings
    hidden: dict[str, int]
    """Copies hidden, per kind of alteration."""
    found: dict[str, int]
    """Copies flagged and matched with the right patient, per kind."""
    innocent: int
    """Innocent images."""
    innocent_flagged: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "hidden": self.hidden,
            "found": self.found,
            "innocent": self.innocent,
            "innocent_flagged": self.innocent_flagged,
            "findings": self.findings.to_dict(),
        }

    def describe(self) -> list[str]:
        """Return the outcome as lines."""
        kinds = ", ".join(f"{kind} {self.found[kind]}/{n}" for kind, n in self.hidden.items())
        return [
            f"hidden copies found: {sum(self.found.values())} of {sum(self.hidden.values())} "
            f"({kinds})",
            f"innocent images flagged: {self.innocent_flagged} of {self.innocent}",
        ]


def run_demo(
    out: Path, *, seed: int = 0, overwrite: bool = False, progress: Progress = SILENT
) -> DemoResult:
    """Make phantoms, hide copies, audit.

    Parameters
    ----------
    out
        Folder for everything; new, empty, or an earlier demo if `overwrite`.
    seed
        Which phantoms and which copies; at least 0.

    Raises
    ------
    OptionError
        If `out` holds something else, or an earlier demo and not `overwrite`.
    """
    _claim(out, overwrite=overwrite)
    everyone = TRAIN_PATIENTS + TEST_PATIENTS
    real, others = out / "phantoms", out / "other-phantoms"
    with progress.task("make phantoms", everyone + INNOCENT_PATIENTS, unit="patients") as task:
        for folder, patients in (
            (real, range(everyone)),
            (others, range(everyone, everyone + INNOCENT_PATIENTS)),
        ):
            write_brats(folder, seed=seed, patients=patients, num_slices=SLICES, task=task)
    options = BratsOptions(channels=CHANNELS)
    split = SplitRule(test_patients=TEST_PATIENTS, seed=seed)
    sets = prepare_brats(real, out / "sets", options=options, split=split, progress=progress).sets
    innocent = prepare_brats(others, out / "others", options=options, progress=progress).image_set
    truth = _write_synthetic(out, sets["train"], innocent, seed)
    findings = audit(
        out / "sets" / "train",
        out / "synthetic.npz",
        out / "sets" / "test",
        out=out / "audit",
        options=AuditOptions(
            seed=seed, evidence=EVIDENCE, closer_look=CLOSER_LOOK, planted=PLANTED
        ),
        progress=progress,
    )
    rows = read_table(out / "audit" / "images.parquet", ["image_id"])
    return _compare_with_truth(findings, truth, sets["train"], rows["image_id"])


def _claim(out: Path, *, overwrite: bool) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).is_file():
            msg = f"--out {str(out)!r} holds other files. Choose an empty or new folder."
            raise OptionError(msg)
        if not overwrite:
            msg = f"{str(out)!r} holds a demo. Give --overwrite to replace it, or another --out."
            raise OptionError(msg)
        shutil.rmtree(out)
    make_folder(out)
    write_text(out / MARK, "Made by `likeness demo`: artificial images, no patient.\n")


@dataclass(frozen=True)
class _Truth:
    """Per synthetic image: the kind of copy and the training row, or None for an innocent one."""

    planted: dict[int, tuple[str, int]]
    count: int


def _write_synthetic(out: Path, train: ImageSet, innocent: ImageSet, seed: int) -> _Truth:
    """Write the synthetic images as an NPZ batch (N, H, W, C) and say what is hidden in it."""
    rng = np.random.default_rng([seed, 1])
    copies = COPIES_PER_KIND * len(PLANTED_KINDS)
    rows = rng.choice(len(train), copies, replace=False)
    kinds = [kind for kind in PLANTED_KINDS for _ in range(COPIES_PER_KIND)]
    pictures = [
        plant(image, kind, seed=seed * 1000 + number)
        for number, (image, kind) in enumerate(zip(train.take(rows), kinds, strict=True))
    ]
    chosen = rng.choice(len(innocent), SYNTHETIC - copies, replace=False)
    batch = np.concatenate([np.stack(pictures), innocent.take(np.sort(chosen))])
    order = rng.permutation(len(batch))
    with atomic_write(out / "synthetic.npz") as stream:
        np.savez(stream, allow_pickle=False, arr_0=batch[order].transpose(0, 2, 3, 1))
    planted = {
        position: (kinds[source], int(rows[source]))
        for position, source in enumerate(order.tolist())
        if source < copies
    }
    return _Truth(planted, len(batch))


def _compare_with_truth(
    findings: Findings, truth: _Truth, train: ImageSet, ids: list[str]
) -> DemoResult:
    """Hold the copies against what was hidden; `ids` are the synthetic images in batch order."""
    flagged = {copy.image_id: copy for copy in findings.copies}
    hidden: Counter[str] = Counter(kind for kind, _ in truth.planted.values())
    found: Counter[str] = Counter()
    innocent_flagged = 0
    for row, image_id in enumerate(ids):
        copy = flagged.get(image_id)
        if row not in truth.planted:
            innocent_flagged += copy is not None
            continue
        kind, source = truth.planted[row]
        if copy is not None and copy.patient_id == train.patient_ids[source]:
            found[kind] += 1
    kinds: list[str] = list(PLANTED_KINDS)
    return DemoResult(
        findings=findings,
        hidden={kind: hidden[kind] for kind in kinds},
        found={kind: found[kind] for kind in kinds},
        innocent=truth.count - len(truth.planted),
        innocent_flagged=innocent_flagged,
    )
