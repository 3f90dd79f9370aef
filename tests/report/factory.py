"""Audit folders for the tests of the report, from seeded arrays.

The numbers are invented but consistent: flagged images stand out more than all real ones, counts
agree with tables, correlations and residuals of pairs are computed from their pixels.
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
    AffectedPatients,
    Baseline,
    Check,
    Copy,
    Counts,
    CoverageRow,
    Distribution,
    DuplicatePair,
    EqualSize,
    FamilyBaseline,
    Findings,
    Interval,
    Membership,
    MostCopied,
    NegativeControl,
    PanelRow,
    PatientLeak,
    PlantedKind,
    PlantedLevel,
    Provenance,
    Rates,
    SelfCheck,
    SetSummary,
    Verdict,
)
from likeness.report.verdicts import verdict_sentence

FAMILIES = ("plain", "dihedral", "registered", "tiles")
LEVELS = (
    ("L0", "stored again, gain and offset, gamma", True),
    ("L1", "noise, blur, blend of at least 90 %", True),
    ("L2", "flips, quarter turns, small shifts and rotations", True),
    ("L3", "larger shifts, zoom, warping", False),
    ("L4", "half or a quarter of the image", False),
)


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
    self_check: bool = True
    self_check_passed: bool = True
    baseline: bool = True
    num_in_set: int = 0
    """Images in the released set; 0 for as many as were audited."""
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
    real_contrasts: np.ndarray
    real_correlations: np.ndarray


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
    num_real = max(1, plan.num_train // 2)
    real_contrasts = np.abs(rng.normal(0, 0.05, num_real))
    real_correlations = rng.uniform(0.5, 0.895, num_real)
    num_rest = plan.num_synthetic - plan.num_flagged
    contrasts = np.concatenate(
        [
            np.sort(rng.uniform(0.8, 6, plan.num_flagged))[::-1],
            np.sort(np.abs(rng.normal(0, 0.05, num_rest)))[::-1],
        ]
    )
    patient_of = [
        t(f"P-{i % 3:04d}" if plan.patient_ids else f"train/{i:05d}.png")
        for i in range(plan.num_synthetic)
    ]
    arrays, pairs = _make_pairs(rng, plan, contrasts, patient_of, real_contrasts, real_correlations)
    if plan.evidence:
        (folder / "evidence").mkdir(exist_ok=True)
        (folder / "evidence" / "pairs.json").write_text(json.dumps(pairs))
        np.savez(folder / "evidence" / "pairs.npz", **arrays)

    correlations = np.concatenate(
        [rng.uniform(0.95, 0.9999, plan.num_flagged), rng.uniform(0.5, 0.89, num_rest)]
    )
    copies = [
        Copy(
            image_id=t(f"synthetic/{i:05d}.png"),
            match_id=t(f"train/{i % 5:05d}.png"),
            patient_id=patient_of[i],
            correlation=float(correlations[i]),
            correlation_mean=float(correlations[i]) - 0.01,
            transform="flip_h" if i % 4 == 1 else "identity",
            correlation_per_channel=[float(correlations[i])] * len(plan.channels),
            **_decision(plan, i, contrasts[i], real_contrasts),
        )
        for i in range(plan.num_flagged)
    ]
    leaks = _leaks(copies)
    _write_images(folder, plan, rng, contrasts, correlations, patient_of)
    tables = {"train->train": real_correlations}
    if plan.num_test:
        tables["test->train"] = rng.uniform(0.5, 0.9, plan.num_test)
        tables["synthetic->test"] = rng.uniform(0.45, 0.85, plan.num_synthetic)
    _write_baseline(folder, plan, rng, tables, real_contrasts)
    _write_errors(folder, plan)
    counts = Counts(
        synthetic=plan.num_synthetic,
        train=plan.num_train,
        test=plan.num_test,
        flagged=plan.num_flagged,
        unusual=plan.num_flagged + min(2, num_rest),
        expected=plan.num_flagged * 0.05,
        patients=len(leaks),
        train_patients=plan.num_train // 4 if plan.patient_ids else plan.num_train,
        test_patients=plan.num_test // 4,
        undefined=plan.num_undefined,
        pairs=plan.num_synthetic * plan.num_train,
    )
    baseline = _baseline(plan, real_contrasts, real_correlations)
    check = _self_check(plan)
    membership = _membership(plan)
    singletons = sum(leak.num_copies == 1 for leak in leaks)
    affected = AffectedPatients(
        seen=len(leaks),
        singletons=singletons,
        doubletons=sum(leak.num_copies == 2 for leak in leaks),
        chao1=len(leaks) + (2.4 if leaks else 0.0),
        next_new=0.015 if leaks else 0.0,
    )
    reasons = [t("One reason for it.")]
    sentence = verdict_sentence(
        plan.verdict,
        counts=counts,
        baseline=baseline,
        affected=affected,
        self_check=check,
        membership=membership,
        reasons=reasons,
        copies_only=not plan.num_test,
        copies=copies,
        patients_known=plan.patient_ids,
    )
    findings = Findings(
        verdict=Verdict(plan.verdict, t(sentence), reasons),
        counts=counts,
        copies=copies,
        patients=leaks,
        most_copied=[MostCopied(copy.match_id, copy.patient_id, 2) for copy in copies[:3]],
        baseline=baseline,
        distributions=[
            _distribution(name, values)
            for name, values in {"synthetic->train": correlations, **tables}.items()
        ],
        checks=[
            Check(t("Patients are disjoint"), "PASS", t("No patient is in both sets.")),
            Check(t("Size of the baseline"), "WARN", t("20 patients."), t("Hold out more.")),
            Check(t("Same preprocessing"), "FAIL", t("Ranges differ."), t("Prepare again.")),
        ],
        self_check=check,
        membership=membership,
        equal_size=EqualSize(
            num_patients=max(1, plan.num_test // 4),
            train_mean=0.781,
            test_mean=0.774,
            difference=Interval(0.007, -0.001, 0.014),
            train_mean_all=0.803,
        )
        if plan.num_test
        else None,
        rates=_rates(plan),
        affected=affected,
        panel=[
            PanelRow(
                t("C_T"),
                -1.8,
                t("p = 0.4 by exchanging patients"),
                t("Below 0: closer than held-out images. Smooth images lower it without copying."),
                t("Meehan et al. 2020"),
            ),
            PanelRow(t("Authenticity"), None, "", t("Needs more images."), t("Alaa et al. 2022")),
        ],
        coverage=[
            CoverageRow(t("Regurgitation"), True, True, t("See the listed images.")),
            CoverageRow(t("Model inversion"), False, False, t("Not looked at.")),
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
        merged_patients=[[t("P-0001"), t("P-0002")]],
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
    return Made(
        folder,
        findings,
        pairs,
        arrays["synthetic"],
        arrays["train"],
        real_contrasts,
        real_correlations,
    )


def _decision(plan, index, contrast, real):
    """What the audit knows of one image beside its correlation; the same for copies and pairs."""
    family = FAMILIES[index % 4]
    flagged = index < plan.num_flagged
    return {
        "family": family,
        "alteration": plan.text("shifted by 5 pixels") if family == "registered" else "",
        "p_value": 3e-7 if flagged else 0.2 + 0.001 * index,
        "p_conservative": 0.004 if flagged else 0.3,
        "extrapolated": flagged and index % 2 == 0,
        "q_value": 1e-5 if flagged else 0.9,
        "contrast": float(contrast),
        "similarity": 0.97,
        "second_patient_id": plan.text("P-0777"),
        "second_similarity": 0.71,
        "baseline_above": int((real >= contrast).sum()),
        "baseline_size": len(real),
        "correlation_registered": 0.9871 if family == "registered" else None,
        "overlap": 0.93 if family == "registered" else None,
        "masked_correlation": 0.88,
        "structural_similarity": 0.91,
        "mutual_information": 1.4,
        "residual": 0.08,
    }


def _baseline(plan, contrasts, correlations):
    quantiles = [float(np.quantile(contrasts, q)) for q in (0.5, 0.99, 1.0)]
    families = [
        FamilyBaseline(
            family, len(contrasts), max(1, len(contrasts) // 4), 4, *quantiles,
            0.11, 0.05, 0.2, 0.03, None,
        )
        for family in FAMILIES
    ]  # fmt: skip
    if not plan.baseline:
        return Baseline(
            None, plan.text("There is only one patient."), 0, 0, 0, [], None, None, None, None
        )
    return Baseline(
        "train->train",
        plan.text("Training images against those of other patients."),
        len(contrasts),
        max(1, len(contrasts) // 4),
        max(1, len(contrasts) // 4),
        families,
        "train->train",
        float(np.median(correlations)),
        float(np.quantile(correlations, 0.99)),
        float(correlations.max()),
    )


def _self_check(plan):
    if not plan.self_check:
        return SelfCheck(False, False, False, False, None, [], plan.text("It was switched off."))
    passed = plan.self_check_passed
    return SelfCheck(
        run=True,
        reduced=False,
        passed=passed,
        sensitive=True,
        negative=NegativeControl(
            source="test" if plan.num_test else "train",
            num_folds=10,
            folds_with_flags=0 if passed else 3,
            num_images=500,
            num_flagged=0 if passed else 7,
            share_below_01=0.012 if passed else 0.031,
            inflation=1.0 if passed else 2.5,
            flagged_ids=[] if passed else [plan.text(f"test/{i}.png") for i in range(7)],
            passed=passed,
            membership_p=0.41 if plan.num_test else None,
        ),
        levels=[
            PlantedLevel(
                level,
                plan.text(words),
                mandatory,
                200,
                200 - 4 * index,
                0.9817 - 0.025 * index,
                0.0312 + 0.002 * index,
                [PlantedKind(plan.text("noise"), 100, 100 - 4 * index)],
            )
            for index, (level, words, mandatory) in enumerate(LEVELS)
        ],
        reason="" if passed else plan.text("7 real pictures were listed."),
    )


def _membership(plan):
    if not plan.num_test:
        return Membership(False, plan.text("There is no test set."))
    signal = plan.verdict == "TRAINING_SIGNAL"
    return Membership(
        available=True,
        reason="",
        num_train_patients=plan.num_train // 4,
        num_test_patients=plan.num_test // 4,
        permutations=9999,
        matched_share=0.942 if signal else 0.871,
        expected_share=0.833,
        band_low=0.742,
        band_high=0.914,
        p_value=0.0004 if signal else 0.23,
        delta=0.653 if signal else 0.228,
        fewest_leaked_05=17,
        fewest_leaked_01=26,
        equal_size_share=0.71 if signal else 0.52,
    )


def _rates(plan):
    share = plan.num_flagged / plan.num_synthetic
    high = min(1.0, share + 3.7 / plan.num_synthetic)
    return Rates(
        copy_rate=Interval(share, max(0.0, share - 2 / plan.num_synthetic), high),
        excess_rate=Interval(0.061, -0.012, 0.11) if plan.num_test else None,
        auc=Interval(0.58, 0.49, 0.66) if plan.num_test else None,
        mean_difference=Interval(0.041, -0.02, 0.09) if plan.num_test else None,
        num_audited=plan.num_synthetic,
        num_in_set=plan.num_in_set or plan.num_synthetic,
        unseen_in_set=28 if plan.num_in_set else 0,
    )


def _make_pairs(rng, plan, contrasts, patient_of, real_contrasts, real_correlations):
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
    arrays["residual"] = _residuals(arrays["synthetic"], arrays["train"])
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
                **_decision(plan, i, contrasts[i], real_contrasts),
                "previous_id": plan.text(f"train/p{i}.png") if i % 3 else None,
                "next_id": None if i % 4 == 3 else plan.text(f"train/n{i}.png"),
                "flagged": i < plan.num_flagged,
                "unusual": i < plan.num_flagged + 2,
                "channels": [plan.text(name) for name in plan.channels],
            }
        )
        pair = pairs[-1]
        pair["baseline_correlation_above"] = int((real_correlations >= pair["correlation"]).sum())
        pair["baseline_correlation_size"] = len(real_correlations)
    return arrays, pairs


def _residuals(synthetic, train):
    """``s - a x - b`` per image and channel, in parts of the training image's range."""
    rest = np.zeros(train.shape, np.float32)
    for index in np.ndindex(*train.shape[:2]):
        s, x = synthetic[index].astype(float), train[index].astype(float)
        slope, offset = np.polyfit(x.ravel(), s.ravel(), 1)
        rest[index] = (s - slope * x - offset) / (x.max() - x.min())
    return rest


