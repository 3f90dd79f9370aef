"""`likeness doctor`."""

from __future__ import annotations

import json as json_module
import locale
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from likeness._versions import software_versions
from likeness.cli._console import say
from likeness.cli._options import Output, readable_bytes
from likeness.errors import LikenessError
from likeness.search import available_engines, choose_engine

BROWSERS = ("chromium", "google-chrome", "firefox", "xdg-open")


def doctor(*, output: Output = Output()) -> int:  # noqa: B008 - frozen
    """Report what this machine can do: engines, memory, decoders, versions.

    Every engine is tried on blocks whose products are known; one that errs is never used.
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
    for engine in state["engines"]:
        mark = "*" if engine["chosen"] else " "
        lines.append(f"engine {mark}   {engine['name']}: {engine['check']}")
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
    engines = [_try_engine(name, chosen.engine.name) for name in available_engines()]
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


def _try_engine(name: str, chosen: str) -> dict[str, Any]:
    try:
        choice = choose_engine(name)
    except LikenessError as error:
        return {"name": name, "check": f"not used: {error}", "chosen": False}
    check = f"{choice.check}, {choice.gops:.0f} GOPS per core"
    return {"name": name, "check": check, "chosen": name == chosen}


def _notes(engines: list[dict[str, Any]]) -> list[str]:
    notes = []
    if not any(engine["name"].startswith("numkong") for engine in engines):
        notes.append("faster search on 8-bit images: pip install 'likeness[fast]'")
    installed = {name for name in ("torch", "torchvision") if _is_installed(name)}
    if "torchvision" in installed and "torch" not in installed:
        notes.append("torchvision is installed without torch; Likeness uses neither")
    if sys.getfilesystemencoding().lower() not in {"utf-8", "utf8"}:
        notes.append("file names are not UTF-8 here; odd names are shown escaped")
    return notes


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return 0
