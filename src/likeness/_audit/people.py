"""Which patients are one person: exclusion groups.

Two patients that share an equal or practically equal image are taken for one person under two
names. They count as one everywhere: a copy of that image would otherwise stand out from nobody.
Nothing weaker merges patients by itself; almost equal images below that are listed, and whoever
knows the patients can give them one id.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness._neighbours.joining import SAME_IMAGE, Joining

if TYPE_CHECKING:
    from likeness.datasets import ImageSet
    from likeness.scores.ranking import PatientRanking
    from likeness.types import Flags


@dataclass(frozen=True)
class People:
    """The training patients, those that are one person merged."""

    group_of_patient: NDArray[np.int32]
    """(K,) group of each patient code."""
    merged: list[list[str]]
    """Names of the patients of every group of more than one."""

    @property
    def num_groups(self) -> int:
        """Number of people."""
        return int(self.group_of_patient.max()) + 1

    def of_images(self, images: ImageSet) -> NDArray[np.int32]:
        """Return the group of every image of the set that the patients are of."""
        groups: NDArray[np.int32] = self.group_of_patient[images.patient_codes]
        return groups


def find_people(
    train: ImageSet,
    sample: NDArray[np.int64],
    ranking: PatientRanking,
    *,
    varies: Flags | None = None,
) -> People:
    """Merge patients that share an image.

    Parameters
    ----------
    sample
        (n,) rows of the training images that were compared with all others.
    ranking
        n rows: the most similar *other patients* of each, by patient code.
    varies
        (m,) training images that are not constant: empty slices are equal and show nobody. None
        if none is constant.
    """
    joining = Joining(train.num_patients)
    first: dict[str, int] = {}
    shown = np.ones(len(train), dtype=np.bool_) if varies is None else varies
    hashes, codes = train.pixel_hashes, train.patient_codes.tolist()
    for row in np.flatnonzero(shown):
        joining.join(first.setdefault(hashes[row], codes[row]), codes[row])
    same = np.nan_to_num(ranking.similarity, nan=-1.0) >= SAME_IMAGE
    for row, column in zip(*np.nonzero(same), strict=True):
        code = int(train.patient_codes[sample[row]])
        joining.join(code, int(ranking.group[row, column]))
    groups = joining.groups()
    members: dict[int, list[str]] = defaultdict(list)
    for code, group in enumerate(groups.tolist()):
        members[group].append(str(train.patient_names[code]))
    merged = [names for names in members.values() if len(names) > 1]
    return People(groups, merged)
