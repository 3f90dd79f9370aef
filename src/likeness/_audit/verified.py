"""Which sets an audit has verified, so that one that was killed does not read every byte again.

``work/verified.json`` says of every set when it was verified, and what `likeness._untouched` knows
of each of its files at that moment. With ``--fresh`` no verification counts.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from likeness._files import make_folder, write_json
from likeness._untouched import is_recent, state_of_file
from likeness.datasets import layout

if TYPE_CHECKING:
    from pathlib import Path

    from likeness.datasets import ImageSet


class Verified:
    """The sets that were verified not long ago.

    Parameters
    ----------
    path
        The file that says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds(self, images: ImageSet) -> bool:
        """Whether a set on disk was verified, and no file of it was touched since."""
        key, files = _state(images)
        found = self._read().get(key)
        if not isinstance(found, dict) or found.get("files") != files:
            return False
        return is_recent(found.get("when"))

    def before(self, images: ImageSet) -> dict[str, Any]:
        """Return what `note` needs, to be asked for before a set is verified."""
        key, files = _state(images)
        return {key: {"when": time.time(), "files": files}}

    def note(self, before: dict[str, Any]) -> None:
        """Remember that a set was verified."""
        make_folder(self._path.parent, private=True)
        write_json(self._path, {**self._read(), **before}, private=True)

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _state(images: ImageSet) -> tuple[str, dict[str, list[int]]]:
    """Return where a set lies, and what tells whether one of its files was touched."""
    folder = images.path
    assert folder is not None
    names = (layout.RECORD, *images.record["files"])
    files = {name: state_of_file(layout.place(folder, name)) for name in names}
    return str(folder.resolve()), files
