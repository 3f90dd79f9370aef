"""What an audit writes down: tables, files left out, and how the numbers came about."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np

from likeness._audit.assemble import (
    names_of_people,
)
from likeness._audit.compared import Compared
from likeness._audit.decided import Decided
from likeness._audit.inputs import (
    Given,
    Inputs,
)
from likeness._audit.options import AuditOptions
from likeness._audit.scoring import SetScores
from likeness._audit.tables import baseline_table, images_table, patients_table, write_table
from likeness._findings import (
    Findings,
)
from likeness.search import matches_table, write_matches


def write_tables(
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
    write_table(folder / "baseline.parquet", baseline_table(parts, decided.null), **run)
    write_table(folder / "patients.parquet", patients_table(findings.patients), **run)
    table = matches_table(
        compared.synthetic_result, inputs.synthetic.image_ids, inputs.train.image_ids
    )
    write_matches(folder / "matches.parquet", table, metadata=run)


def left_out_rows(inputs: Inputs) -> list[dict[str, object]]:
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


def settings_of(
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


def processor_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
