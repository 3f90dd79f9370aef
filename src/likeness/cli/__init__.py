"""The command line: the library, one verb each.

```
__init__.py    the verbs, with one line and examples for each
_run.py        parse, run, turn every outcome into an exit code and a message
_console.py    what goes to stdout (results), what to stderr (progress, messages)
_options.py    flags that several verbs share
audit.py ...   one module per verb; imported only when that verb is used
```

Exit codes: 0 done; 1 findings where the caller asked to fail on them; 2 usage; 3 input; 4 no
verdict possible; 5 done, some files left out and listed; 6 locked by another run; 7 cannot write;
70 a bug; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    # Processes that decode load the module that was started too: it must cost them nothing.
    from likeness.cli._run import main as run_and_exit

    run_and_exit(arguments)
