"""Write what is generated: `python docs/commands.py`.

`reference/commands.md` is the help of every command, `reference/findings.schema.json` the JSON
Schema of `findings.json`. A test compares both with what this makes.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from likeness import findings_schema
from likeness.cli._commands import EXIT_CODES, SUMMARY, VERBS, build_app

PAGE = Path(__file__).parent / "reference" / "commands.md"
SCHEMA = PAGE.with_name("findings.schema.json")
WIDTH = 88


def help_text(*words: str) -> str:
    """Return the help of one command as plain text, without trailing blanks."""
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH, color_system=None, legacy_windows=False)
    build_app().help_print(list(words), console=console)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip()


def page() -> str:
    """Return the whole page."""
    parts = ["# Commands\n", SUMMARY.replace("\n\n", "\n\n") + "\n", EXIT_CODES + "\n"]
    parts.append("This page is the output of `--help`.\n")
    for verb in VERBS:
        parts.append(f"## likeness {verb.name}\n\n{verb.summary}\n")
        parts.append(f"```text\n{help_text(verb.name)}\n```\n")
        for part in sub_verbs(verb.name):
            parts.append(f"### likeness {verb.name} {part}\n")
            parts.append(f"```text\n{help_text(verb.name, part)}\n```\n")
    return "\n".join(parts)


def sub_verbs(name: str) -> list[str]:
    """Return the commands below a command."""
    command = build_app()[name]
    return sorted(word for word in command if not word.startswith("-"))


def schema() -> str:
    """Return the JSON Schema as text."""
    return json.dumps(findings_schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(schema())
    print(PAGE, SCHEMA)
