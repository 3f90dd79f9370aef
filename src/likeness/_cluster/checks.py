"""What is asked of every worker before work is given to it."""

from __future__ import annotations

import platform
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness._cluster.sources import SourcePlace, restore
from likeness._files import make_folder, write_text
from likeness._versions import package_version
from likeness.errors import ClusterError, LikenessError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS_TO_APPEAR = 15.0
"""A network file system may show a new file late."""


def check_workers(client: Any, shared: Path) -> None:  # noqa: ANN401 - a Dask client
    """Make sure that all workers have this Likeness and this folder.

    Raises
    ------
    ClusterError
        If one of them has not.
    """
    folder = shared / "probes"
    make_folder(folder, private=True)
    token = uuid.uuid4().hex
    question = folder / f"{token}.txt"
    write_text(question, token, private=True)
    here = package_version("likeness")
    try:
        answers = client.run(
            answer_probe, str(question.resolve()), _SECONDS_TO_APPEAR, on_error="return"
        )
        for address, answer in answers.items():
            if isinstance(answer, BaseException):
                msg = (
                    f"The worker {address} cannot run Likeness ({answer!r}). Install likeness "
                    f"{here} where the workers run."
                )
                raise ClusterError(msg) from answer
            if answer["version"] != here:
                msg = (
                    f"The worker {address} has Likeness {answer['version']}, this command {here}. "
                    "Install one version everywhere: results of two are not mixed."
                )
                raise ClusterError(msg)
            if answer["text"] != token or not _appears(Path(answer["file"]), token):
                msg = (
                    f"The worker {address} on {answer['machine']} does not see the folder "
                    f"{str(shared.resolve())!r} ({answer['problem'] or 'another folder'}). Choose "
                    "an --out in storage that all machines share under one name."
                )
                raise ClusterError(msg)
    finally:
        for file in folder.glob(f"{token}*"):
            file.unlink(missing_ok=True)


def answer_probe(question: str, seconds: float) -> dict[str, str]:
    """Run in a worker: read the file within some seconds, and write one that says so."""
    found = {
        "version": package_version("likeness"),
        "machine": platform.node(),
        "text": "",
        "file": "",
        "problem": "",
    }
    path = Path(question)
    end = time.monotonic() + seconds
    while True:
        try:
            found["text"] = path.read_text(encoding="utf-8")
            break
        except OSError as error:
            found["problem"] = str(error)
            if path.parent.parent.is_dir() and time.monotonic() < end:
                time.sleep(0.2)
                continue
            return found
    answer = path.with_name(f"{path.stem}-{uuid.uuid4().hex}.txt")
    try:
        write_text(answer, found["text"], private=True)
    except LikenessError as error:
        found["text"], found["problem"] = "", str(error)
    found["file"] = str(answer)
    return found


def check_sources(client: Any, places: Sequence[SourcePlace]) -> None:  # noqa: ANN401
    """Make sure that all workers see these image sets.

    Raises
    ------
    ClusterError
        If one of them does not.
    """
    values = [place.to_json() for place in places]
    answers = client.run(open_sources, values, on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, BaseException) or answer:
            msg = f"The worker {address} cannot read the images: {answer}"
            raise ClusterError(msg)


def open_sources(places: list[dict[str, Any]]) -> str:
    """Run in a worker: open the sets; return what is wrong, or nothing."""
    for place in places:
        try:
            restore(SourcePlace.from_json(place))
        except LikenessError as error:
            return str(error)
    return ""


def _appears(path: Path, text: str) -> bool:
    end = time.monotonic() + _SECONDS_TO_APPEAR
    while True:
        try:
            return path.read_text(encoding="utf-8") == text
        except OSError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.2)
