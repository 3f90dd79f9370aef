"""The order of an audit."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from likeness._audit.assemble import (
    baseline_from,
    counts_from,
    most_copied_from,
    nobody_affected,
    patients_from,
)
from likeness._audit.baselines import Places
from likeness._audit.checks import data_checks, obstacles_to_clearance, real_set_checks
from likeness._audit.compared import (
    LISTED_DUPLICATES,
    compare_sets,
    distributions_of,
    find_duplicates,
)
from likeness._audit.comparisons import Searcher
from likeness._audit.coverage import coverage_rows
from likeness._audit.decided import decide, make_evidence, why_no_baseline
from likeness._audit.folder import (
    COMPLETE,
    check_folder,
    claim_folder,
    write_checksums,
    write_errors,
)
from likeness._audit.inputs import (
    Given,
    channel_checks,
    intensity_checks,
    open_inputs,
    summarise,
)
from likeness._audit.methods import citation_document, methods_paragraph
from likeness._audit.options import FDR_GATE, AuditOptions
from likeness._audit.rates import panel_of, rates_of
from likeness._audit.scoring import score_all
from likeness._audit.set_level import equal_size, membership_of
from likeness._audit.verdict import Grounds, reach_verdict
from likeness._audit.writing import left_out_rows, processor_name, settings_of, write_tables
from likeness._audit.yardstick import choose_yardstick
from likeness._cluster import Cluster, open_cluster
from likeness._files import folder_lock, hash_of_json, make_folder, write_text
from likeness._findings import (
    Findings,
    PatientLeak,
    Provenance,
    Verdict,
)
from likeness._progress import SILENT, Progress
from likeness._versions import package_version, software_versions
from likeness.report import write_report
from likeness.report.verdicts import verdict_sentence
from likeness.scores.second_stage import Encoder
from likeness.search import choose_engine


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
        settings = settings_of(options, train, synthetic, test)
        check_folder(folder, inputs, settings, overwrite=overwrite)
        make_folder(folder, private=True)
        stack.enter_context(folder_lock(folder))
        claim_folder(folder, settings, fresh=fresh)
        cluster = None
        if options.cluster is not None:
            cluster = stack.enter_context(
                open_cluster(
                    options.cluster,
                    shared=folder / "work" / "cluster",
                    engine=options.engine,
                    memory_bytes=options.memory_bytes,
                    progress=progress,
                )
            )
        return _audit_into(
            folder,
            train,
            synthetic,
            test,
            options,
            encoder,
            progress,
            fresh=fresh,
            cluster=cluster,
        )


def _audit_into(
    folder: Path,
    train: Given,
    synthetic: Given,
    test: Given | None,
    options: AuditOptions,
    encoder: Encoder | None,
    progress: Progress,
    *,
    fresh: bool,
    cluster: Cluster | None,
) -> Findings:
    started, clock = datetime.now(UTC), time.monotonic()
    inputs = open_inputs(
        train, synthetic, test, work=folder / "work" / "sets", options=options, progress=progress
    )
    write_errors(folder, left_out_rows(inputs))
    engine = choose_engine(options.engine, options.threads)
    places = Places.of(inputs.train, folder, fresh=fresh)
    searcher = Searcher(options, inputs.channels, engine, places, progress, cluster)
    scores = score_all(inputs, options, places=places, progress=progress, cluster=cluster)
    compared = compare_sets(inputs, searcher, scores)
    yardstick = choose_yardstick(compared.test, compared.contamination, compared.train)
    decided = decide(inputs, compared, options)
    copies = make_evidence(folder, inputs, compared, decided, yardstick, options, encoder, progress)
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
        decided.null,
        yardstick,
        inputs.train,
        inputs.test,
        fdr=options.fdr,
        fdr_gate=FDR_GATE,
        why_none=why_no_baseline(inputs),
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
    outcome = None if cluster is None else cluster.outcome
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
            obstacles=[
                *obstacles_to_clearance(inputs, compared.contamination),
                *([] if outcome is None else outcome.obstacles()),
            ],
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
    duplicates = find_duplicates(inputs, compared, options.near_duplicate)
    distributions = distributions_of(compared)
    settings = settings_of(options, train, synthetic, test)
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
            *data_checks(inputs, duplicates, compared.synthetic, counts, outcome),
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
            processor=processor_name(),
            settings=settings,
            settings_hash=hash_of_json(settings),
        ),
        undefined_ids=[
            inputs.synthetic.image_ids[row]
            for row in np.flatnonzero((scores.synthetic["dihedral"].image[:, :1] < 0).all(axis=1))
        ],
    )
    write_tables(folder, inputs, compared, decided, findings)
    findings.write_json(folder / "findings.json")
    write_text(folder / "CITATION.md", citation_document(findings.methods, version))
    write_report(folder)
    write_checksums(folder)
    write_text(folder / COMPLETE, findings.provenance.run_id + "\n")
    return findings
