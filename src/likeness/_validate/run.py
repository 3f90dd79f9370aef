"""Carry out the protocol and write what came out."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._files import folder_lock, is_inside, make_folder, write_json, write_text
from likeness._progress import SILENT, Progress
from likeness._validate.bank import MakeScorer, ScoreBank, build_bank
from likeness._validate.coverage import run_coverage
from likeness._validate.intervals import Measured
from likeness._validate.membership import MembershipResults, run_membership
from likeness._validate.mixtures import MixtureResults, run_mixtures
from likeness._validate.options import COPY_RATES, ValidationOptions
from likeness._validate.panel import RULES, PanelResults, run_panel
from likeness._validate.queries import QueryPlan, plan_queries
from likeness._validate.table import Row, make_table, sensitivity_of
from likeness._versions import software_versions
from likeness.alterations import LEVELS
from likeness.datasets import ImageSet
from likeness.errors import InputError, OptionError
from likeness.types import Floats

FORMAT: Final = "likeness-validation"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class Validation:
    """What a validation has shown. Numbers only: no image, no name."""

    options: ValidationOptions
    num_patients: int
    num_images: int
    merged_patients: int
    mixture_size: int
    """Images in most mixtures."""
    rows: list[Row]
    levels: dict[str, dict[float, Measured]]
    """Level -> share of copies -> sensitivity."""
    sensitivity: dict[str, dict[float, Measured]]
    """Kind -> share of copies -> sensitivity."""
    roc: dict[str, Floats]
    false_positive_rates: Floats
    per_image: dict[str, float]
    """Innocents -> share of images with p at most 0.01."""
    membership: MembershipResults
    panel: PanelResults
    control_failed: float
    """Share of divisions in which the negative control of an audit failed."""
    inflated: float
    """Share in which it multiplied the p-values."""
    left_out: tuple[str, ...]
    seconds: dict[str, float]
    shape: tuple[int, int, int]

    @property
    def missed(self) -> list[Row]:
        """Rows whose goal was not reached."""
        return [row for row in self.rows if row.reached is False]

    def summary(self) -> str:
        """Say in two sentences how many goals were reached."""
        goals = [row for row in self.rows if row.reached is not None]
        reached = len(goals) - len(self.missed)
        text = f"{reached} of {len(goals)} goals were reached on this set"
        undecided = sum(row.answer == "open" for row in goals)
        text += f", {undecided} of them only within a wide interval." if undecided else "."
        if self.missed:
            text += " Not reached: " + ", ".join(row.name for row in self.missed) + "."
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "software": software_versions(),
            "settings": self.options.settings(),
            "set": {
                "num_patients": self.num_patients,
                "num_images": self.num_images,
                "patients_merged": self.merged_patients,
                "shape": list(self.shape),
                "images_per_mixture": self.mixture_size,
                "left_out": list(self.left_out),
            },
            "rows": [row.to_dict() for row in self.rows],
            "roc": {
                "false_positive_rates": self.false_positive_rates.tolist(),
                **{level: curve.tolist() for level, curve in self.roc.items()},
            },
            "rules": {
                rule: {kind: float(np.mean(values)) for kind, values in kinds.items()}
                for rule, kinds in self.panel.flagged.items()
            },
            "data_copying_alarms": {
                kind: float(np.mean(values)) for kind, values in self.panel.set_alarms.items()
            },
            "innocents_at_p_0.01": self.per_image,
            "negative_control": {"failed": self.control_failed, "inflated": self.inflated},
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }


def plan_validation(images: ImageSet, options: ValidationOptions) -> QueryPlan:
    """Return what would be scored, without reading a pixel and without merging patients.

    Raises
    ------
    InputError
        If the patients are not known, or too few.
    """
    _check(images)
    return plan_queries(images, images.patient_codes, options)


def validate(
    images: ImageSet,
    out: Path | str,
    *,
    options: ValidationOptions | None = None,
    make_scorer: MakeScorer | None = None,
    progress: Progress = SILENT,
) -> Validation:
    """Try the audit's decisions on a set whose patients are known.

    Parameters
    ----------
    images
        Real images, or phantoms, of at least 15 patients; 1,000 and more prove something.
    out
        Folder for `validation.json`, `validation.html` and the tables; ``work`` in it keeps the
        scores, so that a killed run goes on.
    options
        None for the defaults.
    make_scorer
        Another search than that of the audit; None for that one.

    Returns
    -------
    Validation
        Also written to `out`.

    Raises
    ------
    InputError
        If the patients are not known, or too few.
    OptionError
        If `out` lies inside the set.
    LockedError
        If another run works in `out`.
    OutputError
        If the results cannot be written.
    """
    options = options or ValidationOptions()
    out = Path(out)
    _check(images)
    if images.path is not None and is_inside(out, images.path):
        msg = f"--out {str(out)!r} lies inside the image set; choose a folder outside."
        raise OptionError(msg)
    make_folder(out)
    with folder_lock(out):
        started = time.monotonic()
        bank = build_bank(
            images, out / "work", options, make_scorer=make_scorer, progress=progress
        )  # fmt: skip
        scored = time.monotonic()
        validation = evaluate(bank, images, options, progress=progress)
        validation.seconds["scores"] = scored - started
        validation.seconds["arithmetic"] = time.monotonic() - scored
        write_validation(validation, out)
    return validation


def evaluate(
    bank: ScoreBank, images: ImageSet, options: ValidationOptions, *, progress: Progress = SILENT
) -> Validation:
    """Do all splits on a finished score bank."""
    mixtures = run_mixtures(bank, options, progress)
    tests = run_membership(bank, options, progress)
    coverage = run_coverage(bank, options, progress)
    panel = run_panel(bank, options, progress)
    names_of = {
        level: [part.queries.name for part in bank.of("copy") if part.queries.level == level]
        for level in LEVELS
    }
    return Validation(
        options=options,
        num_patients=bank.num_groups,
        num_images=len(images),
        merged_patients=bank.merged_patients,
        mixture_size=int(np.median(mixtures.sizes)),
        rows=make_table(bank, mixtures, tests, coverage, options),
        levels={
            level: _at_all_rates(names, bank, mixtures)
            for level, names in names_of.items()
            if names
        },
        sensitivity={name: _at_all_rates([name], bank, mixtures) for name in mixtures.kinds},
        roc=mixtures.roc,
        false_positive_rates=mixtures.false_positive_rates,
        per_image={kind: float(np.mean(values)) for kind, values in mixtures.per_image.items()},
        membership=tests,
        panel=panel,
        control_failed=float(np.mean(mixtures.control_failed)),
        inflated=float(np.mean(mixtures.inflated)),
        left_out=bank.left_out,
        seconds={},
        shape=images.image_shape,
    )


def write_validation(validation: Validation, out: Path) -> None:
    """Write the page, the JSON and the tables."""
    from likeness._validate.page import panel_table, render_page

    write_json(out / "validation.json", validation.to_dict())
    write_text(out / "validation.html", render_page(validation))
    rows = [row.to_dict() for row in validation.rows]
    _write_table(out / "table.csv", list(rows[0]), [list(row.values()) for row in rows])
    _write_table(
        out / "sensitivity.csv",
        ["kind", "share_of_copies", "estimate", "low", "high", "patients"],
        [
            [name, rate, m.estimate, m.low, m.high, m.number]
            for table in (validation.levels, validation.sensitivity)
            for name, per_rate in table.items()
            for rate, m in per_rate.items()
        ],
    )
    _write_table(
        out / "membership.csv",
        ["set", "split", "p"],
        [
            [name, number, p]
            for name, values in _membership_lists(validation.membership).items()
            for number, p in enumerate(values)
        ],
    )
    columns, lines = panel_table(validation)
    _write_table(
        out / "rules.csv", ["rule", *columns], [[line["rule"], *line["shares"]] for line in lines]
    )


def _membership_lists(tests: MembershipResults) -> dict[str, list[float]]:
    return {
        **tests.innocent,
        **{f"{100 * rate:g} % copies": p for rate, p in tests.power.items()},
        **{f"{100 * share:g} % contaminated": p for share, p in tests.contaminated.items()},
    }


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, stream.getvalue())


def _at_all_rates(
    names: list[str], bank: ScoreBank, mixtures: MixtureResults
) -> dict[float, Measured]:  # fmt: skip
    return {rate: sensitivity_of(names, bank, mixtures, rate) for rate in COPY_RATES if rate > 0}


def _check(images: ImageSet) -> None:
    if not images.has_patient_ids:
        msg = (
            "The patients of this set are not known, so nobody can say which images may resemble "
            "each other. Prepare it with --patient-id."
        )
        raise InputError(msg)


__all__ = ["RULES", "Validation", "evaluate", "plan_validation", "validate", "write_validation"]
