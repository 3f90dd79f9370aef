"""The score bank: every query against every other patient, once.

A division of the patients into train, test and novel only says which columns count. So the search
runs once against all patients; each of the hundreds of splits is arithmetic on its result.

The search picks candidates for registration among all patients, of whom a split keeps six in ten.
In an audit all candidates are training patients. So the bank looks at as many more candidates, and
after a split about as many are left as an audit has, of those that other rankings propose more.

Results are kept in the work folder by the block, so that a killed run goes on.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness._files import hash_of_json, make_folder, write_bytes
from likeness._progress import SILENT, Progress
from likeness._validate.options import SHARES
from likeness._validate.queries import (
    MeanImages,
    Queries,
    QueryPlan,
    make_images,
    plan_queries,
)
from likeness._versions import package_version
from likeness.datasets import ImageSet
from likeness.errors import OptionError
from likeness.scores.decision_scale import DecisionImages, Decisions, decision_images
from likeness.scores.orientations import rank_orientations
from likeness.scores.ranking import FAMILIES, Family, PatientRanking, stack_rankings
from likeness.scores.scorer import Scorer, ScorerOptions

if TYPE_CHECKING:
    from likeness._validate.options import ValidationOptions

SAME_PERSON: Final = 0.999
"""r_ch at block means from which two patients count as one; method of the project, 4.7."""
_AT_ONCE: Final = 256
_MORE: Final = {"candidates": 1, "refined": 1, "proposed": 2}
"""By how much more than the share of training patients asks for. Proposals are few: with four on
average, one image in fifty would be left with one or none in its orientation."""
_FORMAT: Final = 1
_MOST_IMAGES: Final = 160
_DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class Scores(Protocol):
    """What the bank needs of `likeness.scores.scorer.Scorer`."""

    def score(
        self, queries: ImageSet, *, excluded: NDArray[np.int32] | None = None
    ) -> dict[Family, PatientRanking]:
        """Rank the groups of the references for every query."""


MakeScorer = Callable[[ImageSet, NDArray[np.int32]], Scores]
"""From references and the group of each to a scorer."""


@dataclass(frozen=True)
class Scored:
    """Queries with what the search found."""

    queries: Queries
    rankings: dict[Family, PatientRanking]
    nearest: PatientRanking
    """The most similar single images, plain; `group` counts the references."""


@dataclass(frozen=True)
class _Block:
    """The result for some queries of one kind."""

    rankings: dict[Family, PatientRanking]
    nearest: PatientRanking


@dataclass(frozen=True)
class ScoreBank:
    """All scores that a validation needs."""

    groups: NDArray[np.int32]
    """(n,) exclusion group of every image of the set."""
    reference_groups: NDArray[np.int32]
    """(r,) group of every reference."""
    parts: dict[str, Scored]
    merged_patients: int
    """Patients that were taken for another one, because their images are almost equal."""
    left_out: tuple[str, ...]

    @property
    def num_groups(self) -> int:
        """Number of different people."""
        return int(self.groups.max()) + 1

    @property
    def real(self) -> Scored:
        """The real images."""
        return self.parts["real"]

    def of(self, role: str) -> list[Scored]:
        """Return the copies or the controls."""
        return [part for part in self.parts.values() if part.queries.role == role]


def build_bank(
    images: ImageSet,
    work: Path,
    options: ValidationOptions,
    *,
    make_scorer: MakeScorer | None = None,
    progress: Progress = SILENT,
) -> ScoreBank:
    """Score everything, or read what an earlier run has scored.

    Parameters
    ----------
    images
        The set, with known patients.
    work
        Folder for the blocks; made if absent.
    make_scorer
        None for the scorer of an audit.

    Raises
    ------
    InputError
        If there are too few patients.
    OutputError
        If a block cannot be written.
    """
    channels = channel_indices(images, options)
    decisions = decision_images(images, channels, grid=options.grid, work=work)
    key = hash_of_json(
        {
            "format": _FORMAT,
            "set": images.fingerprint,
            "options": options.bank_settings(),
            "families": list(FAMILIES),
            "scorer": scorer_options(options).key(),
            "version": package_version("likeness"),
        }
    )
    store = _Store(work, key)
    groups = _groups_of_people(images, decisions, store, options, progress)
    plan = plan_queries(images, groups, options)
    references = images.subset(plan.references)
    near = _subset(decisions, plan.references)
    sums = MeanImages(images, groups)
    scorer: Scores | None = None
    parts = {}
    with progress.task("scores", plan.num_queries) as task:
        for queries in plan.parts:
            blocks = []
            for start in range(0, len(queries), _AT_ONCE):
                part = queries.part(start, min(start + _AT_ONCE, len(queries)))
                name = f"{queries.name}-{start:06d}"
                block = store.read(name, len(part))
                if block is None:
                    if scorer is None:
                        make = make_scorer or _audit_scorer(channels, options)
                        scorer = make(references, groups[plan.references])
                    block = _score(part, start, images, sums, scorer, near, plan, groups, options)
                    store.write(name, block)
                blocks.append(block)
                task.advance(len(part))
            parts[queries.name] = Scored(
                queries,
                {
                    family: stack_rankings([block.rankings[family] for block in blocks])
                    for family in blocks[0].rankings
                },
                stack_rankings([block.nearest for block in blocks]),
            )
    merged = images.num_patients - (int(groups.max()) + 1)
    return ScoreBank(groups, groups[plan.references], parts, merged, plan.left_out)


def channel_indices(images: ImageSet, options: ValidationOptions) -> tuple[int, ...]:
    """Return the indices of the channels that are compared.

    Raises
    ------
    OptionError
        If a channel does not exist.
    """
    if options.channels is None:
        skip = images.annotation_channels
        return tuple(i for i, name in enumerate(images.channels) if name not in skip)
    missing = [name for name in options.channels if name not in images.channels]
    if missing:
        msg = f"--channels names {missing}; the set has {list(images.channels)}."
        raise OptionError(msg)
    return tuple(images.channels.index(name) for name in options.channels)


def scorer_options(options: ValidationOptions) -> ScorerOptions:
    """Return how an audit scores, with as many more candidates as a split takes away."""
    usual = ScorerOptions().registration
    more = {
        name: math.ceil(factor * getattr(usual, name) / SHARES[0]) for name, factor in _MORE.items()
    }
    return ScorerOptions(
        registration=replace(usual, **more),
        grid=options.grid,
        depth=options.depth,
        local_depth=options.depth,
        memory_bytes=options.memory_bytes,
        threads=options.threads,
    )


def _audit_scorer(channels: tuple[int, ...], options: ValidationOptions) -> MakeScorer:
    """Return the maker of the scorer that an audit uses."""

    def make(references: ImageSet, groups: NDArray[np.int32]) -> Scores:
        return Scorer(
            references, channels=channels, groups=groups, options=scorer_options(options)
        )  # fmt: skip

    return make


def _score(
    part: Queries,
    start: int,
    images: ImageSet,
    sums: MeanImages,
    scorer: Scores,
    near: DecisionImages,
    plan: QueryPlan,
    groups: NDArray[np.int32],
    options: ValidationOptions,
) -> _Block:
    pixels = make_images(part, images, sums, options, start)
    queries = ImageSet.from_arrays(pixels, channels=images.channels)
    found = scorer.score(queries, excluded=part.excluded)
    rankings = {family: _without_placement(ranking) for family, ranking in found.items()}
    channels = channel_indices(images, options)
    itself = None
    if part.role == "real":  # an image is not its own neighbour
        itself = np.searchsorted(plan.references, part.row).astype(np.int32)
    nearest, _ = rank_orientations(
        decision_images(queries, channels, grid=options.grid),
        near,
        groups=np.arange(len(near), dtype=np.int32),
        excluded=itself,
        transforms=("identity",),
        depth=_image_depth(groups, options),
        threads=options.threads,
        memory_bytes=options.memory_bytes,
    )
    if part.role != "real":
        nearest = _without_groups(nearest, groups[plan.references], part.excluded)
    return _Block(rankings, _without_placement(nearest))


def _without_groups(
    nearest: PatientRanking, of_reference: NDArray[np.int32], excluded: NDArray[np.int32]
) -> PatientRanking:
    """Blank the images of the group that each query must not meet."""
    of = of_reference[np.maximum(nearest.group, 0)]
    gone = (nearest.group < 0) | (of == excluded[:, None])
    return PatientRanking(
        np.where(gone, np.nan, nearest.similarity),
        np.where(gone, -1, nearest.group).astype(np.int32),
        np.where(gone, -1, nearest.image).astype(np.int32),
        nearest.placement,
    )


def _image_depth(groups: NDArray[np.int32], options: ValidationOptions) -> int:
    """Enough images for two of other patients to be among them."""
    return min(_MOST_IMAGES, options.depth + int(np.bincount(groups).max()))


def _groups_of_people(
    images: ImageSet,
    decisions: Decisions,
    store: _Store,
    options: ValidationOptions,
    progress: Progress,
) -> NDArray[np.int32]:
    """Return (n,) groups: patients, those with almost equal images taken together."""
    codes = images.patient_codes
    saved = store.read_groups(len(images))
    if saved is not None:
        return saved
    _, dihedral = rank_orientations(
        decisions,
        decisions,
        groups=codes,
        excluded=codes,
        depth=min(8, images.num_patients),
        threads=options.threads,
        memory_bytes=options.memory_bytes,
        progress=progress,
    )
    parent = np.arange(images.num_patients)

    def root(code: int) -> int:
        while parent[code] != code:
            code = int(parent[code])
        return code

    rows, places = np.nonzero(np.nan_to_num(dihedral.similarity, nan=-1.0) >= SAME_PERSON)
    for row, place in zip(rows, places, strict=True):
        first, second = sorted((root(int(codes[row])), root(int(dihedral.group[row, place]))))
        parent[second] = first
    roots = np.array([root(int(code)) for code in codes])
    groups = np.unique(roots, return_inverse=True)[1].astype(np.int32)
    store.write_groups(groups)
    return groups


def _subset(decisions: Decisions, rows: NDArray[np.integer]) -> DecisionImages:
    return DecisionImages(decisions.take(rows), decisions.varies[rows])


def _without_placement(ranking: PatientRanking) -> PatientRanking:
    empty = np.empty((*ranking.group.shape, 0), dtype=np.float32)
    return PatientRanking(ranking.similarity, ranking.group, ranking.image, empty)


class _Store:
    """Blocks of rankings as files whose names carry the key of set and settings."""

    def __init__(self, work: Path, key: str) -> None:
        self._folder = work / key[:16]
        make_folder(self._folder, private=True)

    def read(self, name: str, count: int) -> _Block | None:
        arrays = self._load(name)
        if not arrays or any(len(array) != count for array in arrays.values()):
            return None

        def ranking(part: str) -> PatientRanking:
            return PatientRanking(
                arrays[f"{part}_similarity"],
                arrays[f"{part}_group"],
                arrays[f"{part}_image"],
                np.empty((*arrays[f"{part}_group"].shape, 0), dtype=np.float32),
            )

        families = [family for family in FAMILIES if f"{family}_group" in arrays]
        return _Block({family: ranking(family) for family in families}, ranking("nearest"))

    def write(self, name: str, block: _Block) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        for part, ranking in (*block.rankings.items(), ("nearest", block.nearest)):
            arrays[f"{part}_similarity"] = ranking.similarity
            arrays[f"{part}_group"] = ranking.group
            arrays[f"{part}_image"] = ranking.image
        self._write(name, arrays)

    def read_groups(self, count: int) -> NDArray[np.int32] | None:
        groups = self._load("groups").get("groups")
        return groups if groups is not None and groups.shape == (count,) else None

    def write_groups(self, groups: NDArray[np.int32]) -> None:
        self._write("groups", {"groups": groups})

    def _load(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a block; none where it is absent or damaged, to be made again."""
        try:
            path = self._folder / f"{name}.npz"
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except _DAMAGE:
            return {}

    def _write(self, name: str, arrays: dict[str, NDArray[Any]]) -> None:
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        write_bytes(self._folder / f"{name}.npz", stream.getvalue(), private=True)
