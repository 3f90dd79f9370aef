"""What an audit would do: from names and headers alone, nothing decoded, nothing written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness._audit.folder import check_folder
from likeness._audit.options import AuditOptions
from likeness._cluster import count_parts
from likeness._progress import SILENT, Progress
from likeness.datasets import Inspection, PrepareOptions, inspect_path
from likeness.datasets.plain import plan_images
from likeness.datasets.sequences import ANNOTATIONS
from likeness.datasets.sources import refuse_split
from likeness.errors import NoImagesError
from likeness.search import SearchOptions, SearchPlan, choose_engine, plan_search
from likeness.types import Images


@dataclass(frozen=True)
class PlannedSet:
    """One set as its names and headers describe it; enough for `plan_search`."""

    role: str
    path: str
    num_images: int
    num_patients: int
    patient_rule: str
    patient_coverage: float
    channels: tuple[str, ...]
    """Empty where names and headers do not tell."""
    shape: tuple[int, int, int]
    dtype_name: str
    files: str
    """The account of the files, in words."""
    disk_bytes: int
    is_prepared: bool

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type."""
        return np.dtype(self.dtype_name)

    @property
    def patient_codes(self) -> NDArray[np.int32]:
        """Not known before the images are read; the plan does not need them."""
        return np.zeros(self.num_images, dtype=np.int32)

    @property
    def fingerprint(self) -> str:
        """Not known before the images are read."""
        return ""

    def __len__(self) -> int:
        return self.num_images

    def read(self, start: int, stop: int) -> Images:
        """Refuse: a plan reads no pixel."""
        msg = f"The plan has no pixels to read ({start} to {stop})."
        raise NoImagesError(msg)


@dataclass(frozen=True)
class AuditPlan:
    """The plan of an audit."""

    sets: tuple[PlannedSet, ...]
    searches: tuple[tuple[str, SearchPlan], ...]
    engine: str
    engine_check: str
    gops: float
    """Speed of the engine measured just now, one thread."""
    out: str
    warnings: tuple[str, ...]
    cluster: str | None = None
    """What will compute; None for this process alone."""

    @property
    def num_parts(self) -> int:
        """Tasks of the searches at full size, where a cluster computes."""
        pixels = int(np.prod(self.sets[0].shape)) * np.dtype(self.sets[0].dtype_name).itemsize
        return sum(
            count_parts(plan.num_queries, plan.num_references, pixels) for _, plan in self.searches
        )

    @property
    def seconds(self) -> float:
        """Forecast of the searches at full size; all else comes on top."""
        return sum(plan.seconds(self.gops) for _, plan in self.searches)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "sets": [asdict(planned) for planned in self.sets],
            "searches": {name: asdict(plan) for name, plan in self.searches},
            "engine": self.engine,
            "seconds": self.seconds,
            "out": self.out,
            "warnings": list(self.warnings),
            "cluster": self.cluster,
            "parts": None if self.cluster is None else self.num_parts,
        }

    def describe(self) -> list[str]:
        """Return the plan as lines."""
        lines = []
        for planned in self.sets:
            shape = " x ".join(map(str, planned.shape))
            lines.append(
                f"{planned.role:<10} {planned.num_images} images {shape} {planned.dtype_name}"
            )
            lines.append(f"           {planned.files}")
            if planned.role != "synthetic" and planned.patient_rule == "none":
                lines.append("           patients not known: every image counts as one of its own")
            elif planned.role != "synthetic":
                lines.append(
                    f"           {planned.num_patients} patients by rule "
                    f"{planned.patient_rule} ({planned.patient_coverage:.0%} covered)"
                )
            if not planned.is_prepared:
                lines.append(
                    f"           will be prepared: {planned.disk_bytes / 1e6:.0f} MB on disk"
                )
        for name, plan in self.searches:
            lines.append(
                f"{name.replace('->', ' -> '):<20} {plan.num_pairs:,} pairs, "
                f"about {plan.seconds(self.gops):.0f} s"
            )
        if self.searches:
            most = max((plan for _, plan in self.searches), key=lambda plan: plan.needs_bytes)
            lines.append(
                f"memory     at most {most.needs_bytes / 2**20:.0f} MiB of "
                f"{most.memory_bytes / 2**20:.0f} MiB"
            )
        lines.append(f"engine     {self.engine} ({self.engine_check})")
        lines.append(
            f"time       searches at full size about {self.seconds:.0f} s; reading, scores and the "
            "self-check come on top"
        )
        if self.cluster is not None:
            lines.append(
                f"cluster    {self.cluster}: about {self.num_parts:,} parts for the searches at "
                "full size, and one for some hundred images per kind of score; it was not asked"
            )
        lines.append(f"would write to {self.out}; nothing was written")
        lines += [f"warning    {text}" for text in self.warnings]
        return lines


