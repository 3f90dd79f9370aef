"""Which images an audit lists, and the pairs behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likeness._audit.assemble import (
    copies_from,
    names_of_people,
)
from likeness._audit.compared import Compared
from likeness._audit.deciding import Flagged, Judged, flag, judge
from likeness._audit.duplicates import (
    equal_pixels,
)
from likeness._audit.evidence import PairMaker, make_pairs, range_of, worst_first, write_evidence
from likeness._audit.inputs import (
    Inputs,
)
from likeness._audit.null import Null, choose_null
from likeness._audit.options import FDR_GATE, AuditOptions
from likeness._audit.saved_results import SavedResults
from likeness._audit.second_look import second_look
from likeness._audit.self_check import check_itself, not_run
from likeness._audit.tables import write_table
from likeness._audit.yardstick import Yardstick
from likeness._findings import (
    Copy,
    SelfCheck,
)
from likeness._progress import Progress
from likeness.scores.second_stage import Encoder
from likeness.types import Flags


@dataclass(frozen=True)
class Decided:
    """Which images are listed, and what the audit knows of itself."""

    null: Null
    judged: Judged | None
    flagged: Flagged
    identical: Flags
    """(n,) synthetic images that equal a training image pixel by pixel, blank ones not counted."""
    self_check: SelfCheck


def decide(inputs: Inputs, compared: Compared, options: AuditOptions) -> Decided:
    """List images, after the negative control has said how far p-values can be trusted."""
    scores = compared.scores
    usable = None
    if scores.test is not None and compared.contamination is not None:
        usable = scores.test.keep(~compared.contamination.images)
    null = choose_null(scores, inputs.train, inputs.test, usable, seed=options.seed)
    count = len(inputs.synthetic)
    # Equal pixels need no statistics; but blank images are equal without being anybody's.
    scored = (scores.synthetic["dihedral"].image[:, :1] >= 0).any(axis=1)
    identical = equal_pixels(inputs.synthetic, inputs.train) & scored
    if not null.families:
        nothing = np.zeros(count, dtype=np.bool_)
        flagged = Flagged(nothing, nothing, np.full(count, np.nan))
        return Decided(null, None, flagged, identical, not_run("there is no baseline"))
    check = check_itself(scores, null, inputs, compared.contamination, options)
    judged = judge(scores.synthetic, null.families, inflation=check.inflation)
    flagged = flag(judged, fdr_copy=options.fdr, fdr_gate=FDR_GATE).joined_by(identical)
    num_judged = int((judged.image >= 0).sum())
    finished = check.finish(num_judged=num_judged, num_flagged=int(flagged.copies.sum()))
    return Decided(null, judged, flagged, identical, finished)


def make_evidence(
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
    saved = SavedResults(
        folder / "work" / "pairs",
        [inputs.synthetic.fingerprint, inputs.train.fingerprint, inputs.channels, data_range],
    )
    maker = PairMaker(
        inputs.synthetic,
        inputs.train,
        inputs.channels,
        decided.judged,
        decided.flagged,
        decided.null.families,
        names_of_people(scores, inputs.train),
        yardstick,
        data_range,
        saved,
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
        saved=saved,
        progress=progress,
    )
    write_evidence(folder / "evidence", pairs, inputs.train, inputs.channels)
    write_table(folder / "second_stage.parquet", closer)
    return copies_from(records)


def why_no_baseline(inputs: Inputs) -> str:
    if inputs.train.num_patients < 2:
        return "all training images are of one patient, so nobody else's can be compared"
    return "too few training images could be compared with those of other people"
