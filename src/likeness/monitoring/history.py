"""Checks on disk: one line of JSON per step, in the order of the steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from likeness._files import write_text
from likeness.errors import InputError
from likeness.monitoring.check import Check
from likeness.types import Floats

AUDITS: Final = "audits.jsonl"
LOSSES: Final = ("loss", "g_loss", "d_loss")
"""What the loops of `likeness.generators` write."""


def read_checks(folder: Path) -> list[Check]:
    """Return the checks of a folder, by step.

    Raises
    ------
    InputError
        If the file holds something else.
    """
    path = folder / AUDITS
    if not path.is_file():
        return []
    checks = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            checks.append(Check.from_record(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            msg = (
                f"Line {number} of {str(path)!r} is not a check of this version; choose another "
                "folder, or remove that file."
            )
            raise InputError(msg) from error
    return sorted(checks, key=lambda check: check.step)


def write_checks(folder: Path, checks: list[Check]) -> None:
    """Write all checks; the file is complete at any time, and its owner's alone."""
    lines = [
        json.dumps(check.as_record(), sort_keys=True, allow_nan=False) + "\n"
        for check in sorted(checks, key=lambda check: check.step)
    ]
    write_text(folder / AUDITS, "".join(lines), private=True)


def next_look(checks: list[Check], step: int, images_sha256: str) -> int:
    """Return the number of a look.

    The same samples of the same step are the same look. Other ones are a new look, even where they
    replace the line of their step.
    """
    for check in checks:
        if check.step == step and check.images_sha256 == images_sha256:
            return check.look
    return 1 + max((check.look for check in checks), default=0)


def read_losses(metrics: Path | None) -> dict[str, tuple[Floats, Floats]]:
    """Return (steps, values) per kind of loss of a ``metrics.jsonl``; nothing where there is none.

    A last line that is being written is left out.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    if metrics is None or not metrics.is_file():
        return {}
    for line in metrics.read_text("utf-8").splitlines():
        try:
            record = json.loads(line)
            step = float(record["step"])
            for name in LOSSES:
                if isinstance(record.get(name), int | float):
                    found.setdefault(name, []).append((step, float(record[name])))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    curves = {}
    for name, points in found.items():
        table = np.array(sorted(points))
        curves[name] = (table[:, 0], table[:, 1])
    return curves
