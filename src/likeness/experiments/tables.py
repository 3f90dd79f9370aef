"""Tables 2 and 3: the paper's value, ours, and the baseline on our data, side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from likeness.calibration.memorization import Estimate
from likeness.experiments.configurations import MODEL_NAMES, Data, Model, Size
from likeness.experiments.paper_values import TABLE_2, TABLE_3
from likeness.experiments.results import Results, RunResult
from likeness.experiments.rules import FINDINGS, Comparison, conclude

ABSENT: Final = "not run"
NOT_PRINTED: Final = "-"
TOO_SHORT: Final = "trained too short to tell"
_MODELS: Final[tuple[Model, ...]] = ("ddpm", "stylegan3")
_SIZES: Final[tuple[Size, ...]] = ("small", "medium", "large")


@dataclass(frozen=True)
class Table:
    """A table and what must be read with it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def to_markdown(self) -> str:
        """Return it as Markdown."""
        lines = [f"# {self.title}", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line(row) for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """Return its columns and rows as CSV."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return stream.getvalue()


def table_2(results: Results) -> Table:
    """Return FID, inception score and mean highest correlation, by data and model."""
    rows = []
    for data, model, seed in _trained(results):
        paper = None if data.stands_for is None else TABLE_2.get((data.stands_for, model))
        head = [data.name, data.stands_for or NOT_PRINTED, _name(model, seed)]
        printed = ["", "", ""]
        if paper is not None:
            printed = [
                f"{paper.fid:.2f}",
                f"{paper.inception_score:.2f}",
                f"{paper.correlation:.3f}",
            ]
        rows.append((*head, *_ours(results.of(data.name, model, seed=seed), printed)))
    return Table(
        "Table 2: quality and memorization by data and model",
        (
            "data",
            "beside the paper's",
            "model",
            "images seen",
            "FID, paper",
            "FID, ours",
            "FID, held-out images",
            "IS, paper",
            "IS, ours",
            "highest r, paper",
            "highest r, ours",
            "highest r, held-out images",
            "gap",
            "AUC",
            "above the held-out 99 %",
            "AUC, equally blurred",
            "copies listed by the audit",
            "verdict",
        ),
        tuple(rows),
        (*_notes(results), *_what_differs(results)),
    )


def table_3(results: Results) -> Table:
    """Return the mean highest correlation by size of the model."""
    rows = []
    for data, model, seed in _trained(results):
        ours = [results.of(data.name, model, size, seed) for size in _SIZES]
        if sum(one is not None for one in ours) < 2:
            continue
        baseline = next(one for one in ours if one is not None).found.baseline
        cells = [data.name, data.stands_for or NOT_PRINTED, _name(model, seed)]
        for size, one in zip(_SIZES, ours, strict=True):
            paper = TABLE_3.get((data.stands_for or "", model, size))
            cells.append(NOT_PRINTED if paper is None else f"{paper:.3f}")
            cells.append(ABSENT if one is None else str(one.found.mean))
            cells.append(ABSENT if one is None else str(one.found.auc))
        rows.append((*cells, str(baseline)))
    columns = ["data", "beside the paper's", "model"]
    for size in _SIZES:
        columns += [f"{size}, paper", f"{size}, ours", f"{size}, AUC"]
    return Table(
        "Table 3: mean highest correlation by size of the model",
        (*columns, "held-out images"),
        tuple(rows),
        (*_notes(results), *_what_differs(results)),
    )


def findings_table(results: Results, comparisons: Sequence[Comparison]) -> Table:
    """Return what became of the paper's four findings."""
    rows = []
    for code, sentence in FINDINGS.items():
        own = [one for one in comparisons if one.finding == code]
        together: str = conclude(list(comparisons), code)
        if not results.configuration.decides and together != ABSENT:
            together = TOO_SHORT
        rows.append((code, sentence, "", "", "", "", f"**{together}**"))
        for one in own:
            answer = one.answer if results.configuration.decides else TOO_SHORT
            quality = {True: "; confounded with quality", False: "", None: ""}[one.confounded]
            rows.append(
                (code, "", one.first, one.second, one.basis, str(one.difference), answer + quality)
            )
    return Table(
        "The paper's four findings, tested again",
        ("finding", "says", "first", "second", "compared", "difference of AUC", "answer"),
        tuple(rows),
        (
            "Decided by the rules of docs/results.md, written before the runs: a comparison is "
            "supported if the 95 % interval of the difference of AUC lies above 0, contradicted if "
            "below, undecided otherwise; a finding needs all its comparisons.",
            *_controls(results),
            *_notes(results),
        ),
    )


def _trained(results: Results) -> Iterator[tuple[Data, Model, int]]:
    for data in results.configuration.data:
        for model in _MODELS:
            for seed in results.seeds(data.name, model):
                yield data, model, seed


def _name(model: Model, seed: int) -> str:
    return MODEL_NAMES[model] + (f", seed {seed}" if seed else "")


def _ours(one: RunResult | None, printed: list[str]) -> list[str]:
    fid, score, r = printed
    if one is None:
        return [
            ABSENT, fid, ABSENT, ABSENT, score, ABSENT, r, *[ABSENT] * 8
        ]  # fmt: skip
    evaluation = one.evaluation or {}
    found = one.found
    return [
        f"{one.run.images:,}",
        fid,
        _number(evaluation.get("fid")),
        _number(evaluation.get("fid_held_out")),
        score,
        _number(evaluation.get("inception_score")),
        r,
        str(found.mean),
        str(found.baseline),
        str(found.gap),
        str(found.auc),
        str(found.above),
        f"{one.sharp.auc} at {one.blur:.2f} px",
        f"{one.verdict['copies']} of {one.verdict['synthetic']}",
        str(one.verdict["verdict"]),
    ]


def _number(found: object) -> str:
    if not isinstance(found, dict):
        return "no weights given"
    return str(Estimate(found["value"], found["low"], found["high"]))


def _notes(results: Results) -> list[str]:
    configuration = results.configuration
    notes = [
        f"Configuration {configuration.name}: {configuration.resolution} x "
        f"{configuration.resolution} pixels, {configuration.samples} synthetic images per model, "
        f"{configuration.sampler_steps} sampling steps ({configuration.sampler}).",
        "Highest r: mean over images of the highest Pearson correlation with any training image, "
        "all image channels together, annotation left out. Held-out images: the same for images of "
        "patients that no generator saw, among the same training images. Intervals: 95 %, "
        "bootstrap, held-out images by patient.",
        *(f"Limit: {limit}" for limit in configuration.limits),
    ]
    if results.left_out:
        notes.append(f"Not run: {', '.join(results.left_out)}.")
    return notes


def _what_differs(results: Results) -> list[str]:
    told = []
    for data in results.configuration.data:
        if data.stands_for is None:
            continue
        number = next(
            (one.training_images for one in results.runs if one.run.data == data.name), None
        )
        size = "not run" if number is None else f"{number:,} training images"
        if data.stands_for == data.name and results.configuration.resolution == 256:
            continue
        told.append(
            f"{data.name} ({size}) stands beside the paper's {data.stands_for} and is not the "
            "same: its numbers may not be compared with the paper's, only directions may."
        )
    return told


def _controls(results: Results) -> list[str]:
    told = []
    for name, control in results.controls.items():
        halves = ""
        if control.halves is not None:
            auc = Estimate(**control.halves["auc"])
            halves = f"; held-out patients of one half against the other: AUC {auc}"
        told.append(
            f"Controls of {name}: {control.above} of {control.planted} planted noisy copies lie "
            f"above the 99th percentile of the held-out images, {control.right} point to the right "
            f"training image{halves}."
        )
    return told


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
