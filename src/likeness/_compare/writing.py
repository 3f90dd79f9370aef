"""A comparison as files. None of them names a patient or an image."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from likeness._compare.comparison import Comparison
from likeness._compare.rows import AtEqualSize, Row
from likeness._files import is_inside, make_folder, write_json, write_text, writing_to
from likeness.calibration.memorization import Estimate
from likeness.datasets.accounting import safe_cell
from likeness.errors import OptionError

ENDINGS: Final = ("json", "csv", "html", "png", "pdf")


def write_comparison(comparison: Comparison, out: Path | str, *, figure: bool = True) -> list[Path]:
    """Write ``comparison.json``, ``.csv``, ``.html``, and as the figure ``.png`` and ``.pdf``.

    Parameters
    ----------
    comparison
        From `compare_audits`.
    out
        A folder, made if absent. Files of these names are replaced, and without a figure those of
        an earlier one removed.
    figure
        Whether the figure is drawn; the page holds drawings in any case.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OptionError
        If `out` is one of the audits, lies in one, or is a file.
    MissingExtraError
        If matplotlib is absent and a figure is wanted; nothing is written.
    OutputError
        If the files cannot be written.
    """
    from likeness._compare.figure import draw_comparison, need_matplotlib
    from likeness._compare.page import comparison_page

    folder = Path(out)
    refuse_overlap(folder, comparison.folders)
    if figure:
        need_matplotlib()
    make_folder(folder)
    paths = {ending: folder / f"comparison.{ending}" for ending in ENDINGS}
    with writing_to(folder):
        for path in paths.values():
            path.unlink(missing_ok=True)  # so that no two are ever of different comparisons
    write_json(paths["json"], comparison.to_json())
    write_text(paths["csv"], csv_text(comparison.rows))
    write_text(paths["html"], comparison_page(comparison))
    if figure:
        draw_comparison(comparison, paths["png"], paths["pdf"])
    return [path for path in paths.values() if figure or path.suffix not in {".png", ".pdf"}]


def refuse_overlap(out: Path, audits: tuple[Path, ...]) -> None:
    """Raise if files that may be handed on would lie among files that may not.

    Raises
    ------
    OptionError
        If the folder is an audit, lies in one, or is a file.
    """
    for audit in audits:
        if is_inside(out, audit):
            msg = (
                f"--out {str(out)!r} lies in the audit {str(audit)!r}, whose files must not be "
                "handed on. Choose another folder."
            )
            raise OptionError(msg)
    if out.exists() and not out.is_dir():
        msg = f"--out {str(out)!r} is a file; a folder is needed."
        raise OptionError(msg)


def csv_text(rows: tuple[Row, ...]) -> str:
    """Return a line per audit; a number with an interval takes three columns."""
    tables = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(name for table in tables for name in table))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(tables)
    return stream.getvalue()


_INTERVALS: Final = ("copy_rate", "mean", "baseline", "gap", "above", "auc", "with_test")


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for field in fields(row):
        name, value = field.name, getattr(row, field.name)
        if name in _INTERVALS:
            _add(flat, name, value)
        elif name == "equal_size":
            equal: AtEqualSize | None = value
            for part in ("patients", "train", "test"):
                flat[f"equal_size_{part}"] = "" if equal is None else getattr(equal, part)
            _add(flat, "equal_size_difference", None if equal is None else equal.difference)
        elif name == "caught":
            for level, (caught, planted) in value.items():
                flat[f"caught_{level}"], flat[f"planted_{level}"] = caught, planted
        else:
            flat[name] = safe_cell(value) if isinstance(value, str) else value
    return flat


def _add(flat: dict[str, Any], name: str, estimate: Estimate | None) -> None:
    for part, ending in (("value", ""), ("low", "_low"), ("high", "_high")):
        flat[f"{name}{ending}"] = "" if estimate is None else getattr(estimate, part)
