"""`likeness demo`."""

from __future__ import annotations

import json as json_module
import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likeness._demo import run_demo
from likeness.cli._console import say
from likeness.cli._options import Output


def demo(
    *,
    out: Path = Path("likeness-demo"),
    seed: int = 0,
    open: Annotated[bool, Parameter(name="--open")] = False,  # noqa: A002 - the flag's name
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Show the whole job on artificial patients, offline, in about a minute.

    Makes phantom patients in the layout of BraTS, prepares them, hides altered copies of training
    images among innocent ones, audits them, and says how many were found.

    Parameters
    ----------
    out
        Folder for the phantoms and the audit.
    seed
        Which phantoms and which copies.
    open
        Open the report in the browser.
    overwrite
        Replace an earlier demo in the same folder.
    """
    result = run_demo(out, seed=seed, overwrite=overwrite, progress=output.make_progress())
    if output.json:
        say(json_module.dumps(result.to_dict(), indent=2, sort_keys=True))
    else:
        report = out / "audit" / "report-INTERNAL.html"
        say(
            *result.findings.describe(),
            "",
            *result.describe(),
            "",
            f"next  open {report} in a browser",
            "      likeness inspect FOLDER   with your own images",
        )
    if open:
        webbrowser.open((out / "audit" / "report-INTERNAL.html").resolve().as_uri())
    return 0