def plan_audit(
    train: Path | str,
    synthetic: Path | str,
    test: Path | str | None = None,
    *,
    out: Path | str,
    options: AuditOptions | None = None,
    progress: Progress = SILENT,
) -> AuditPlan:
    """Plan an audit of folders.

    Raises
    ------
    LikenessError
        As `likeness.audit` would for what can be known beforehand.
    """
    options = options or AuditOptions()
    given = {"train": train, "synthetic": synthetic, "test": test}
    paths = {role: Path(path) for role, path in given.items() if path is not None}
    settings: dict[str, Any] = {
        **options.settings(), **{role: str(path) for role, path in given.items() if path}
    }  # fmt: skip
    check_folder(Path(out), paths.values(), settings, overwrite=True)
    sets = {role: _planned(role, path, options, progress) for role, path in paths.items()}
    search_options = SearchOptions(
        top_k=options.top_k,
        top_patients=options.top_patients,
        transforms=options.transforms,
        channels=_channels(sets["train"], options),
    )
    engine = choose_engine(options.engine, options.threads)
    planned_train = sets["train"]
    sample = replace(planned_train, num_images=min(options.local_sample, planned_train.num_images))
    searches: list[tuple[str, PlannedSet, PlannedSet]] = []
    if test is not None:
        searches.append(("test->train", sets["test"], planned_train))
    if planned_train.num_patients > 1:
        searches.append(("train->train", sample, planned_train))
    searches.append(("synthetic->train", sets["synthetic"], planned_train))
    if test is not None:
        searches.append(("synthetic->test", sets["synthetic"], sets["test"]))
    plans = tuple(
        (
            name,
            plan_search(
                queries,
                references,
                options=search_options,
                memory_bytes=options.memory_bytes,
                threads=options.threads,
            ),
        )
        for name, queries, references in searches
    )
    return AuditPlan(
        sets=tuple(sets.values()),
        searches=plans,
        engine=engine.engine.name,
        engine_check=engine.check,
        gops=engine.gops,
        out=str(out),
        warnings=tuple(_warnings(sets)),
        cluster=options.cluster,
    )


def _planned(role: str, path: Path, options: AuditOptions, progress: Progress) -> PlannedSet:
    rule = "none" if role == "synthetic" else options.patient_id
    manifest = None if role == "synthetic" else options.manifest
    refuse_split(path, role)
    found: Inspection = inspect_path(
        path, patient_id=rule, manifest=manifest, decode=False, progress=progress
    )
    if not found.kinds or found.num_images == 0:
        msg = (
            f"0 usable images in {str(path)!r} (--{role}): {found.accounting.summary()}. "
            f"Look with: likeness inspect {path}"
        )
        raise NoImagesError(msg)
    is_prepared = found.layout == "image set"
    if not is_prepared:  # refuses now what the audit would refuse after an hour
        plan_images(
            path,
            PrepareOptions(
                patient_id=rule,
                manifest=manifest,
                max_skipped=options.max_skipped,
                strict=options.strict,
            ),
            progress,
        )
        found.accounting.check(options.max_skipped)
    kind = found.kinds[0]
    # An image without a patient counts as one of its own.
    alone = round((1 - found.patient_coverage) * found.num_images)
    channels = len(found.channels) or kind.shape[0]
    return PlannedSet(
        role=role,
        path=str(path),
        num_images=found.num_images,
        num_patients=max(found.num_patients + alone, 1),
        patient_rule=found.patient_rule,
        patient_coverage=found.patient_coverage,
        channels=found.channels,
        shape=(channels, *kind.shape[1:]),
        dtype_name=kind.dtype,
        files=found.accounting.summary(),
        disk_bytes=found.disk_bytes,
        is_prepared=is_prepared,
    )


def _channels(planned: PlannedSet, options: AuditOptions) -> tuple[int, ...] | None:
    """Return the channels to compare, as far as names tell; None for all."""
    names = planned.channels
    if options.channels is not None:
        return tuple(range(len(options.channels)))
    kept = tuple(index for index, name in enumerate(names) if name not in ANNOTATIONS)
    return kept or None


def _warnings(sets: dict[str, PlannedSet]) -> list[str]:
    warnings = []
    if "test" not in sets:
        warnings.append("no test set: the verdict will speak of copies only")
    shapes = {planned.shape for planned in sets.values()}
    if len(shapes) > 1:
        warnings.append("the sets differ in shape or channels; the audit would stop")
    if sets["train"].patient_coverage < 1:
        warnings.append("not every training image has a patient; see likeness inspect")
    return warnings
