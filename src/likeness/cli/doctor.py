"""`likeness doctor`."""

from __future__ import annotations

import json as json_module
import locale
import os
import platform
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from likeness._versions import package_version, software_versions
from likeness.cli._console import say
from likeness.cli._options import Output, readable_bytes
from likeness.errors import LikenessError
from likeness.search import EngineChoice, choose_engine
from likeness.search.engines import KNOWN, is_installed

BROWSERS = ("chromium", "google-chrome", "firefox", "xdg-open")


def doctor(*, output: Output = Output()) -> int:  # noqa: B008 - frozen
    """Report what this machine can do: engines, memory, decoders, versions.

    Every engine is tried on blocks whose products are known; one that errs is never used. What
    ``auto`` would choose is found out first, before torch is imported to try it.
    """
    state = _examine()
    if output.json:
        say(json_module.dumps(state, indent=2, sort_keys=True))
        return 0
    machine = state["machine"]
    lines = [
        "machine    "
        f"{machine['processor']}, {machine['cores']} cores, "
        f"{readable_bytes(machine['memory_bytes'])} memory, "
        f"{readable_bytes(machine['free_disk_bytes'])} free here",
        f"system     {machine['system']}, locale {machine['locale']}",
        "versions   " + ", ".join(f"{name} {value}" for name, value in state["versions"].items()),
    ]
    lines += _engine_table(state["engines"])
    lines.append("decoders   " + ", ".join(state["decoders"]))
    lines.append(
        f"browser    {state['browser'] or 'none found; copy the report to another machine'}"
    )
    lines += [f"note       {note}" for note in state["notes"]]
    lines.append("next       likeness demo")
    say(*lines)
    return 0


def _examine() -> dict[str, Any]:
    from PIL import features

    chosen = choose_engine()
    engines = [_try_engine(name, chosen) for name in KNOWN]
    codecs = {"JPEG": "jpg", "PNG": "zlib", "TIFF": "libtiff", "WebP": "webp"}
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "memory_bytes": _memory_bytes(),
            "free_disk_bytes": shutil.disk_usage(Path.cwd()).free,
            "system": f"{platform.system()} {platform.release()}",
            "locale": ".".join(part or "C" for part in locale.getlocale()),
        },
        "versions": software_versions(),
        "engines": engines,
        "decoders": [
            name if features.check(key) else f"{name} missing" for name, key in codecs.items()
        ]
        + ["NIfTI", "NPY", "ZIP"],
        "browser": next((name for name in BROWSERS if shutil.which(name)), None),
        "notes": _notes(engines),
    }


def _try_engine(name: str, chosen: EngineChoice) -> dict[str, Any]:
    """Return one line of the table; `gops` is null where an engine cannot be used."""
    state = {"name": name, "installed": is_installed(KNOWN[name]), "chosen": name == chosen.name}
    try:
        choice = chosen if state["chosen"] else choose_engine(name)
    except LikenessError as error:
        return state | {"check": f"not used: {error}", "gops": None, "why": None}
    why = chosen.why if state["chosen"] else None
    return state | {"check": choice.check, "gops": round(choice.gops, 1), "why": why}


def _engine_table(engines: list[dict[str, Any]]) -> list[str]:
    rows = [("engine", "installed", "speed", "self-test")]
    for engine in engines:
        speed = "-" if engine["gops"] is None else f"{engine['gops']:.0f} GOPS"
        mark = "* " if engine["chosen"] else "  "
        installed = "yes" if engine["installed"] else "no"
        rows.append((mark + engine["name"], installed, speed, engine["check"]))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
    lines += [f"* chosen   {engine['why']}" for engine in engines if engine["chosen"]]
    return lines


def _notes(engines: list[dict[str, Any]]) -> list[str]:
    notes = []
    if not any(engine["installed"] for engine in engines if engine["name"].startswith("numkong")):
        notes.append("faster search on 8-bit images: pip install 'likeness[fast]'")
    if any(engine["installed"] for engine in engines if KNOWN[engine["name"]].needs_cuda):
        notes.append(
            "the engines for CUDA were written without a GPU at hand and have not been run on one "
            "by their authors; only the self-test speaks for them"
        )
    speeds = {engine["name"]: engine["gops"] or 0.0 for engine in engines}
    chosen = next(engine["gops"] for engine in engines if engine["chosen"])
    fastest = max(speeds, key=lambda name: speeds[name])
    if speeds[fastest] > 1.1 * chosen:
        notes.append(
            f"{fastest} is {speeds[fastest] / chosen:.1f} times as fast here, for some seconds and "
            f"200 MB that importing its library takes: --engine {fastest.rpartition('-')[0]}"
        )
    notes += torchvision_notes()
    if sys.getfilesystemencoding().lower() not in {"utf-8", "utf8"}:
        notes.append("file names are not UTF-8 here; odd names are shown escaped")
    return notes


def torchvision_notes() -> list[str]:
    """Say where torchvision does not fit torch, which breaks other programmes, not this one."""
    torch, vision = package_version("torch"), package_version("torchvision")
    if vision == "absent":
        return []
    if torch == "absent":
        return ["torchvision is installed without torch; Likeness uses neither"]
    wanted = next(filter(None, map(_pinned_torch, metadata.requires("torchvision") or [])), None)
    if wanted is None or wanted.split("+")[0] == torch.split("+")[0]:
        return []
    return [
        f"torchvision {vision} was built for torch {wanted}, but torch {torch} is installed; "
        "Likeness does not use torchvision, but importing it may fail"
    ]


def _pinned_torch(requirement: str) -> str | None:
    """Return the version if a requirement of a package names one exact version of torch."""
    found = re.match(r"torch\s*\(?\s*==\s*([\w.+]+)", requirement)
    return found[1] if found else None


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return 0
