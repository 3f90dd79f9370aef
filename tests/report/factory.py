"""Audit folders for the tests of the report, from seeded arrays.

The numbers are invented but consistent: flagged images lie above the threshold, counts agree with
tables, correlations of pairs are computed from their pixels.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from likeness._findings import (
    Baseline,
    Check,
    Copy,
    Counts,
    Distribution,
    DuplicatePair,
    Findings,
    MostCopied,
    PatientLeak,
    Provenance,
    SetSummary,
    Verdict,
)

SENTENCES = {
    "COPIES_FOUND": "Synthetic images reproduce pictures of particular training patients.",
    "TRAINING_SIGNAL": "As a whole the images point to patients used for training.",
    "NO_COPY_DETECTED": "None of the images was recognised as a copy.",
    "INCONCLUSIVE": "The available data do not allow a statement.",
}


@dataclass(frozen=True)
class Plan:
    """What the audit folder should look like."""

    verdict: str = "COPIES_FOUND"
    num_synthetic: int = 120
    num_flagged: int = 9
    num_train: int = 400
    num_test: int = 80
    channels: tuple[str, ...] = ("t1", "flair")
    shape: tuple[int, int] = (24, 32)
    dtype: str = "uint8"
    patient_ids: bool = True
    num_pairs: int = 12
    num_undefined: int = 0
    num_errors: int = 3
    evidence: bool = True
    text: Callable[[str], str] = field(default=str)
    """Applied to every string that may come from outside."""
    seed: int = 7


@dataclass(frozen=True)
class Made:
    """The folder and what was put into it."""

    folder: Path
    findings: Findings
    pairs: list[dict]
    synthetic: np.ndarray
    train: np.ndarray
    baseline_scores: np.ndarray


def phantom(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A head-like picture in [0, 1]: an ellipse with soft blobs, dark outside."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    head = 1 / (1 + np.exp((np.hypot(rows / 0.85, columns / 0.75) - 1) * 25))
    picture = 0.35 + 0 * rows
    for _ in range(9):
        y, x, size, height = rng.uniform([-0.6, -0.6, 0.08, -0.35], [0.6, 0.6, 0.3, 0.5])
        picture += height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2))
    return np.clip(picture, 0, 1) * head


def make_audit(folder: Path, plan: Plan | None = None, **changes) -> Made:
    """Write an audit folder."""
    plan = replace(plan or Plan(), **changes)
    rng = np.random.default_rng(plan.seed)
    folder.mkdir(parents=True, exist_ok=True)
    t = plan.text
    threshold = 0.9
    baseline = rng.uniform(0.5, 0.895, max(1, plan.num_test or plan.num_train))
    comparison = "test->train" if plan.num_test else "train->train"
    flagged_scores = np.sort(rng.uniform(0.95, 0.9999, plan.num_flagged))[::-1]
    others = np.sort(rng.uniform(0.5, 0.89, plan.num_synthetic - plan.num_flagged))[::-1]
    scores = np.concatenate([flagged_scores, others])
    patient_of = [
        t(f"P-{i % 3:04d}" if plan.patient_ids else f"train/{i:05d}.png")
        for i in range(plan.num_synthetic)
    ]

    arrays, pairs = _make_pairs(rng, plan, scores, patient_of, baseline)
    if plan.evidence:
        (folder / "evidence").mkdir(exist_ok=True)
        (folder / "evidence" / "pairs.json").write_text(json.dumps(pairs))
        np.savez(folder / "evidence" / "pairs.npz", **arrays)

    copies = [
        Copy(
            image_id=t(f"synthetic/{i:05d}.png"),
            match_id=t(f"train/{i % 5:05d}.png"),
            patient_id=patient_of[i],
            correlation=float(score),
            correlation_mean=float(score) - 0.01,
            transform="flip_h" if i % 4 == 1 else "identity",
            score=float(score),
            baseline_above=0,
            correlation_per_channel=[float(score)] * len(plan.channels),
        )
        for i, score in enumerate(flagged_scores)
    ]
    leaks = _leaks(copies)
    _write_images(folder, plan, scores, patient_of)
    tables = {comparison: baseline}
    if plan.num_test:
        tables["train->train"] = rng.uniform(0.5, 0.9, max(1, plan.num_train // 4))
        tables["synthetic->test"] = rng.uniform(0.45, 0.85, plan.num_synthetic)
    _write_baseline(folder, plan, tables)
    _write_errors(folder, plan)
    findings = Findings(
        verdict=Verdict(plan.verdict, t(SENTENCES[plan.verdict]), [t("One reason for it.")]),
        counts=Counts(
            synthetic=plan.num_synthetic,
            train=plan.num_train,
            test=plan.num_test,
            flagged=plan.num_flagged,
            expected=plan.num_synthetic * 0.01,
            patients=len(leaks),
            train_patients=plan.num_train // 4 if plan.patient_ids else plan.num_train,
            test_patients=plan.num_test // 4,
            undefined=plan.num_undefined,
            pairs=plan.num_synthetic * plan.num_train,
        ),
        copies=copies,
        patients=leaks,
        most_copied=[MostCopied(copy.match_id, copy.patient_id, 2) for copy in copies[:3]],
        baseline=Baseline(
            comparison,
            t("It has enough patients."),
            len(baseline),
            max(1, len(baseline) // 4),
            0.01,
            threshold,
            "baseline",
            float(np.median(baseline)),
            float(np.quantile(baseline, 0.99)),
            float(baseline.max()),
        ),
        distributions=[
            _distribution(name, values)
            for name, values in {"synthetic->train": scores, **tables}.items()
        ],
        checks=[
            Check(t("Patients are disjoint"), "PASS", t("No patient is in both sets.")),
            Check(t("Size of the baseline"), "WARN", t("20 patients."), t("Hold out more.")),
            Check(t("Same preprocessing"), "FAIL", t("Ranges differ."), t("Prepare again.")),
        ],
        duplicates=[
            DuplicatePair(
                "exact",
                "train",
                t("train/00001.png"),
                "test",
                t("test/00002.png"),
                patient_of[0],
                None,
                1.0,
            )
        ],
        sets=[_set_summary(role, plan) for role in ("train", "test", "synthetic")],
        methods=t("Every synthetic image was compared with every training image."),
        provenance=Provenance(
            run_id=t("7f3a"),
            started="2025-03-04T05:06:07+00:00" if t("") == "" else t("then"),
            seconds=12.5,
            command=t("likeness audit --train train"),
            versions={t("likeness"): t("0.1.0"), "likeness": t("0.1.0"), "numpy": t("2.4.6")},
            engine=t("float64"),
            engine_check=t("exact on 1,000 pairs"),
            threads=2,
            memory_bytes=2_000_000_000,
            processor=t("a processor"),
            settings={"top_k": 20, t("nested"): {t("rule"): t("parent-folder"), "list": [t("a")]}},
            settings_hash=t("c0ffee"),
        ),
        duplicates_total=1,
        undefined_ids=[t(f"flat/{i}.png") for i in range(plan.num_undefined)],
    )
    findings.write_json(folder / "findings.json")
    return Made(folder, findings, pairs, arrays["synthetic"], arrays["train"], baseline)


def _make_pairs(rng, plan, scores, patient_of, baseline):
    num_pairs = min(plan.num_pairs, plan.num_synthetic)
    full = (num_pairs, len(plan.channels), *plan.shape)
    train, synthetic, previous, following = (np.empty(full) for _ in range(4))
    for i in range(num_pairs):
        for c in range(len(plan.channels)):
            train[i, c] = phantom(rng, plan.shape)
            noise = 0.02 if i < plan.num_flagged else 0.3
            synthetic[i, c] = 0.9 * train[i, c] + 0.05 + noise * rng.random(plan.shape)
            previous[i, c] = 0.8 * train[i, c] + 0.2 * phantom(rng, plan.shape)
            following[i, c] = 0.8 * train[i, c] + 0.2 * phantom(rng, plan.shape)
    scale = 255 if np.issubdtype(plan.dtype, np.integer) else 1
    arrays = {
        name: np.clip(values * scale, 0, scale).astype(plan.dtype)
        for name, values in {
            "synthetic": synthetic,
            "train": train,
            "previous": previous,
            "next": following,
        }.items()
    }
    arrays["has_previous"] = np.arange(num_pairs) % 3 != 0
    arrays["has_next"] = np.arange(num_pairs) % 4 != 3
    pairs = []
    for i in range(num_pairs):
        s, x = arrays["synthetic"][i].astype(float), arrays["train"][i].astype(float)
        per_channel = [
            float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in zip(s, x, strict=True)
        ]
        pairs.append(
            {
                "image_id": plan.text(f"synthetic/{i:05d}.png"),
                "match_id": plan.text(f"train/{i % 5:05d}.png"),
                "patient_id": patient_of[i],
                "transform": "flip_h" if i % 4 == 1 else "identity",
                "correlation": float(np.corrcoef(s.ravel(), x.ravel())[0, 1]),
                "correlation_mean": float(np.mean(per_channel)),
                "correlation_per_channel": per_channel,
                "score": float(scores[i]),
                "baseline_above": int((baseline >= scores[i]).sum()),
                "baseline_size": len(baseline),
                "previous_id": plan.text(f"train/p{i}.png") if i % 3 else None,
                "next_id": None if i % 4 == 3 else plan.text(f"train/n{i}.png"),
                "flagged": i < plan.num_flagged,
            }
        )
    return arrays, pairs


def _leaks(copies):
    by_patient: dict[str, list[Copy]] = {}
    for copy in copies:
        by_patient.setdefault(copy.patient_id, []).append(copy)
    leaks = [
        PatientLeak(
            patient_id=patient,
            num_copies=len(group),
            best_correlation=max(copy.correlation for copy in group),
            best_score=max(copy.score for copy in group),
            image_ids=[copy.image_id for copy in group],
            match_ids=sorted({copy.match_id for copy in group}),
        )
        for patient, group in by_patient.items()
    ]
    return sorted(leaks, key=lambda leak: -leak.num_copies)


def _columns(plan, scores, patient_of, role):
    count = len(scores)
    return {
        "image_id": [plan.text(f"{role}/{i:05d}.png") for i in range(count)],
        "correlation": scores,
        "correlation_identity": scores - 0.02,
        "correlation_mean": scores - 0.01,
        "score": scores,
        "match_id": [plan.text(f"train/{i % 5:05d}.png") for i in range(count)],
        "patient_id": patient_of,
        "transform": ["identity"] * count,
        "flagged": np.arange(count) < plan.num_flagged
        if role == "synthetic"
        else np.zeros(count, bool),
        "undefined": np.zeros(count, bool),
    }


def _write_images(folder, plan, scores, patient_of):
    columns = _columns(plan, scores, patient_of, "synthetic")
    for name in ("correlation", "correlation_identity", "correlation_mean", "score"):
        columns[name] = np.concatenate([columns[name], np.full(plan.num_undefined, np.nan)])
    for name, values in columns.items():
        missing = plan.num_undefined - (len(values) - len(scores))
        columns[name] = list(values) + [name == "undefined" or None] * missing
    columns["flagged"] = [bool(value) for value in columns["flagged"]]
    pq.write_table(pa.table(columns), folder / "images.parquet")


def _write_baseline(folder, plan, tables):
    parts = []
    for name, values in tables.items():
        columns = _columns(plan, values, [plan.text("P")] * len(values), name.split("->")[0])
        columns["flagged"] = np.zeros(len(values), bool)
        parts.append(pa.table({"comparison": [name] * len(values), **columns}))
    pq.write_table(pa.concat_tables(parts), folder / "baseline.parquet")


def _write_errors(folder, plan):
    with (folder / "errors.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["set", "path", "stage", "code", "reason", "bytes", "sha256"])
        for i in range(plan.num_errors):
            reason = plan.text("the file ends in the middle")
            path = plan.text(f"train/broken{i}.png")
            writer.writerow(["train", path, "read", "truncated", reason, 100 + i, "0" * 64])


def _distribution(name, values):
    values = np.asarray(values)
    q = [float(np.median(values)), float(np.quantile(values, 0.99)), float(values.max())]
    mean = float(values.mean())
    return Distribution(name, len(values), 20, mean - 0.02, mean, mean - 0.01, *q, *q)


def _set_summary(role, plan):
    num_images = {"train": plan.num_train, "test": plan.num_test, "synthetic": plan.num_synthetic}
    left_out = plan.num_errors if role == "train" else 0
    return SetSummary(
        role=role,
        num_found=num_images[role] + left_out,
        num_used=num_images[role],
        num_left_out=left_out,
        num_skipped=left_out,
        num_images=num_images[role],
        num_patients=max(1, num_images[role] // 4),
        patient_rule=plan.text("parent-folder"),
        shape=[len(plan.channels), *plan.shape],
        dtype=plan.text(plan.dtype),
        channels=[plan.text(name) for name in plan.channels],
        minimum=0.0,
        maximum=255.0,
        mean=41.7,
        fingerprint=plan.text("ab" * 32),
    )
