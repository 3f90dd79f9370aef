"""Where comparisons of real images with real images are kept.

What depends on the training and the test set alone is the same for every model trained on them. It
is kept with the training set, under names that are hashes of everything that can change it: both
sets, channels, settings, versions of the formats. So the audit of a second model finds it. What
depends on the synthetic images stays in the folder of the audit.

These files hold indices and correlations, no pixels; appending to or removing from the set removes
them, as their names would not be asked for again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness._files import hash_of_json, is_inside, remove_partial_files
from likeness.datasets.layout import BASELINES
from likeness.scores.store import BEGUN

if TYPE_CHECKING:
    from likeness.datasets import ImageSet
    from likeness.search import SearchOptions
    from likeness.search.source import ImageSource

_HOURS: Final = 24
"""What nobody wrote to for so long was left by a process that was killed."""
_HOURS_OF_STATES: Final = 7 * 24
"""The state of a part at work is kept for so long, for whoever goes on."""


@dataclass(frozen=True)
class Places:
    """Folders of unfinished and finished comparisons."""

    own: Path
    """Of this audit."""
    kept: Path
    """Of the real sets; the same folder where the training set cannot keep anything."""

    @staticmethod
    def of(train: ImageSet, folder: Path, *, fresh: bool) -> Places:
        """Choose the folders of an audit that writes into `folder`.

        With `fresh` nothing that was kept is used.
        """
        own, home = folder / "work", train.path
        if fresh or home is None or is_inside(home, folder) or not os.access(home, os.W_OK):
            return Places(own, own)
        remove_partial_files(home / BASELINES, hours=_HOURS)
        remove_partial_files(home / BASELINES, hours=_HOURS_OF_STATES, ending=BEGUN)
        return Places(own, home / BASELINES)

    def search(
        self,
        comparison: str,
        queries: ImageSource,
        references: ImageSource,
        options: SearchOptions,
    ) -> Path:
        """Return the folder of one search."""
        name = comparison.replace("->", "-to-")
        if comparison.startswith("synthetic"):
            return self.own / "search" / name
        key = hash_of_json([queries.fingerprint, references.fingerprint, repr(options)])
        return self.kept / "search" / f"{name}-{key[:16]}"
