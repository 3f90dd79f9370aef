"""What in a set of synthetic images resembles one patient, and is it more than chance gives?"""

from __future__ import annotations

import difflib
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import write_json, write_text
from likeness._match.patients import (
    LISTED,
    OnePatient,
    Searches,
    highest_per_patient,
    nearest_counts,
    one_patient,
    run_searches,
)
from likeness._neighbours.folder import given_paths, name_of, output_folder
from likeness._neighbours.opening import Given, Opened, comparable, open_set
from likeness._neighbours.searching import Resources, compared_channels
from likeness._neighbours.tables import quantiles, table, write_table
from likeness._progress import SILENT, Progress
from likeness._versions import software_versions
from likeness.datasets import Accounting, ImageSet, PrepareOptions
from likeness.errors import InputError, OptionError
from likeness.types import TRANSFORMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from likeness.types import Floats

TABLE: Final = "resemblance.parquet"
SUMMARY: Final = "resemblance.json"
MOST_ASKED: Final = 100
FORMAT: Final = {"format_name": "likeness resemblance", "format_version": "1"}


@dataclass(frozen=True)
class Resemblance:
    """The result of `find_resemblance`."""

    summary: dict[str, Any]
    """JSON values: what was compared, and one record per patient under ``patients``."""
    table: pa.Table
    """One row per patient and synthetic image."""
    accounts: dict[str, Accounting]


def find_resemblance(
    queries: Given,
    references: Given,
    patients: Sequence[str],
    *,
    test: Given | None = None,
    out: Path | str | None = None,
    flips: bool = True,
    patient_id: str = "auto",
    manifest: Path | None = None,
    max_skipped: float = 0.01,
    pairs_shown: int = 12,
    overwrite: bool = False,
    engine: str = "auto",
    memory_bytes: int = 2 << 30,
    threads: int | None = None,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> Resemblance:
    """Compare every synthetic image with every image of some patients.

    Parameters
    ----------
    queries
        The synthetic images: a folder, an image set, or an array (N, C, H, W).
    references
        All images that the generator was trained on, with patients; of the same shape and channels.
    patients
        Ids of 1 to 100 patients of the references.
    test
        Images of people who were not used for training, prepared in the same way: what they reach
        is what chance gives. None takes the other patients of the references, of whom it is not
        known that the synthetic images owe them nothing.
    out
        Folder for the table, the summary and one page per patient; None writes nothing. The same
        call with the same folder goes on where an interrupted one stopped.
    flips
        Compare in the eight flips and quarter turns too.
    patient_id, manifest
        Rule for the patients of the references and of `test`.
    pairs_shown
        Pairs with pictures on each page; 0 or more.
    overwrite
        Replace results in `out` that were made with other settings.

    Returns
    -------
    Resemblance
        Summary and table.

    Raises
    ------
    OptionError
        If a patient is not among the references, or a setting is out of range.
    InputError
        If images cannot be read or compared, or the references have no patients.
    """
    asked = tuple(dict.fromkeys(patients))
    if not 1 <= len(asked) <= MOST_ASKED:
        msg = f"--patient names {len(asked)} patients; 1 to {MOST_ASKED} can be asked for at once."
        raise OptionError(msg)
    if pairs_shown < 0:
        msg = f"--pairs is {pairs_shown}; it must be 0 or more."
        raise OptionError(msg)
    settings = {
        "queries": name_of(queries),
        "references": name_of(references),
        "test": None if test is None else name_of(test),
        "patients": list(asked),
        "flips": flips,
        "patient_id": patient_id,
        "manifest": None if manifest is None else str(manifest),
        "pairs": pairs_shown,
    }
    pages = [page_name(number) for number in range(1, MOST_ASKED + 1)]
    with ExitStack() as stack:
        if out is None:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="likeness-")))
        else:
            work = stack.enter_context(
                output_folder(
                    Path(out),
                    inputs=given_paths(queries, references, test),
                    settings=settings,
                    outputs=(TABLE, SUMMARY, *pages),
                    overwrite=overwrite,
                )
            )
        known = PrepareOptions(
            patient_id=patient_id, manifest=manifest, max_skipped=max_skipped, jobs=jobs
        )
        unknown = PrepareOptions(patient_id="none", max_skipped=max_skipped, jobs=jobs)
        opened = {
            role: open_set(item, role=role, work=work, options=options, progress=progress)
            for role, item, options in (
                ("references", references, known),
                ("queries", queries, unknown),
                ("test", test, known),
            )
            if item is not None
        }
        sets = comparable({role: item.images for role, item in opened.items()})
        codes = _codes(sets["references"], asked, opened["references"])
        people = sets.get("test", sets["references"])
        channels = compared_channels(sets["references"])
        found = run_searches(
            sets["queries"],
            sets["references"],
            people,
            codes,
            channels=channels,
            flips=flips,
            work=work,
            resources=Resources(engine, memory_bytes, threads, progress),
        )
        rows = [one_patient(found, sets["references"], code) for code in codes]
        summary = _summary(sets, people, found, rows, channels, settings)
        result = Resemblance(
            summary, _table(sets, found, rows), {r: item.account for r, item in opened.items()}
        )
        if out is not None:
            _write(Path(out), result, sets, people, found, rows, channels, pairs_shown)
        return result


