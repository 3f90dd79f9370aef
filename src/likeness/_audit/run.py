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
    baseline_from,
    copies_from,
    counts_from,
    distribution_of,
    most_copied_from,
    names_of_people,
    nobody_affected,
    patients_from,
)
from likeness._audit.checks import data_checks, obstacles_to_clearance, real_set_checks
from likeness._audit.comparisons import ByPerson, Highest, Searcher, sample_of_patients
from likeness._audit.coverage import coverage_rows
from likeness._audit.deciding import FamilyNull, Flagged, Judged, flag, judge, null_of
from likeness._audit.duplicates import (
    Contamination,
    contamination_of_test,
    equal_pixels,
    exact_across,
    exact_within,
    near_duplicates,
)
from likeness._audit.evidence import PairMaker, make_pairs, range_of, worst_first, write_evidence
from likeness._audit.folder import (
    COMPLETE,
    check_folder,
    claim_folder,
    write_checksums,
    write_errors,
)
from likeness._audit.inputs import (
    Given,
    Inputs,
    channel_checks,
    intensity_checks,
    open_inputs,
    summarise,
)
from likeness._audit.methods import citation_document, methods_paragraph
from likeness._audit.options import FDR_GATE, AuditOptions
from likeness._audit.rates import panel_of, rates_of
from likeness._audit.scoring import AllScores, SetScores, not_constant, score_all
from likeness._audit.second_look import second_look
from likeness._audit.self_check import check_itself, not_run
from likeness._audit.set_level import equal_size, membership_of
from likeness._audit.tables import baseline_table, images_table, patients_table, write_table
from likeness._audit.verdict import Grounds, reach_verdict
from likeness._audit.yardstick import Yardstick, choose_yardstick
from likeness._files import folder_lock, hash_of_json, make_folder, write_text
from likeness._findings import (
    Copy,
    DuplicatePair,
    Findings,
    PatientLeak,
    Provenance,
    SelfCheck,
    Verdict,
)
from likeness._progress import SILENT, Progress
from likeness._versions import package_version, software_versions
from likeness.report import write_report
from likeness.report.verdicts import verdict_sentence
from likeness.scores import Family
from likeness.scores.second_stage import Encoder
from likeness.search import SearchResult, choose_engine, matches_table, write_matches
from likeness.types import Flags

LISTED_DUPLICATES = 500
"""Duplicate pairs that `findings.json` lists; all are counted."""


@dataclass(frozen=True)
class Compared:
    """What was compared at full size, and the scores at the scale of decisions."""

    synthetic: Highest
    synthetic_result: SearchResult
    test: Highest | None
    train: Highest | None
    train_rows: np.ndarray
    """Training images of `train`."""
    synthetic_test: Highest | None
    scores: AllScores
    contamination: Contamination | None
    """Of the test set; None without one."""

    @property
    def usable_test(self) -> Flags | None:
        """(t,) test images of people whom training has not seen."""
        return None if self.contamination is None else ~self.contamination.images


@dataclass(frozen=True)
class Decided:
    """Which images are listed, and what the audit knows of itself."""

    nulls: dict[Family, FamilyNull]
    judged: Judged | None
    flagged: Flagged
    identical: Flags
    """(n,) synthetic images that equal a training image pixel by pixel, blank ones not counted."""
    self_check: SelfCheck


