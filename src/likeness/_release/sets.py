"""The image sets of an audit, found again and held against what the audit saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from likeness._progress import SILENT, Progress
from likeness._release.audit_folder import NotProvenError
from likeness.datasets import ImageSet, verify, verify_sources
from likeness.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likeness._findings import SetSummary
    from likeness._release.audit_folder import AuditContent

Role = Literal["train", "synthetic", "test"]
Given = ImageSet | Path | str | None

CHECKPOINTS: Final = frozenset(
    {".pt", ".pth", ".ckpt", ".safetensors", ".pkl", ".pickle", ".joblib", ".h5", ".hdf5"}
    | {".keras", ".onnx", ".pb", ".tflite"}
)
"""Ends of names that files with the weights of a model usually have."""


@dataclass(frozen=True)
class Sets:
    """The sets of an audit, unchanged."""

    train: ImageSet
    synthetic: ImageSet
    test: ImageSet | None
    not_checked: tuple[str, ...]
    """What could not be compared with its source any more, in sentences without names."""


def open_sets(
    audit: AuditContent,
    *,
    given: Mapping[Role, Given],
    progress: Progress = SILENT,
) -> Sets:
    """Find the sets of an audit and make sure that they are what it saw.

    Parameters
    ----------
    given
        Sets that were passed to the audit as arrays, or that lie elsewhere now.

    Raises
    ------
    NotProvenError
        If a set is gone, damaged, or not the one that was audited; or if the synthetic set holds
        the weights of a model.
    """
    refuse_checkpoints(audit)
    found: dict[str, ImageSet] = {}
    notes: list[str] = []
    for summary in audit.findings.sets:
        images = _locate(audit, summary.role, given.get(summary.role))
        if images is None:
            if summary.role == "test":
                notes.append("The test set could not be compared with what the audit saw.")
                continue
            msg = (
                f"The {summary.role} set of the audit is not where it was. Run the audit again, "
                f"or pass {summary.role}= from Python."
            )
            raise NotProvenError(msg)
        found[summary.role] = _unchanged(images, summary, progress)
        notes += _sources_unchanged(audit, summary.role, images, progress)
    for role in ("train", "synthetic"):
        if role not in found:
            msg = f"The findings say nothing about a {role} set. Run the audit again."
            raise NotProvenError(msg)
    return Sets(found["train"], found["synthetic"], found.get("test"), tuple(notes))


def refuse_checkpoints(audit: AuditContent) -> None:
    """Raise if the synthetic set was offered together with, or as, the weights of a model.

    Raises
    ------
    NotProvenError
        Naming the first such file.
    """
    names = [row["path"] for row in audit.left_out if row.get("set") == "synthetic"]
    source = audit.settings.get("synthetic")
    if isinstance(source, str):
        path = Path(source)
        names.append(path.name)
        if path.is_dir():
            names += [entry.name for entry in path.rglob("*") if entry.is_file()]
    for name in names:
        if PurePosixPath(name.replace("\\", "/")).suffix.lower() in CHECKPOINTS:
            msg = (
                f"The synthetic set holds {name!r}, which looks like the weights of a model. A "
                "release holds images only: a generator can hand out training images that no "
                "audit of its images has seen. Take the file out and run the audit again."
            )
            raise NotProvenError(msg)


def source_paths(audit: AuditContent) -> list[Path]:
    """Return the files and folders that the audit read, as it was told them."""
    values = [audit.settings.get(role) for role in ("train", "synthetic", "test")]
    return [Path(value) for value in values if isinstance(value, str)]


def _locate(audit: AuditContent, role: str, given: Given) -> ImageSet | None:
    if isinstance(given, ImageSet):
        return given
    named = audit.settings.get(role)
    places = [given, named if isinstance(named, str) else None, audit.folder / "work/sets" / role]
    for place in places:
        if place is not None and (Path(place) / "dataset.json").is_file():
            try:
                return ImageSet.open(place)
            except InputError as error:
                msg = f"The {role} set is not as the audit saw it: {error}"
                raise NotProvenError(msg) from error
    return None


def _unchanged(images: ImageSet, summary: SetSummary, progress: Progress) -> ImageSet:
    """Return the set under the channel names of the audit, every byte and hash compared."""
    again = "Run the audit again on the set as it is now."
    if images.path is not None:
        problems = verify(images.path, derived_rows=False, progress=progress).problems
        if problems:
            msg = f"The {summary.role} set was changed since the audit: {problems[0]}. {again}"
            raise NotProvenError(msg)
    if len(images.channels) == len(summary.channels):
        images = images.rename_channels(summary.channels)
    if images.fingerprint != summary.fingerprint:
        msg = f"The {summary.role} set is not the one that was audited. {again}"
        raise NotProvenError(msg)
    return images


def _sources_unchanged(
    audit: AuditContent, role: str, images: ImageSet, progress: Progress
) -> list[str]:
    """Compare the source files of a set that the audit itself prepared; return remarks."""
    named = audit.settings.get(role)
    if images.path is None or not isinstance(named, str) or (Path(named) / "dataset.json").exists():
        return []
    if not Path(named).exists():
        return [f"The source files of the {role} set could not be compared again."]
    changed = verify_sources(images, named, progress=progress)
    if changed:
        msg = (
            f"{len(changed)} source files of the {role} set changed since the audit, the first is "
            f"{changed[0]!r}. Run the audit again."
        )
        raise NotProvenError(msg)
    new = _new_files(images.path, named)
    if new and role == "train":
        msg = (
            f"{len(new)} files were added to the training folder since the audit, the first is "
            f"{new[0]!r}: nobody looked for copies of them. Run the audit again."
        )
        raise NotProvenError(msg)
    return []


def _new_files(prepared: Path, source: str) -> list[str]:
    from likeness.datasets.manifest import read_table
    from likeness.datasets.walk import find_files

    known = set(read_table(prepared / "sources.parquet", ["path"])["path"])
    listed = {row["path"].removeprefix("'") for row in _left_out(prepared)}
    return sorted(
        file.text for file in find_files(Path(source)).files if file.text not in known | listed
    )


def _left_out(path: Path) -> list[dict[str, str]]:
    import csv

    with (path / "left_out.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