def _leaks(copies):
    by_patient: dict[str, list[Copy]] = {}
    for copy in copies:
        by_patient.setdefault(copy.patient_id, []).append(copy)
    leaks = [
        PatientLeak(
            patient_id=patient,
            num_copies=len(group),
            best_correlation=max(copy.correlation for copy in group),
            p_value=1e-6,
            density_rank=0.05 + 0.3 * index,
            image_ids=[copy.image_id for copy in group],
            match_ids=sorted({copy.match_id for copy in group}),
        )
        for index, (patient, group) in enumerate(by_patient.items())
    ]
    return sorted(leaks, key=lambda leak: -leak.num_copies)


def _write_images(folder, plan, rng, contrasts, correlations, patient_of):
    count, total = len(contrasts), len(contrasts) + plan.num_undefined

    def column(values):
        return [*values, *[None] * plan.num_undefined]

    columns = {
        "image_id": [plan.text(f"synthetic/{i:05d}.png") for i in range(total)],
        "correlation": column(correlations.tolist()),
        "correlation_identity": column((correlations - 0.02).tolist()),
        "correlation_mean": column((correlations - 0.01).tolist()),
        "match_id": column([plan.text(f"train/{i % 5:05d}.png") for i in range(count)]),
        "patient_id": column(patient_of),
        "transform": column(["identity"] * count),
        "family": column([FAMILIES[i % 4] for i in range(count)]),
        "flagged": [i < plan.num_flagged for i in range(total)],
        "unusual": [i < plan.num_flagged + min(2, count - plan.num_flagged) for i in range(total)],
        "undefined": [i >= count for i in range(total)],
    }
    for index, family in enumerate(FAMILIES):
        columns[f"similarity_{family}"] = column(correlations.tolist())
        columns[f"contrast_{family}"] = column((contrasts * (1 - 0.1 * index)).tolist())
    pq.write_table(pa.table(columns), folder / "images.parquet")


def _write_baseline(folder, plan, rng, tables, real_contrasts):
    parts = []
    for name, values in tables.items():
        count = len(values)
        is_null = name == "train->train"
        columns = {
            "comparison": [name] * count,
            "image_id": [plan.text(f"{name}/{i:05d}.png") for i in range(count)],
            "patient": [plan.text("P")] * count,
            "correlation": values.tolist(),
            "correlation_identity": (values - 0.02).tolist(),
            "correlation_mean": (values - 0.01).tolist(),
            "left_out": [False] * count,
        }
        for index, family in enumerate(FAMILIES):
            found = (real_contrasts * (1 + 0.1 * index)).tolist() if is_null else [None] * count
            columns[f"contrast_{family}"] = pa.array(found, pa.float64())
        parts.append(pa.table(columns))
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
        num_patients=max(1, num_images[role] // 4) if plan.patient_ids else 0,
        patient_rule=plan.text("parent-folder"),
        shape=[len(plan.channels), *plan.shape],
        dtype=plan.text(plan.dtype),
        channels=[plan.text(name) for name in plan.channels],
        minimum=0.0,
        maximum=255.0,
        mean=41.7,
        fingerprint=plan.text("ab" * 32),
    )