def audit(
    train: Given,
    synthetic: Given,
    test: Given | None = None,
    *,
    out: Path | str | None = None,
    options: AuditOptions | None = None,
    overwrite: bool = False,
    fresh: bool = False,
    encoder: Encoder | None = None,
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
        Images of patients that were held out from the training. They allow a statement on the set
        as a whole; without them the verdict speaks of copies only, and says so.
    out
        Folder for findings, tables, evidence and report. None keeps nothing on disk.
    options
        Settings; see `AuditOptions`.
    overwrite
        Replace an audit with other settings in `out`.
    fresh
        Do not resume; compute everything anew.
    encoder
        Turns images (n, C, H, W) into features (n, d): one more measure in `second_stage.parquet`,
        never part of a decision. An encoder that was trained on the training patients embeds their
        images differently from new ones.
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
        return _audit_into(folder, train, synthetic, test, options, encoder, progress)


def _audit_into(
    folder: Path,
    train: Given,
    synthetic: Given,
    test: Given | None,
    options: AuditOptions,
    encoder: Encoder | None,
    progress: Progress,
) -> Findings:
    started, clock = datetime.now(UTC), time.monotonic()
    inputs = open_inputs(
        train, synthetic, test, work=folder / "work" / "sets", options=options, progress=progress
    )
    write_errors(folder, _left_out_rows(inputs))
    engine = choose_engine(options.engine, options.threads)
    searcher = Searcher(options, inputs.channels, engine, folder / "work" / "search", progress)
    scores = score_all(inputs, options, work=folder / "work" / "scores", progress=progress)
    compared = _compare(inputs, searcher, scores)
    yardstick = choose_yardstick(compared.test, compared.contamination, compared.train)
    decided = _decide(inputs, compared, options)
    copies = _make_evidence(
        folder, inputs, compared, decided, yardstick, options, encoder, progress
    )
    judged, flagged = decided.judged, decided.flagged
    leaks: list[PatientLeak] = []
    affected = nobody_affected()
    if judged is not None:
        leaks, affected = patients_from(copies, judged, flagged, scores, inputs.train)
    num_undefined = int((scores.synthetic["dihedral"].image[:, :1] < 0).all(axis=1).sum())
    counts = counts_from(
        inputs.train,
        inputs.synthetic,
        inputs.test,
        compared.synthetic,
        flagged,
        num_patients=len(leaks),
        num_undefined=num_undefined,
        fdr=options.fdr,
    )
    baseline = baseline_from(
        scores,
        decided.nulls,
        yardstick,
        inputs.train,
        fdr=options.fdr,
        fdr_gate=FDR_GATE,
        why_none=_why_no_baseline(inputs),
    )
    negative = decided.self_check.negative
    set_level = membership_of(
        inputs,
        scores,
        compared.contamination,
        options,
        None if negative is None else negative.membership_p,
    )
    rates = rates_of(
        scores,
        inputs.train,
        inputs.test,
        compared.usable_test,
        num_flagged=counts.flagged,
        num_judged=counts.synthetic - counts.undefined,
        seed=options.seed,
    )
    code, reasons = reach_verdict(
        Grounds(
            num_judged=counts.synthetic - counts.undefined,
            num_flagged=counts.flagged,
            num_identical=int(decided.identical.sum()),
            has_baseline=judged is not None,
            why_no_baseline=baseline.reason,
            self_check=decided.self_check,
            membership=set_level,
            rates=rates,
            obstacles=obstacles_to_clearance(inputs, compared.contamination),
        )
    )
    sentence = verdict_sentence(
        code,
        counts=counts,
        baseline=baseline,
        affected=affected,
        self_check=decided.self_check,
        membership=set_level,
        reasons=reasons,
        copies_only=not set_level.available,
        copies=copies,
        patients_known=inputs.train.has_patient_ids,
    )
    duplicates = _duplicates(inputs, compared, options.near_duplicate)
    distributions = _distributions(compared)
    settings = _settings(options, train, synthetic, test)
    version = package_version("likeness")
    findings = Findings(
        verdict=Verdict(code, sentence, reasons),
        counts=counts,
        copies=copies,
        patients=leaks,
        most_copied=most_copied_from(copies),
        baseline=baseline,
        distributions=distributions,
        checks=[
            *real_set_checks(inputs, compared.contamination, scores.people.merged),
            *data_checks(inputs, duplicates, compared.synthetic, counts),
            *channel_checks(inputs),
            *intensity_checks(inputs),
        ],
        self_check=decided.self_check,
        membership=set_level,
        equal_size=equal_size(inputs, scores, compared.contamination, seed=options.seed),
        rates=rates,
        affected=affected,
        panel=panel_of(
            compared.synthetic_result,
            compared.synthetic_test,
            compared.test,
            compared.usable_test,
            scores,
        ),
        coverage=coverage_rows(counts, set_level),
        duplicates=duplicates[:LISTED_DUPLICATES],
        duplicates_total=len(duplicates),
        merged_patients=scores.people.merged,
        sets=[summarise(role, images, inputs.accounts[role]) for role, images in inputs.items()],
        methods=methods_paragraph(
            version=version,
            counts=counts,
            shape=inputs.train.image_shape,
            channels=[inputs.train.channels[index] for index in inputs.channels],
            transforms=compared.synthetic_result.transforms,
            baseline=baseline,
            distributions=distributions,
            self_check=decided.self_check,
            membership=set_level,
            engine=engine.engine.name,
            grid=scores.scorer.options.grid,
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
            inputs.synthetic.image_ids[row]
            for row in np.flatnonzero((scores.synthetic["dihedral"].image[:, :1] < 0).all(axis=1))
        ],
    )
    _write_tables(folder, inputs, compared, decided, findings)
    findings.write_json(folder / "findings.json")
    write_text(folder / "CITATION.md", citation_document(findings.methods, version))
    write_report(folder)
    write_checksums(folder)
    write_text(folder / COMPLETE, findings.provenance.run_id + "\n")
    return findings


def _compare(inputs: Inputs, searcher: Searcher, scores: AllScores) -> Compared:
    """Run the searches at full size, the baselines first."""
    train, options = inputs.train, searcher.options
    test = contamination = synthetic_test = among_train = None
    if inputs.test is not None and scores.test is not None:
        contamination = contamination_of_test(
            inputs.test,
            train,
            scores.test.rows["dihedral"],
            scores.test.rankings["dihedral"],
            options.near_duplicate,
            train_varies=scores.train_varies,
        )
        test, _ = searcher.compare("test->train", inputs.test, train)
    few = sample_of_patients(train.patient_codes, options.local_sample, options.seed)
    if train.num_patients > 1:
        groups = scores.people.of_images(train)
        among_train, _ = searcher.compare(
            "train->train", train.subset(few), ByPerson(train, groups), own=groups[few]
        )
    highest, result = searcher.compare("synthetic->train", inputs.synthetic, train)
    if inputs.test is not None:
        synthetic_test, _ = searcher.compare("synthetic->test", inputs.synthetic, inputs.test)
    return Compared(highest, result, test, among_train, few, synthetic_test, scores, contamination)


def _decide(inputs: Inputs, compared: Compared, options: AuditOptions) -> Decided:
    """List images, after the negative control has said how far p-values can be trusted."""
    scores = compared.scores
    groups = scores.people.of_images(inputs.train)
    nulls = null_of(
        scores.null.rankings, {family: groups[rows] for family, rows in scores.null.rows.items()}
    )
    count = len(inputs.synthetic)
    # Equal pixels need no statistics; but blank images are equal without being anybody's.
    scored = (scores.synthetic["dihedral"].image[:, :1] >= 0).any(axis=1)
    identical = equal_pixels(inputs.synthetic, inputs.train) & scored
    if not nulls:
        nothing = np.zeros(count, dtype=np.bool_)
        flagged = Flagged(nothing, nothing, np.full(count, np.nan))
        return Decided({}, None, flagged, identical, not_run("there is no baseline"))
    check = check_itself(scores, nulls, inputs, compared.contamination, options)
    judged = judge(scores.synthetic, nulls, inflation=check.inflation)
    flagged = flag(judged, fdr_copy=options.fdr, fdr_gate=FDR_GATE).joined_by(identical)
    num_judged = int((judged.image >= 0).sum())
    finished = check.finish(num_judged=num_judged, num_flagged=int(flagged.copies.sum()))
    return Decided(nulls, judged, flagged, identical, finished)


def _make_evidence(
    folder: Path,
    inputs: Inputs,
    compared: Compared,
    decided: Decided,
    yardstick: Yardstick,
    options: AuditOptions,
    encoder: Encoder | None,
    progress: Progress,
) -> list[Copy]:
    """Measure the worst pairs again, save their pictures, and return the copies."""
    if decided.judged is None:
        return []
    scores, data_range = compared.scores, range_of(inputs.train)
    maker = PairMaker(
        inputs.synthetic,
        inputs.train,
        inputs.channels,
        decided.judged,
        decided.flagged,
        decided.nulls,
        names_of_people(scores, inputs.train),
        yardstick,
        data_range,
    )
    number = max(options.evidence, int(decided.flagged.copies.sum()))
    rows = worst_first(decided.judged, decided.flagged, number)
    pairs, records = make_pairs(
        maker, rows, shown=options.evidence, threads=options.threads, progress=progress
    )
    closer = second_look(
        pairs,
        rows,
        inputs.synthetic,
        inputs.train,
        inputs.channels,
        compared.synthetic_result,
        data_range=data_range,
        most=options.closer_look,
        encoder=encoder,
        threads=options.threads,
        progress=progress,
    )
    write_evidence(folder / "evidence", pairs, inputs.train, inputs.channels)
    write_table(folder / "second_stage.parquet", closer)
    return copies_from(records)


def _why_no_baseline(inputs: Inputs) -> str:
    if inputs.train.num_patients < 2:
        return "all training images are of one patient, so nobody else's can be compared"
    return "too few training images could be compared with those of other people"


def _distributions(compared: Compared) -> list[Any]:
    scores = compared.scores
    rows = [distribution_of(compared.synthetic, scores.synthetic["dihedral"])]
    if compared.test is not None and scores.test is not None:
        rows.append(distribution_of(compared.test, scores.test.rankings["dihedral"]))
    if compared.train is not None:
        rows.append(distribution_of(compared.train, scores.null.rankings["dihedral"]))
    if compared.synthetic_test is not None and scores.synthetic_test is not None:
        rows.append(distribution_of(compared.synthetic_test, scores.synthetic_test))
    return rows


def _duplicates(inputs: Inputs, compared: Compared, limit: float) -> list[DuplicatePair]:
    """List equal and almost equal images, exact ones first."""
    pairs = exact_within(inputs.train, "train")
    pairs += exact_within(inputs.synthetic, "synthetic")
    pairs += exact_across(inputs.synthetic, "synthetic", inputs.train, "train")
    if inputs.test is not None:
        pairs += exact_within(inputs.test, "test")
        pairs += exact_across(inputs.test, "test", inputs.train, "train")
        pairs += exact_across(inputs.synthetic, "synthetic", inputs.test, "test")
    scores = compared.scores
    blank = _constant_images(inputs, scores)
    pairs = [pair for pair in pairs if (pair.first_set, pair.first_id) not in blank]
    exact = {_images_of(pair) for pair in pairs}
    sampled = inputs.train.subset(scores.null.rows["dihedral"])
    near = near_duplicates(sampled, "train", inputs.train, scores.oriented_by_patient, limit)
    if inputs.test is not None and scores.test is not None:
        near += near_duplicates(
            inputs.test.subset(scores.test.rows["dihedral"]),
            "test",
            inputs.train,
            scores.test.rankings["dihedral"],
            limit,
        )
    return pairs + [pair for pair in near if _images_of(pair) not in exact]


def _constant_images(inputs: Inputs, scores: AllScores) -> set[tuple[str, str]]:
    """Return (set, id) of images without variance: equal, but no duplicates of each other."""
    constant = {
        "train": (inputs.train, ~scores.train_varies),
        "synthetic": (inputs.synthetic, scores.synthetic["dihedral"].image[:, 0] < 0),
    }
    if inputs.test is not None and scores.test_scorer is not None:
        constant["test"] = (inputs.test, ~not_constant(scores.test_scorer))
    return {
        (role, images.image_ids[row])
        for role, (images, rows) in constant.items()
        for row in np.flatnonzero(rows)
    }


def _images_of(pair: DuplicatePair) -> frozenset[tuple[str, str]]:
    """Return the two images, whichever comes first; sets may use the same ids."""
    return frozenset({(pair.first_set, pair.first_id), (pair.second_set, pair.second_id)})


def _write_tables(
    folder: Path, inputs: Inputs, compared: Compared, decided: Decided, findings: Findings
) -> None:
    run = {"likeness_run": findings.provenance.run_id}
    scores, people = compared.scores, names_of_people(compared.scores, inputs.train)
    write_table(
        folder / "images.parquet",
        images_table(
            compared.synthetic,
            scores.synthetic,
            decided.judged,
            decided.flagged,
            people,
            inputs.train,
        ),
        **run,
    )
    parts: list[Any] = []
    if inputs.test is not None and compared.contamination is not None:
        images = compared.contamination.images
        parts.append(("test->train", inputs.test, scores.test, compared.test, images))
    nothing = np.zeros(len(inputs.train), dtype=np.bool_)
    parts.append(("train->train", inputs.train, scores.null, compared.train, nothing))
    if compared.synthetic_test is not None and scores.synthetic_test is not None:
        nothing = np.zeros(len(inputs.synthetic), dtype=np.bool_)
        against = SetScores(
            {"dihedral": np.arange(len(inputs.synthetic))}, {"dihedral": scores.synthetic_test}
        )
        parts.append(
            ("synthetic->test", inputs.synthetic, against, compared.synthetic_test, nothing)
        )
    write_table(folder / "baseline.parquet", baseline_table(parts), **run)
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
