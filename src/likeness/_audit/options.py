"""The settings of an audit, and which of them can change a number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from likeness.errors import OptionError
from likeness.types import TRANSFORMS, Transform

FDR_GATE = 0.20
"""False discovery rate at which images are listed as unusual, and withheld by the gate."""

SMALLEST_FDR = 0.01
"""A smaller rate would leave clear copies unnamed."""

_NOT_A_SETTING = frozenset({"engine", "memory_bytes", "threads", "jobs", "cluster"})
"""Options that change the speed but no number."""


@dataclass(frozen=True)
class AuditOptions:
    """How an audit compares and decides. The defaults suit most sets."""

    fdr: float = 0.05
    """False discovery rate at which images are listed as copies; in [0.01, 0.2]."""
    patient_id: str = "auto"
    """Rule that gives the patient of a training or test image."""
    manifest: Path | None = None
    """CSV for the rule ``column:NAME``."""
    channels: tuple[str, ...] | None = None
    """Names of the channels to compare; None for all but annotations."""
    flips: bool = True
    """Whether the eight flips and quarter turns are searched, or only the images as they are."""
    top_k: int = 20
    """Most correlated training images kept per image."""
    top_patients: int = 2
    """Patients kept per image at full size; at least 2."""
    train_sample: int = 20_000
    """Most training images that are compared with the other patients' training images, and most
    test images, in the plain and the dihedral family."""
    local_sample: int = 2_000
    """The same for the registered and the tile family, and at full size."""
    self_check: bool = True
    """Whether the audit tries itself on planted copies and on real pictures of other people."""
    planted: int = 200
    """Planted copies per mandatory level."""
    permutations: int = 9_999
    """Of the membership test."""
    strata: str | None = None
    """"class" if patients were held out class by class; None for a plain random split."""
    near_duplicate: float = 0.995
    """r_ch at 64 x 64 from which two images of different people count as near-duplicates."""
    evidence: int = 60
    """Pairs in the report."""
    closer_look: int = 20
    """Of these, pairs whose nearest training images are measured in other ways too; the worst."""
    max_skipped: float = 0.01
    """Share of files that may be left out, per set."""
    strict: bool = False
    """Stop at the first file that cannot be used."""
    seed: int = 0
    """For the sample of training images."""
    engine: str = "auto"
    memory_bytes: int = 2 << 30
    """Memory that a search may take."""
    threads: int | None = None
    """None for all cores."""
    jobs: int = 1
    """Processes that decode files."""
    cluster: str | None = None
    """Other machines that compute: ``local``, ``tcp://host:port``, the path of a scheduler file, or
    ``slurm:FILE``; see `likeness._cluster`. None for this process alone. The memory is then that of
    one worker, the threads are one, and `out` must be in storage that all machines share."""

    def __post_init__(self) -> None:
        _require(SMALLEST_FDR <= self.fdr <= FDR_GATE, "--fdr", self.fdr)
        _require(self.top_k >= 1, "--top-k", self.top_k)
        _require(self.top_patients >= 2, "--top-patients", self.top_patients)
        _require(self.train_sample >= 1, "--train-sample", self.train_sample)
        _require(1 <= self.local_sample <= self.train_sample, "--local-sample", self.local_sample)
        _require(self.strata in {None, "class"}, "--strata", self.strata)
        _require(self.planted >= 1, "--planted", self.planted)
        _require(self.permutations >= 999, "--permutations", self.permutations)
        _require(self.evidence >= 0, "--evidence", self.evidence)
        _require(self.closer_look >= 0, "--closer-look", self.closer_look)
        _require(0 <= self.max_skipped <= 1, "--max-skipped", self.max_skipped)
        _require(0 < self.near_duplicate <= 1, "--near-duplicate", self.near_duplicate)
        _require(self.jobs >= 1, "--jobs", self.jobs)

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """The transforms of the synthetic image that are searched."""
        return TRANSFORMS if self.flips else ("identity",)

    def settings(self) -> dict[str, Any]:
        """Return the options that can change a number, as JSON values."""
        values = asdict(self)
        if self.channels is not None:
            values["channels"] = ",".join(self.channels)  # as the flag takes it
        if self.manifest is not None:
            values["manifest"] = str(self.manifest)
        return {key: value for key, value in values.items() if key not in _NOT_A_SETTING}


def _require(condition: bool, flag: str, value: object) -> None:  # noqa: FBT001
    if not condition:
        msg = f"{flag} is {value}, which is out of range; see `likeness audit --help`."
        raise OptionError(msg)