def page_name(number: int) -> str:
    """Return the name of a page; ids of patients are no file names."""
    return f"patient-{number:02}-INTERNAL.html"


def _codes(references: ImageSet, asked: tuple[str, ...], opened: Opened) -> list[int]:
    """Return the codes of the patients asked for.

    Raises
    ------
    InputError
        If no patient of the references is known.
    OptionError
        If one of those asked for is not there.
    """
    known = {name for name in references.patient_ids if name is not None}
    if not known:
        msg = (
            "The patients of the references are not known, so nobody can be looked for. Give the "
            "rule with --patient-id, or the table with --manifest."
        )
        raise InputError(msg)
    code_of = {name: code for code, name in enumerate(references.patient_names)}
    for name in asked:
        if name in known:
            continue
        near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)
        lost = [item.path for item in opened.account.left_out if name and name in item.path]
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        if lost:
            hint = (
                f" {len(lost)} left-out files have it in their name, the first is {lost[0]!r} "
                f"[{next(i.code for i in opened.account.left_out if i.path == lost[0])}]: images "
                "that were left out cannot be compared."
            )
        examples = ", ".join(sorted(known)[:3])
        msg = (
            f"--patient {name!r}: the references have no image of this patient among "
            f"{len(known):,} patients (for example {examples}).{hint}"
        )
        raise OptionError(msg)
    return [code_of[name] for name in asked]


def _summary(
    sets: dict[str, ImageSet],
    people: ImageSet,
    found: Searches,
    rows: list[OnePatient],
    channels: tuple[int, ...],
    settings: dict[str, Any],
) -> dict[str, Any]:
    references, queries = sets["references"], sets["queries"]
    yardstick = highest_per_patient(people, found.people)
    counts = nearest_counts(references, found.among_all)
    named = {name for name in references.patient_ids if name is not None}
    is_known = np.array([name in named for name in references.patient_names])
    held_out = "test" in sets
    return {
        "format_name": FORMAT["format_name"],
        "format_version": int(FORMAT["format_version"]),
        "compared": {
            "queries": len(queries),
            "undefined_queries": int(found.among_all.undefined_queries.sum()),
            "references": len(references),
            "patients": len(named),
            "channels": [references.channels[index] for index in channels],
            "transforms": list(found.transforms),
            "pairs": found.among_all.num_pairs + found.people.num_pairs,
            "engine": found.among_all.engine,
            "engine_check": found.among_all.engine_check,
            "patients_listed": LISTED,
        },
        "yardstick": {
            "people": "test" if held_out else "references",
            "patients": int((~np.isnan(yardstick)).sum()),
            "images": len(people),
            "median_images": float(np.median(np.bincount(people.patient_codes))),
            "highest_correlation": quantiles(yardstick),
        },
        "nearest_of": {
            "median": float(np.median(counts[is_known])),
            "maximum": int(counts[is_known].max()),
        },
        "patients": [
            _record(number, row, sets, people, yardstick, counts)
            for number, row in enumerate(rows, start=1)
        ],
        "settings": settings,
        "versions": software_versions(),
    }


