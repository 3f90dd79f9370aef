"""The same picture twice, the same person twice: one set with itself, or two sets."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import write_json, write_text
from likeness._neighbours.compared import Compared, compare_sets
from likeness._neighbours.folder import given_paths, name_of, output_folder
from likeness._neighbours.joining import NEAR_DUPLICATE, SAME_IMAGE
from likeness._neighbours.opening import Given, comparable, open_set
from likeness._neighbours.people import Joined, join_across, join_within
from likeness._neighbours.searching import Resources, compared_channels
from likeness._neighbours.tables import (
    FORMAT_NAME,
    FORMAT_VERSION,
    images_table,
    pairs_table,
    patients_table,
    quantiles,
    write_table,
)
from likeness._progress import SILENT, Progress
from likeness._versions import software_versions
from likeness.datasets import Accounting, ImageSet, PrepareOptions
from likeness.errors import OptionError

if TYPE_CHECKING:
    import pyarrow as pa

PAGE: Final = "duplicates-INTERNAL.html"
SUMMARY: Final = "duplicates.json"
OUTPUTS: Final = (PAGE, SUMMARY, "pairs.parquet", "images.parquet", "patients.parquet")
MOST_LISTED: Final = 50
"""Groups of ids in the summary; the tables hold all."""


@dataclass(frozen=True)
class Duplicates:
    """The result of `find_duplicates`."""

    summary: dict[str, Any]
    """JSON values: what was compared, and counts; see the documentation of the formats."""
    pairs: pa.Table
    """Equal and almost equal images."""
    images: pa.Table
    """One row per image of the set, with its nearest image of another patient."""
    patients: pa.Table
    """One row per known patient of the set."""
    accounts: dict[str, Accounting]
    """Per set, what became of every file."""

    @property
    def found(self) -> bool:
        """Whether anything is there twice: a picture, or a patient in two sets."""
        return self.pairs.num_rows > 0 or bool(self.summary["patients"]["shared"])


def find_duplicates(
    images: Given,
    against: Given | None = None,
    *,
    out: Path | str | None = None,
    limit: float = NEAR_DUPLICATE,
    flips: bool = True,
    patient_id: str = "auto",
    manifest: Path | None = None,
    max_skipped: float = 0.01,
    pairs_shown: int = 40,
    overwrite: bool = False,
    engine: str = "auto",
    memory_bytes: int = 2 << 30,
    threads: int | None = None,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> Duplicates:
    """Find pictures and people that are there twice: every image against every other one.

    Parameters
    ----------
    images
        A folder of images, an image set, or an array (N, C, H, W).
    against
        A second one, of the same shape and channels: the images of the first are then compared with
        those of the second, for example test with train. None compares the set with itself.
    out
        Folder for the tables, the summary and a page with the pairs; None writes nothing. The same
        call with the same folder goes on where an interrupted one stopped.
    limit
        r_ch at 64 x 64 block means from which two pictures are almost equal. Above 0, at most 1.
    flips
        Compare in the eight flips and quarter turns too.
    patient_id, manifest
        Rule for the patients; ``none`` for synthetic images. Images of one patient are not compared
        with each other, except for equal pixels.
    pairs_shown
        Pairs with pictures on the page; 0 or more.
    overwrite
        Replace results in `out` that were made with other settings.

    Returns
    -------
    Duplicates
        Summary and tables.

    Raises
    ------
    InputError
        If images cannot be read or compared.
    OptionError
        If a setting is out of range, or `out` holds something else.
    """
    if not 0.0 < limit <= 1.0:
        msg = f"--near-duplicate is {limit}; it must be above 0 and at most 1."
        raise OptionError(msg)
    if pairs_shown < 0:
        msg = f"--pairs is {pairs_shown}; it must be 0 or more."
        raise OptionError(msg)
    settings = {
        "images": name_of(images),
        "against": None if against is None else name_of(against),
        "near_duplicate": limit,
        "flips": flips,
        "patient_id": patient_id,
        "manifest": None if manifest is None else str(manifest),
        "pairs": pairs_shown,
    }
    with ExitStack() as stack:
        if out is None:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="likeness-")))
        else:
            work = stack.enter_context(
                output_folder(
                    Path(out),
                    inputs=given_paths(images, against),
                    settings=settings,
                    outputs=OUTPUTS,
                    overwrite=overwrite,
                )
            )
        prepare = PrepareOptions(
            patient_id=patient_id, manifest=manifest, max_skipped=max_skipped, jobs=jobs
        )
        given = {"set": images} if against is None else {"set": images, "other": against}
        opened = {
            role: open_set(item, role=role, work=work, options=prepare, progress=progress)
            for role, item in given.items()
        }
        sets = comparable({role: item.images for role, item in opened.items()})
        first, second = sets["set"], sets.get("other", sets["set"])
        channels = compared_channels(first)
        compared = compare_sets(
            first,
            second,
            channels=channels,
            limit=limit,
            flips=flips,
            work=work,
            resources=Resources(engine, memory_bytes, threads, progress),
        )
        joined = join_within(first, compared) if first is second else None
        result = Duplicates(
            summary=_summary(first, second, compared, joined, channels, settings),
            pairs=pairs_table(first, second, compared),
            images=images_table(first, second, compared, joined),
            patients=patients_table(first, second, compared, joined),
            accounts={role: item.account for role, item in opened.items()},
        )
        if out is not None:
            _write(Path(out), result, first, second, channels, pairs_shown)
        return result


def _summary(
    first: ImageSet,
    second: ImageSet,
    compared: Compared,
    joined: Joined | None,
    channels: tuple[int, ...],
    settings: dict[str, Any],
) -> dict[str, Any]:
    same = first is second
    full, near = compared.full, compared.near
    undefined = int(full.undefined_queries.sum())
    in_groups = {row for pair in compared.equal.tolist() for row in (pair if same else pair[:1])}
    return {
        "format_name": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "set": _describe(first),
        "against": None if same else _describe(second),
        "compared": {
            "channels": [first.channels[index] for index in channels],
            "transforms": list(compared.transforms),
            "images": len(first) - undefined,
            "undefined": undefined,
            "pairs_full_size": full.num_pairs // 2 if same else full.num_pairs,
            "pairs_at_64": near.num_compared,
            "candidates_at_64": near.num_candidates,
            "engine": full.engine,
            "engine_check": full.engine_check,
        },
        "equal": {
            "pairs": len(compared.equal),
            "images": len(in_groups),
            **_patients_of(first, second, compared.equal[:, 0], compared.equal[:, 1]),
        },
        "near": {
            "limit": settings["near_duplicate"],
            "pairs": len(near),
            "images": len({*near.query.tolist(), *(near.reference.tolist() if same else ())}),
            "practically_equal": int((near.similarity >= SAME_IMAGE).sum()),
            "images_not_finished": len(near.unfinished),
            **_patients_of(first, second, near.query, near.reference),
        },
        "patients": _patients(first, second, compared, joined),
        "pictures": None if joined is None else _pictures(joined),
        "highest_correlation": quantiles(full.top.correlation[:, 0]),
        "highest_correlation_identity": quantiles(full.identity),
        "settings": settings,
        "versions": software_versions(),
    }


def _describe(images: ImageSet) -> dict[str, Any]:
    return {
        "images": len(images),
        "patients": len({name for name in images.patient_ids if name is not None}),
        "images_without_patient": sum(name is None for name in images.patient_ids),
        "shape": list(images.image_shape),
        "dtype": str(images.dtype),
        "fingerprint": images.fingerprint,
    }


def _patients_of(
    first: ImageSet, second: ImageSet, rows: np.ndarray, others: np.ndarray
) -> dict[str, int]:
    """Count pairs by whether both images are known to be of one patient."""
    within = across = 0
    for row, other in zip(rows.tolist(), others.tolist(), strict=True):
        a, b = first.patient_ids[row], second.patient_ids[other]
        if a is not None and b is not None:
            within, across = within + (a == b), across + (a != b)
    return {"pairs_within_patients": within, "pairs_between_patients": across}


def _patients(
    first: ImageSet, second: ImageSet, compared: Compared, joined: Joined | None
) -> dict[str, Any]:
    """Say who is there twice: by name in both sets, or by a picture under two names."""
    named = {name for name in first.patient_ids if name is not None}
    if joined is not None:
        groups = [
            names
            for group in joined.people
            if len(names := [n for c in group if (n := first.patient_names[c]) in named]) > 1
        ]
        return {
            "shared": 0,
            "shared_ids": [],
            "one_person": len(groups),
            "one_person_ids": groups[:MOST_LISTED],
        }
    other_named = {name for name in second.patient_ids if name is not None}
    shared = sorted(named & other_named)
    pairs = [
        [a, b]
        for a, b in (
            (first.patient_names[i], second.patient_names[j])
            for i, j in join_across(first, second, compared)
        )
        if a in named and b in other_named and a != b
    ]
    return {
        "shared": len(shared),
        "shared_ids": shared[:MOST_LISTED],
        "one_person": len(pairs),
        "one_person_ids": pairs[:MOST_LISTED],
    }


def _pictures(joined: Joined) -> dict[str, Any]:
    sizes = np.bincount(joined.picture)
    return {
        "different": joined.num_pictures,
        "shown_more_than_once": int((sizes > 1).sum()),
        "most_often": int(sizes.max()),
        "images_beyond_the_first": int((sizes - 1).sum()),
    }


def _write(
    out: Path,
    result: Duplicates,
    first: ImageSet,
    second: ImageSet,
    channels: tuple[int, ...],
    pairs_shown: int,
) -> None:
    from likeness._neighbours.page import duplicates_page  # templates cost an import

    metadata = {"format_name": FORMAT_NAME, "format_version": str(FORMAT_VERSION)}
    for name, content in (
        ("pairs", result.pairs),
        ("images", result.images),
        ("patients", result.patients),
    ):
        write_table(out / f"{name}.parquet", content, metadata)
    page = duplicates_page(result, first, second, channels, pairs_shown)
    write_text(out / PAGE, page, private=True)
    write_json(out / SUMMARY, result.summary, private=True)  # last: where it is, all is there
