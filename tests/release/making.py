"""Audit folders for the tests of the release: real prepared sets, scored in the plainest way.

The scoring here is its own: correlation of 8 x 8 block means, the best image of every person, the
same numbers in all four families. It stands for the audit and, as `rescore`, for the repetition.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, PngImagePlugin
from scipy.ndimage import gaussian_filter

from likeness._findings import (
    AffectedPatients,
    Baseline,
    Check,
    Counts,
    Findings,
    Interval,
    Membership,
    NegativeControl,
    PlantedLevel,
    Provenance,
    Rates,
    SelfCheck,
    SetSummary,
    Verdict,
)
from likeness._release.gate_scores import Scores
from likeness._release.tables import FAMILIES
from likeness.calibration import benjamini_hochberg, combine_families, p_values
from likeness.datasets import ImageSet, PrepareOptions, prepare_images

SIZE = 32
CANARY = "CANARY7f3a"
RULE = "regex:(P[0-9]+)_"


def picture(seed, size=SIZE):
    rng = np.random.default_rng([11, seed])
    field = gaussian_filter(rng.normal(size=(size, size)), 2.5)
    return np.rint(128 + 110 * field / np.abs(field).max()).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", f"{CANARY}-text")
    Image.fromarray(pixels).save(path, format="PNG", pnginfo=text)


def block_means(images):
    count, channels, height, width = images.shape
    means = images.astype(np.float64).reshape(count, channels, height // 4, 4, width // 4, 4)
    flat = means.mean(axis=(3, 5)).reshape(count, -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norms = np.sqrt((flat**2).sum(axis=1, keepdims=True))
    return np.divide(flat, norms, out=np.full_like(flat, np.nan), where=norms > 0)


def best_two(queries, references, people, own=None):
    """Highest correlation, contrast and nearest image of every query, one query at a time."""
    references = block_means(references) if references.ndim == 4 else references
    best, contrast, nearest = [], [], []
    for row, query in enumerate(block_means(queries)):
        r = (references * query).sum(axis=1)
        highest = {}
        for index, (value, person) in enumerate(zip(r, people, strict=True)):
            if own is not None and person == own[row]:
                continue
            if person not in highest or value > r[highest[person]]:
                highest[person] = index
        ordered = sorted(highest.values(), key=lambda index: -r[index])
        first, second = r[ordered[0]], r[ordered[1]]
        clipped = np.clip([first, second], -1 + 1e-7, 1 - 1e-7)
        best.append(first)
        contrast.append(np.arctanh(clipped[0]) - np.arctanh(clipped[1]))
        nearest.append(ordered[0])
    return np.array(best), np.array(contrast), np.array(nearest)


def in_all_families(values):
    return dict.fromkeys(FAMILIES, values)


def plain_rescorer(train: ImageSet):
    pixels, people = block_means(train.read(0, len(train))), train.patient_codes.tolist()

    def score(images):
        best, contrast, _ = best_two(images.read(0, len(images)), pixels, people)
        return Scores(in_all_families(best), in_all_families(contrast))

    return score


@dataclass(frozen=True)
class Wish:
    """What the audit should be about."""

    patients: int = 70
    views: int = 3
    innocent: int = 60
    copied: tuple[int, ...] = (3, 8)
    """Patients of whom one image is copied, slightly blurred."""
    constant: int = 0
    test_patients: int = 30
    sources: str = "raw"
    """``raw``: the audit prepared the folders; ``prepared``: it was given image sets."""
    change: dict = field(default_factory=dict)
    """Fields of the findings that are replaced."""


@dataclass(frozen=True)
class MadeAudit:
    folder: Path
    root: Path
    findings: Findings
    train: ImageSet
    synthetic: ImageSet

    @property
    def rescore(self):
        return plain_rescorer(self.train)

    def write_findings(self, findings):
        findings.write_json(self.folder / "findings.json")
        seal(self.folder)
        return replace(self, findings=findings)


def make_audit(root: Path, wish: Wish | None = None, **more) -> MadeAudit:
    wish = replace(wish or Wish(), **more)
    folders = _folders(root, wish)
    folder = root / "audit"
    folder.mkdir()
    sets, paths = {}, {}
    for role, source in folders.items():
        place = folder / "work" / "sets" / role if wish.sources == "raw" else root / "sets" / role
        rule = "none" if role == "synthetic" else RULE
        options = PrepareOptions(patient_id=rule, sequences=None)
        sets[role] = prepare_images(source, place, options=options).image_set
        paths[role] = source if wish.sources == "raw" else place
    return _write(root, folder, sets, paths, wish)


def _folders(root, wish):
    for patient in range(wish.patients):
        for view in range(wish.views):
            save(root / "train" / f"P{patient:03}_{CANARY}_{view}.png", _view(patient, view))
    for patient in range(wish.test_patients):
        save(root / "test" / f"P{900 + patient}_0.png", _view(500 + patient, 0))
    for number in range(wish.innocent):
        save(root / "synthetic" / f"{CANARY}-s{number:03}.png", picture(10_000 + number))
    for number, patient in enumerate(wish.copied):
        pixels = gaussian_filter(_view(patient, 1).astype(float), 0.5)
        save(root / "synthetic" / f"t{number:03}.png", np.rint(pixels).astype(np.uint8))
    for number in range(wish.constant):
        save(root / "synthetic" / f"u{number}.png", np.full((SIZE, SIZE), 7 + number, np.uint8))
    roles = ("train", "synthetic", "test") if wish.test_patients else ("train", "synthetic")
    return {role: root / role for role in roles}


def _view(patient, view):
    mixed = 0.85 * picture(patient).astype(float) + 0.15 * picture(7000 + 10 * patient + view)
    return np.rint(mixed).astype(np.uint8)


def _write(root, folder, sets, paths, wish):
    train, synthetic = sets["train"], sets["synthetic"]
    pixels, people = train.read(0, len(train)), train.patient_codes
    null_best, null_contrast, _ = best_two(pixels, pixels, people, own=people)
    all_pixels = synthetic.read(0, len(synthetic))
    constant = all_pixels.min(axis=(1, 2, 3)) == all_pixels.max(axis=(1, 2, 3))
    best = np.full(len(synthetic), np.nan)
    contrast, nearest = best.copy(), np.full(len(synthetic), -1)
    found = best_two(all_pixels[~constant], pixels, people)
    best[~constant], contrast[~constant], nearest[~constant] = found
    p = p_values(contrast, null_contrast, groups=people).working
    combined = np.where(constant, 1.0, combine_families(np.stack([p] * 4, axis=1))[0])
    flagged, unusual = (benjamini_hochberg(combined, q) for q in (0.05, 0.20))
    count = len(synthetic)
    scores = {}
    for what, values in (("similarity", best), ("contrast", contrast), ("p", p)):
        for family in FAMILIES:
            scores[f"{what}_{family}"] = pa.array(values, from_pandas=True)
    names = [None if i < 0 else train.patient_names[people[i]] for i in nearest]
    rows = {
        "image_id": list(synthetic.image_ids),
        "patient_id": pa.array(names, pa.string()),
        "transform": ["identity"] * count,
        "p_value": pa.array(np.where(constant, np.nan, combined), from_pandas=True),
        "flagged": flagged,
        "unusual": unusual,
        "undefined": constant,
        **{name: np.zeros(count) for name in ("angle", "shift_down", "shift_right")},
        **scores,
    }
    pq.write_table(pa.table(rows), folder / "images.parquet")
    pq.write_table(_baseline_table(sets, null_best, null_contrast), folder / "baseline.parquet")
    findings = replace(_findings(sets, flagged, unusual, constant), **wish.change)
    findings.write_json(folder / "findings.json")
    lines = [f'{role} = "{path}"' for role, path in paths.items()]
    (folder / "settings.toml").write_text("\n".join(lines) + "\n")
    with (folder / "errors.csv").open("w", newline="") as stream:
        csv.writer(stream).writerow(["set", "path", "stage", "code", "reason", "bytes", "sha256"])
    seal(folder)
    return MadeAudit(folder, root, findings, train, synthetic)


def _baseline_table(sets, best, contrast):
    train = sets["train"]
    parts = [("train->train", train, best, contrast)]
    if "test" in sets:
        test = sets["test"]
        pixels, people = train.read(0, len(train)), train.patient_codes
        parts.append(("test->train", test, *best_two(test.read(0, len(test)), pixels, people)[:2]))
    tables = [
        pa.table(
            {
                "comparison": [name] * len(images),
                "image_id": list(images.image_ids),
                "patient": [images.patient_names[code] for code in images.patient_codes],
                **{f"similarity_{family}": r for family in FAMILIES},
                **{f"contrast_{family}": c for family in FAMILIES},
                "left_out": [False] * len(images),
                "in_null": [name == "train->train"] * len(images),
            }
        )
        for name, images, r, c in parts
    ]
    return pa.concat_tables(tables)


def seal(folder):
    """What the audit does last: hash its files, then say that it is complete."""
    names = sorted(
        p.name for p in folder.iterdir() if p.suffix in {".json", ".parquet", ".toml", ".csv"}
    )
    names = [name for name in names if name not in {"withheld.csv", "released.csv"}]
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    text = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    (folder / "SHA256SUMS").write_text(text)
    (folder / "COMPLETE").write_text("run0\n")


def _findings(sets, flagged, unusual, constant):
    train, synthetic = sets["train"], sets["synthetic"]
    copies = int(flagged.sum())
    return Findings(
        verdict=Verdict("COPIES_FOUND" if copies else "NO_COPY_DETECTED", f"{CANARY} sentence"),
        counts=Counts(
            synthetic=len(synthetic),
            train=len(train),
            test=len(sets["test"]) if "test" in sets else 0,
            flagged=copies,
            unusual=int(unusual.sum()),
            expected=0.05 * copies,
            patients=copies,
            train_patients=train.num_patients,
            test_patients=sets["test"].num_patients if "test" in sets else 0,
            undefined=int(constant.sum()),
            pairs=len(synthetic) * len(train),
        ),
        copies=[],
        patients=[],
        most_copied=[],
        baseline=Baseline(
            comparison="train->train",
            reason=f"{CANARY} reason",
            num_images=len(train),
            num_patients=train.num_patients,
            num_groups=train.num_patients,
            families=[],
            yardstick=None,
            median=None,
            quantile_99=None,
            maximum=None,
        ),
        distributions=[],
        checks=[Check("Complete search", "PASS", f"{CANARY} detail")],
        self_check=SelfCheck(
            run=True,
            reduced=False,
            passed=True,
            sensitive=True,
            negative=NegativeControl("test", 10, 0, 100, 0, 0.01, 1.0, [CANARY], True, None),
            levels=[PlantedLevel("L0", "gain and offset", True, 200, 199, 0.972, 0.0613)],
        ),
        membership=Membership(available=False, reason=f"{CANARY} why"),
        equal_size=None,
        rates=Rates(Interval(0.03, 0.004, 0.11), None, None, None, 62, 62, 0),
        affected=AffectedPatients(copies, copies, 0, float(copies), 0.01),
        panel=[],
        coverage=[],
        duplicates=[],
        merged_patients=[],
        sets=[_summary(role, images) for role, images in sets.items()],
        methods=f"{CANARY} methods",
        provenance=Provenance(
            run_id="run0",
            started="2025-01-02T03:04:05+00:00",
            seconds=1.0,
            command=f"likeness audit {CANARY}",
            versions={"likeness": "0.1.0"},
            engine="numpy",
            engine_check="exact",
            threads=1,
            memory_bytes=1 << 30,
            processor=CANARY,
            settings={},
            settings_hash="0",
        ),
    )


def _summary(role, images):
    return SetSummary(
        role=role,
        num_found=len(images),
        num_used=len(images),
        num_left_out=0,
        num_skipped=0,
        num_images=len(images),
        num_patients=images.num_patients if images.has_patient_ids else 0,
        patient_rule=RULE,
        shape=list(images.image_shape),
        dtype=str(images.dtype),
        channels=list(images.channels),
        minimum=0.0,
        maximum=255.0,
        mean=100.0,
        fingerprint=images.fingerprint,
    )