def _record(
    number: int,
    row: OnePatient,
    sets: dict[str, ImageSet],
    people: ImageSet,
    yardstick: Floats,
    counts: np.ndarray,
) -> dict[str, Any]:
    references, queries = sets["references"], sets["queries"]
    name = references.patient_names[row.code]
    others = _others(yardstick, people, name)
    defined = ~np.isnan(row.correlation)
    best = int(np.nanargmax(row.correlation)) if defined.any() else None
    highest = None if best is None else float(row.correlation[best])
    at_least = None if highest is None else int((others >= highest).sum())
    hashes = {references.pixel_hashes[i] for i in row.rows.tolist()}
    nearest = int(counts[row.code])
    of_all = int((row.rank > 0).sum())
    share = len(row.rows) / len(references)
    return {
        "patient_id": name,
        "page": page_name(number),
        "images": len(row.rows),
        "compared": int(defined.sum()),
        "highest_correlation": highest,
        "image_id": None if best is None else queries.image_ids[best],
        "reference_id": None if best is None else references.image_ids[int(row.match[best])],
        "transform": None if best is None else TRANSFORMS[int(row.transform[best])],
        "next_correlation": None if best is None else _number(row.next_correlation[best]),
        "rank_there": None if best is None else int(row.rank[best]) or None,
        "equal_pixels": sum(digest in hashes for digest in queries.pixel_hashes),
        "nearest_of": nearest,
        "nearest_expected": share * int(counts.sum()),
        "patients_nearest_as_often": int((counts >= nearest).sum()) - 1,
        "among_the_nearest": of_all,
        "yardstick_patients": len(others),
        "yardstick_at_least": at_least,
        "p_value": None if at_least is None or "test" not in sets or not len(others)
        else (1 + at_least) / (1 + len(others)),
        "quantiles": quantiles(row.correlation),
    }  # fmt: skip


def _others(yardstick: Floats, people: ImageSet, name: str) -> Floats:
    """Return the highest r of everybody else."""
    mine = np.array([other == name for other in people.patient_names])
    return yardstick[~mine & ~np.isnan(yardstick)]


def _table(sets: dict[str, ImageSet], found: Searches, rows: list[OnePatient]) -> Any:  # noqa: ANN401
    references, queries = sets["references"], sets["queries"]
    nearest = found.among_all.patients.patient_code[:, 0].tolist()
    lines = []
    for row in rows:
        key = np.where(np.isnan(row.correlation), np.inf, -row.correlation)
        for i in np.argsort(key, kind="stable").tolist():
            match = int(row.match[i])
            lines.append(
                (
                    references.patient_names[row.code],
                    queries.image_ids[i],
                    None if match < 0 else references.image_ids[match],
                    None if match < 0 else TRANSFORMS[int(row.transform[i])],
                    _number(row.correlation[i]),
                    _number(row.correlation_mean[i]),
                    int(row.rank[i]) or None,
                    None if nearest[i] < 0 else nearest[i] == row.code,
                    _number(row.next_correlation[i]),
                )
            )
    return table(
        [
            ("patient_id", "string"),
            ("query_id", "string"),
            ("reference_id", "string"),
            ("transform", "string"),
            ("correlation", "float64"),
            ("correlation_mean", "float64"),
            ("patient_rank", "int32"),
            ("is_nearest", "bool"),
            ("next_correlation", "float64"),
        ],
        lines,
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _write(
    out: Path,
    result: Resemblance,
    sets: dict[str, ImageSet],
    people: ImageSet,
    found: Searches,
    rows: list[OnePatient],
    channels: tuple[int, ...],
    pairs_shown: int,
) -> None:
    from likeness._match.page import patient_page  # templates cost an import

    write_table(out / TABLE, result.table, FORMAT)
    yardstick = highest_per_patient(people, found.people)
    for record, row in zip(result.summary["patients"], rows, strict=True):
        others = _others(yardstick, people, record["patient_id"])
        page = patient_page(result.summary, record, row, sets, others, channels, pairs_shown)
        write_text(out / record["page"], page, private=True)
    write_json(out / SUMMARY, result.summary, private=True)  # last: where it is, all is there
