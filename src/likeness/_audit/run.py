"""The order of an audit."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from likeness._audit.assemble import (
    copies_from,
    counts_from,
    distribution_of,
    most_copied_from,
    patients_from,
    verdict_from,
)
from likeness._audit.checks import data_checks, obstacles_to_clearance, people_behind
from likeness._audit.comparisons import Highest, Searcher, sample_of_patients
from likeness._audit.duplicates import (
    Contamination,
    contamination_of_test,
    contamination_of_train,
    exact_across,
    exact_within,
    near_duplicates,
)
from likeness._audit.evidence import describe_pair, pair_of, worst_first, write_evidence
from likeness._audit.folder import COMPLETE, check_folder, claim_folder, write_errors
from likeness._audit.inputs import (
    Given,
    Inputs,
    channel_checks,
    intensity_checks,
    open_inputs,
    summarise,
)
from likeness._audit.methods import citation_document, methods_paragraph, seen_alterations
from likeness._audit.options import AuditOptions
from likeness._audit.tables import baseline_table, images_table, patients_table, write_table
from likeness._audit.yardstick import Candidate, Yardstick, baseline_checks, choose_yardstick
from likeness._files import folder_lock, hash_of_json, make_folder, write_text
from likeness._findings import DuplicatePair, Findings, Provenance
from likeness._progress import SILENT, Progress
from likeness._versions import package_version, software_versions
from likeness.calibration import Decision, decide
from likeness.datasets import ImageSet
from likeness.report import write_report
from likeness.search import SearchResult, choose_engine, matches_table, write_matches
from likeness.types import Image

LISTED_DUPLICATES = 500
"""Duplicate pairs that `findings.json` lists; all are counted."""


@dataclass(frozen=True)
class Compared:
    """The outcome of all four searches."""

    synthetic: Highest
    synthetic_result: SearchResult
    test: Candidate | None
    train: Candidate | None
    synthetic_test: Highest | None
    train_sample: ImageSet


def audit(
    train: Given,
    synthetic: Given,
    test: Given | None = None,
    *,
    out: Path | str | None = None,
    options: AuditOptions | None = None,
    overwrite: bool = False,
    fresh: bool = False,
    progress: Progress = SILENT,
) -> Findings:
    """Search every synthetic image among all training images and say which are copies.

    Parameters
    ----------
    train
        The images that the generator was trained on: a folder of images, an image set made by
        ``likeness prepare``, an `ImageSet`, or an array (N, C, H, W).
    synthetic
        The images to be judged; the same shape and channels.
    test
        Images of patients that were held out from the training: the honest baseline. Without
        them the training images of other patients serve, and the verdict says so.
    out
        Folder for findings, tables, evidence and report. None keeps nothing on disk.
    options
        Settings; see `AuditOptions`.
    overwrite
        Replace an audit with other settings in `out`.
    fresh
        Do not resume; compute everything anew.
    progress
        Where long work is shown; silent by default.

    Returns
    -------
    Findings
        Verdict, copies, patients, baseline, checks and provenance.

    Raises
    ------
    InputError
        If images cannot be read or compared.
    OptionError
        If settings are out of range, or `out` may not be used.
    LockedError
        If another run is at work in `out`.
    OutputError
        If the results cannot be written.
    """
    options = options or AuditOptions()
    with ExitStack() as stack:
        if out is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="likeness-")))
        else:
            folder = Path(out)
        inputs = [
            Path(given) for given in (train, synthetic, test) if isinstance(given, str | Path)
        ]
        settings = _settings(options, train, synthetic, test)
        check_folder(folder, inputs, settings, overwrite=overwrite)
        make_folder(folder, private=True)
        stack.enter_context(folder_lock(folder))
        claim_folder(folder, settings, fresh=fresh)
        return _audit_into(folder, train, synthetic, test, options, progress)


def _audit_into(
    folder: Path,
    train: Given,
    synthetic: Given,
    test: Given | None,
    options: AuditOptions,
    progress: Progress,
) -> Findings:
    started, clock = datetime.now(UTC), time.monotonic()
    inputs = open_inputs(
        train, synthetic, test, work=folder / "work" / "sets", options=options, progress=progress
    )
    write_errors(folder, _left_out_rows(inputs))
    engine = choose_engine(options.engine, options.threads)
    searcher = Searcher(options, inputs.channels, engine, folder / "work" / "search", progress)
    compared = _compare(inputs, searcher)
    duplicates = _duplicates(inputs, compared, options.near_duplicate)
    yardstick = choose_yardstick(compared.test, compared.train, options)
    decision = decide(
        compared.synthetic.score,
        yardstick.threshold,
        yardstick.scores,
        num_patients=people_behind(inputs, yardstick.baseline),
        why_no_baseline=yardstick.baseline.reason,
    )
    records = _write_pictures(folder, inputs, compared, decision, yardstick, options)
    copies = copies_from(records)
    patients = patients_from(copies)
    counts = counts_from(
        inputs.train, inputs.synthetic, inputs.test, compared.synthetic, decision, patients
    )
    distributions = [
        distribution_of(highest)
        for highest in (
            compared.synthetic,
            compared.test.highest if compared.test else None,
            compared.train.highest if compared.train else None,
            compared.synthetic_test,
        )
        if highest is not None
    ]
    settings = _settings(options, train, synthetic, test)
    version = package_version("likeness")
    findings = Findings(
        verdict=verdict_from(
            decision,
            counts,
            test_used=yardstick.baseline.comparison == "test->train",
            obstacles=obstacles_to_clearance(inputs, yardstick.baseline),
            false_flag_rate=yardstick.baseline.false_flag_rate,
            alterations=seen_alterations(compared.synthetic_result.transforms),
        ),
        counts=counts,
        copies=copies,
        patients=patients,
        most_copied=most_copied_from(copies),
        baseline=yardstick.baseline,
        distributions=distributions,
        checks=[
            *baseline_checks(yardstick, compared.test),
            *data_checks(inputs, duplicates, compared.synthetic, counts),
            *channel_checks(inputs),
            *intensity_checks(inputs),
        ],
        duplicates=duplicates[:LISTED_DUPLICATES],
        duplicates_total=len(duplicates),
        sets=[summarise(role, images, inputs.accounts[role]) for role, images in inputs.items()],
        methods=methods_paragraph(
            version=version,
            counts=counts,
            shape=inputs.train.image_shape,
            channels=[inputs.train.channels[index] for index in inputs.channels],
            transforms=compared.synthetic_result.transforms,
            baseline=yardstick.baseline,
            distributions=distributions,
            engine=engine.engine.name,
            grid=searcher.search_options().grid,
        ),
        provenance=Provenance(
            run_id=hash_of_json([settings, [s.fingerprint for _, s in inputs.items()]])[:8],
            started=started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - clock, 1),
            command=" ".join(sys.argv),
            versions=software_versions(),
            engine=engine.engine.name,
            engine_check=engine.check,
            threads=options.threads or os.cpu_count() or 1,
            memory_bytes=options.memory_bytes,
            processor=_processor(),
            settings=settings,
            settings_hash=hash_of_json(settings),
        ),
        undefined_ids=[
            compared.synthetic.query_ids[i] for i in np.flatnonzero(compared.synthetic.undefined)
        ],
    )
    _write_tables(folder, inputs, compared, decision, findings)
    findings.write_json(folder / "findings.json")
    write_text(folder / "CITATION.md", citation_document(findings.methods, version))
    write_report(folder)
    write_text(folder / COMPLETE, findings.provenance.run_id + "\n")
    return findings


def _compare(inputs: Inputs, searcher: Searcher) -> Compared:
    """Run the four searches, the baselines first."""
    train, options = inputs.train, searcher.options
    test_candidate = train_candidate = synthetic_test = None
    if inputs.test is not None:
        highest, _ = searcher.compare("test->train", inputs.test, train)
        contamination = contamination_of_test(inputs.test, train, highest, options.near_duplicate)
        test_candidate = Candidate(highest, contamination, "the test set")
    sample = train.subset(
        sample_of_patients(train.patient_codes, options.train_sample, options.seed)
    )
    if train.num_patients > 1:
        highest, _ = searcher.compare("train->train", sample, train, own_patient_left_out=True)
        contamination = contamination_of_train(highest, train, options.near_duplicate)
        train_candidate = Candidate(highest, contamination, "the training set")
    synthetic_highest, result = searcher.compare("synthetic->train", inputs.synthetic, train)
    if inputs.test is not None:
        synthetic_test, _ = searcher.compare("synthetic->test", inputs.synthetic, inputs.test)
    return Compared(
        synthetic_highest, result, test_candidate, train_candidate, synthetic_test, sample
    )


def _duplicates(inputs: Inputs, compared: Compared, limit: float) -> list[DuplicatePair]:
    """List equal and almost equal images, exact ones first."""
    pairs = exact_within(inputs.train, "train")
    pairs += exact_within(inputs.synthetic, "synthetic")
    pairs += exact_across(inputs.synthetic, "synthetic", inputs.train, "train")
    if inputs.test is not None:
        pairs += exact_within(inputs.test, "test")
        pairs += exact_across(inputs.test, "test", inputs.train, "train")
        pairs += exact_across(inputs.synthetic, "synthetic", inputs.test, "test")
    exact = {_images_of(pair) for pair in pairs}
    near = []
    if compared.train is not None:
        near += near_duplicates(
            compared.train.highest, compared.train_sample, "train", inputs.train, limit
        )
    if compared.test is not None and inputs.test is not None:
        near += near_duplicates(compared.test.highest, inputs.test, "test", inputs.train, limit)
    return pairs + [pair for pair in near if _images_of(pair) not in exact]


def _images_of(pair: DuplicatePair) -> frozenset[tuple[str, str]]:
    """Return the two images, whichever comes first; sets may use the same ids."""
    return frozenset({(pair.first_set, pair.first_id), (pair.second_set, pair.second_id)})


def _write_pictures(
    folder: Path,
    inputs: Inputs,
    compared: Compared,
    decision: Decision,
    yardstick: Yardstick,
    options: AuditOptions,
) -> list[dict[str, Any]]:
    """Save the worst pairs and return the records of all flagged ones, worst first."""
    highest = compared.synthetic
    rows = worst_first(
        highest, decision.flagged, max(options.evidence, int(decision.flagged.sum()))
    )
    shown: list[int] = []
    records: list[dict[str, Any]] = []
    pairs: list[tuple[Image, Image]] = []
    for row in rows:
        turned, match = pair_of(highest, int(row), inputs.synthetic, inputs.train, inputs.channels)
        record = describe_pair(highest, int(row), turned, match, inputs.train, yardstick.scores)
        record["flagged"] = bool(decision.flagged[row])
        records.append(record)
        if len(pairs) < options.evidence:
            pairs.append((turned, match))
            shown.append(int(highest.match[row]))
    write_evidence(
        folder / "evidence", records[: len(pairs)], pairs, shown, inputs.train, inputs.channels
    )
    return [record for record in records if record["flagged"]]


def _write_tables(
    folder: Path, inputs: Inputs, compared: Compared, decision: Decision, findings: Findings
) -> None:
    run = {"likeness_run": findings.provenance.run_id}
    write_table(
        folder / "images.parquet",
        images_table(compared.synthetic, decision.flagged, inputs.train),
        **run,
    )
    parts: list[tuple[Highest, Contamination, ImageSet]] = [
        (candidate.highest, candidate.contamination, inputs.train)
        for candidate in (compared.test, compared.train)
        if candidate is not None
    ]
    if compared.synthetic_test is not None and inputs.test is not None:
        nothing = Contamination(np.zeros(len(inputs.synthetic), dtype=bool))
        parts.append((compared.synthetic_test, nothing, inputs.test))
    rows = [
        (highest, contamination.images, references) for highest, contamination, references in parts
    ]
    write_table(folder / "baseline.parquet", baseline_table(rows), **run)
    write_table(folder / "patients.parquet", patients_table(findings.patients), **run)
    table = matches_table(
        compared.synthetic_result, inputs.synthetic.image_ids, inputs.train.image_ids
    )
    write_matches(folder / "matches.parquet", table, metadata=run)


def _left_out_rows(inputs: Inputs) -> list[dict[str, object]]:
    return [
        {
            "set": role,
            "path": left_out.path,
            "stage": left_out.stage,
            "code": left_out.code,
            "reason": left_out.reason,
            "bytes": left_out.num_bytes,
            "sha256": left_out.sha256,
        }
        for role, account in inputs.accounts.items()
        for left_out in account.left_out
    ]


def _settings(
    options: AuditOptions, train: Given, synthetic: Given, test: Given | None
) -> dict[str, object]:
    """Return what the numbers depend on: the options and which inputs were named."""
    settings: dict[str, object] = dict(options.settings())
    for role, given in (("train", train), ("synthetic", synthetic), ("test", test)):
        if isinstance(given, str | Path):
            settings[role] = str(given)
        elif given is not None:
            settings[role] = "given from Python"
    return settings


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
