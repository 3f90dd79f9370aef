"""Authenticity (Alaa et al. 2022), exactly, with and without the own patient.

A synthetic image counts as *not authentic* where it is closer to its nearest training image than
that training image is to its own nearest other training image. Only the training images that are
somebody's nearest are needed as queries, so no search of the whole set with itself is.

With patients of many slices the usual form says little: the nearest other training image is the
neighbouring slice of the same patient, nearly always closer than any synthetic image, and a copy of
a slice passes as authentic. With the own patient left out the question becomes: is the synthetic
image closer to this patient than anybody else is? Both are given.

Source: Alaa, van Breugel, Saveliev, van der Schaar 2022, How Faithful is your Synthetic Data?
(arXiv 2102.08921), with the correlation distance sqrt(2 (1 - r)), which orders as r does.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import write_json
from likeness._neighbours.folder import given_paths, name_of, output_folder
from likeness._neighbours.opening import Given, comparable, open_set
from likeness._neighbours.searching import Resources, compared_channels, run_search
from likeness._neighbours.tables import table, write_table
from likeness._progress import SILENT, Progress
from likeness._versions import software_versions
from likeness.calibration.panel import authenticity as panel_row
from likeness.datasets import Accounting, ImageSet, PrepareOptions
from likeness.similarity import possible_transforms
from likeness.types import TRANSFORMS, Flags, Floats

if TYPE_CHECKING:
    import pyarrow as pa

    from likeness.search import SearchResult
    from likeness.types import Integers, Transform

TABLE: Final = "authenticity.parquet"
SUMMARY: Final = "authenticity.json"
OUTPUTS: Final = (TABLE, SUMMARY)
MEANING: Final = (
    "Share of synthetic images that are farther from their nearest training image than that image "
    "is from its own nearest other one. Copies make it smaller, and so do smooth images that "
    "resemble everybody; a model that copies a few patients hardly moves it. It lists no copies, "
    "and no value of it clears a set."
)
OWN_PATIENT: Final = (
    "Among all other training images, the nearest one is mostly a neighbouring slice of the same "
    "patient: then even copies count as authentic. Read the number with the own patient left out."
)


@dataclass(frozen=True)
class Authenticity:
    """The result of `measure_authenticity`."""

    summary: dict[str, Any]
    """JSON values: both shares, and what was compared."""
    images: pa.Table
    """One row per synthetic image."""
    accounts: dict[str, Accounting]


def measure_authenticity(
    synthetic: Given,
    train: Given,
    *,
    out: Path | str | None = None,
    flips: bool = True,
    patient_id: str = "auto",
    manifest: Path | None = None,
    max_skipped: float = 0.01,
    overwrite: bool = False,
    engine: str = "auto",
    memory_bytes: int = 2 << 30,
    threads: int | None = None,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> Authenticity:
    """Measure the authenticity of every synthetic image among all training images.

    Parameters
    ----------
    synthetic, train
        A folder of images, an image set, or an array (N, C, H, W); equal shapes and channels.
    out
        Folder for the table and the summary; None writes nothing.
    flips
        Compare in the eight flips and quarter turns too, on both sides of the inequality.
    patient_id, manifest
        Rule for the patients of the training images.
    overwrite
        Replace results in `out` that were made with other settings.

    Returns
    -------
    Authenticity
        Shares with and without the own patient, and one row per synthetic image.

    Raises
    ------
    InputError
        If images cannot be read or compared.
    OptionError
        If `out` holds something else.
    """
    settings = {
        "synthetic": name_of(synthetic),
        "train": name_of(train),
        "flips": flips,
        "patient_id": patient_id,
        "manifest": None if manifest is None else str(manifest),
    }
    with ExitStack() as stack:
        if out is None:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="likeness-")))
        else:
            work = stack.enter_context(
                output_folder(
                    Path(out),
                    inputs=given_paths(synthetic, train),
                    settings=settings,
                    outputs=OUTPUTS,
                    overwrite=overwrite,
                )
            )
        known = PrepareOptions(
            patient_id=patient_id, manifest=manifest, max_skipped=max_skipped, jobs=jobs
        )
        unknown = PrepareOptions(patient_id="none", max_skipped=max_skipped, jobs=jobs)
        opened = {
            "train": open_set(train, role="train", work=work, options=known, progress=progress),
            "synthetic": open_set(
                synthetic, role="synthetic", work=work, options=unknown, progress=progress
            ),
        }
        sets = comparable({role: item.images for role, item in opened.items()})
        found = compare_authenticity(
            sets["synthetic"],
            sets["train"],
            flips=flips,
            work=work,
            resources=Resources(engine, memory_bytes, threads, progress),
        )
        result = Authenticity(
            summary=_summary(sets["synthetic"], sets["train"], found, settings),
            images=_table(sets["synthetic"], sets["train"], found),
            accounts={role: item.account for role, item in opened.items()},
        )
        if out is not None:
            write_table(Path(out) / TABLE, result.images, {"format_name": "likeness authenticity"})
            write_json(Path(out) / SUMMARY, result.summary, private=True)
        return result


@dataclass(frozen=True)
class Distances:
    """Both sides of the inequality, for n synthetic images. NaN where not defined."""

    match: Integers
    """(n,) nearest training image; -1 for none."""
    correlation: Floats
    """(n,) with it."""
    of_match: Floats
    """(n,) highest r of that training image with any other training image."""
    of_match_others: Floats
    """(n,) the same with images of other patients only."""

    def authentic(self, *, own_patient: bool) -> Flags:
        """Return (n,) whether each image is authentic; False where it is not defined."""
        other = self.of_match if own_patient else self.of_match_others
        with np.errstate(invalid="ignore"):
            found: Flags = self.correlation < other
        return found


def compare_authenticity(
    synthetic: ImageSet, train: ImageSet, *, flips: bool, work: Path, resources: Resources
) -> Distances:
    """Search the synthetic images among the training images, and their matches among the others."""
    channels = compared_channels(train)
    _, height, width = train.image_shape
    transforms: tuple[Transform, ...] = possible_transforms(
        TRANSFORMS if flips else ("identity",), height, width
    )

    def searched(
        name: str, queries: ImageSet, own: np.ndarray | None = None, top_k: int = 1
    ) -> SearchResult:
        return run_search(
            queries,
            train,
            transforms=transforms,
            resources=resources,
            checkpoint=work / name,
            channels=channels,
            top_k=top_k,
            own=own,
        )

    nearest = searched("synthetic-train", synthetic)
    match = nearest.top.reference_index[:, 0]
    wanted = np.unique(match[match >= 0])
    of_match = np.full(len(synthetic), np.nan)
    of_others = np.full(len(synthetic), np.nan)
    if len(wanted):
        matched = train.subset(wanted)
        # Each meets itself: the second best is then its nearest other one.
        among_all = searched("match-train", matched, top_k=2)
        among_others = searched("match-others", matched, own=train.patient_codes[wanted])
        place = np.searchsorted(wanted, match)
        there = match >= 0
        of_match[there] = _without_itself(among_all, wanted)[place[there]]
        of_others[there] = among_others.top.correlation[:, 0][place[there]]
    return Distances(match, nearest.top.correlation[:, 0], of_match, of_others)


def _without_itself(result: SearchResult, itself: Integers) -> Floats:
    """Return (n,) the highest correlation with another image than `itself`.

    Two are listed. Where the image is not among them, two equal ones with lower indices are, and
    the first will do.
    """
    is_self = result.top.reference_index == itself[:, None]
    values = result.top.correlation
    if values.shape[1] < 2:  # nobody else is there
        return np.where(is_self[:, 0], np.nan, values[:, 0])
    return np.where(is_self[:, 0], values[:, 1], values[:, 0])


def _summary(
    synthetic: ImageSet, train: ImageSet, found: Distances, settings: dict[str, Any]
) -> dict[str, Any]:
    def share(of_match: Floats) -> dict[str, Any]:
        defined = ~(np.isnan(found.correlation) | np.isnan(of_match))
        row = panel_row(found.correlation, of_match)
        return {
            "share": row.value,
            "authentic": int((found.correlation[defined] < of_match[defined]).sum()),
            "images": int(defined.sum()),
        }

    return {
        "format_name": "likeness authenticity",
        "format_version": 1,
        "synthetic": len(synthetic),
        "train": len(train),
        "patients": len({name for name in train.patient_ids if name is not None}),
        "own_patient_left_out": share(found.of_match_others),
        "all_other_images": share(found.of_match),
        "undefined": int(np.isnan(found.correlation).sum()),
        "meaning": MEANING,
        "own_patient": OWN_PATIENT,
        "settings": settings,
        "versions": software_versions(),
    }


def _table(synthetic: ImageSet, train: ImageSet, found: Distances) -> Any:  # noqa: ANN401
    def number(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    rows = [
        (
            image_id,
            None if match < 0 else train.image_ids[match],
            None if match < 0 else train.patient_ids[match],
            number(found.correlation[row]),
            number(found.of_match_others[row]),
            number(found.of_match[row]),
            _known(found.correlation[row], found.of_match_others[row]),
            _known(found.correlation[row], found.of_match[row]),
        )
        for row, (image_id, match) in enumerate(
            zip(synthetic.image_ids, found.match.tolist(), strict=True)
        )
    ]
    return table(
        [
            ("image_id", "string"),
            ("match_id", "string"),
            ("patient_id", "string"),
            ("correlation", "float64"),
            ("correlation_of_match_others", "float64"),
            ("correlation_of_match", "float64"),
            ("authentic_others", "bool"),
            ("authentic", "bool"),
        ],
        rows,
    )


def _known(correlation: float, of_match: float) -> bool | None:
    if np.isnan(correlation) or np.isnan(of_match):
        return None
    return bool(correlation < of_match)
