"""`likeness compare`."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likeness.cli._console import say
from likeness.cli._options import Output


def compare(
    *audits: Path,
    out: Path,
    name: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None,
    different: Annotated[bool, Parameter(negative="")] = False,
    figure: bool = True,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Put any number of finished audits beside each other: one table, one page, one figure.

    Nothing is searched again. What is written names no patient and no image, so it may be handed
    on where the reports of the audits may not; the names of the audits are yours.

    Parameters
    ----------
    audits
        Folders of finished audits.
    out
        Folder for comparison.json, .csv, .html, .png and .pdf.
    name
        What an audit is called, once per audit and in their order; by default its folder.
    different
        Compare audits of images with other shapes or channels all the same.
    figure
        Draw comparison.png and .pdf, for which matplotlib is needed.
    """
    from likeness._compare import compare_audits, write_comparison
    from likeness._compare.figure import need_matplotlib
    from likeness._compare.wording import lines_of
    from likeness._compare.writing import refuse_overlap

    refuse_overlap(out, audits)
    if figure:
        need_matplotlib()
    found = compare_audits(audits, names=name or None, different=different)
    paths = write_comparison(found, out, figure=figure)
    if output.json:
        say(json_module.dumps(found.to_json(), indent=2, sort_keys=True))
        return 0
    say(
        *lines_of(found),
        *(f"wrote      {path}" for path in paths),
        f"next       open {shlex.quote(str(out / 'comparison.html'))}",
    )
    return 0
