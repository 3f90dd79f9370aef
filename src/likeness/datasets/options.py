"""The settings of a preparation of images as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from likeness._files import hash_of_json
from likeness.datasets.accounting import DEFAULT_MAX_SKIPPED
from likeness.datasets.patient_ids import parse_patient_rule
from likeness.datasets.transforms import Resampling
from likeness.errors import OptionError
from likeness.readers import ReadOptions

if TYPE_CHECKING:
    from likeness.datasets.patient_ids import PatientRule

Grey: TypeAlias = Literal["keep", "collapse", "luma"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a preparation runs; none of it changes an image.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    jobs: int = 1
    """Processes that decode. At least 1."""
    max_skipped: float = DEFAULT_MAX_SKIPPED
    """Largest accepted share of files that cannot be used, in [0, 1]."""
    strict: bool = False
    """Stop at the first file that cannot be used."""
    overwrite: bool = False
    """Replace an image set that was made in another way."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.jobs < 1:
            msg = f"--jobs is {self.jobs}; expected at least 1."
            raise OptionError(msg)
        if not 0 <= self.max_skipped <= 1:
            msg = f"--max-skipped is {self.max_skipped}; expected 0 to 1 (0% to 100%)."
            raise OptionError(msg)


@dataclass(frozen=True, kw_only=True)
class SourceOptions(RunOptions):
    """What every preparation has to know about its source."""

    patient_id: str = "auto"
    """Rule that gives the patient; see `likeness.datasets.patient_ids`."""
    manifest: Path | None = None
    """CSV table for the rule ``column:NAME``."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """Decisions that a file cannot make for itself."""

    def patient_rule(self) -> PatientRule:
        """Return the rule, with its table read.

        Raises
        ------
        OptionError, ManifestError
            As `parse_patient_rule`.
        """
        return parse_patient_rule(self.patient_id, manifest=self.manifest)

    def source_settings(self, rule: PatientRule) -> dict[str, Any]:
        """Return as JSON values what changes an image or an id."""
        table = hash_of_json(rule.table) if rule.table else None
        return {
            "patient_id": self.patient_id,
            "manifest": table,
            "read": dict(sorted(vars(self.read).items())),
        }


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(SourceOptions):
    """How `prepare_images` reads. The defaults change no pixel.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    sequences: str | None = "auto"
    """Whether sibling files are the channels of one image: ``paper``, ``brats``, a pattern such as
    ``{id}_{channel}.png``, ``auto`` (one of the first two if 95 % of the files follow it), or None
    for one image per file."""
    channels: tuple[str, ...] | None = None
    """With `sequences` the channels wanted, in order; without, names for the channels there are."""
    size: tuple[int, int] | None = None
    """(H, W) to resize to; None to resize nothing."""
    resampling: Resampling = "bicubic"
    """Pillow's filter for `size`."""
    grey: Grey = "keep"
    """RGB images: ``keep`` them, ``collapse`` those that are really grey and leave coloured ones
    out, or take the ``luma`` of all. Where RGB and grey images are mixed, ``keep`` turns the RGB
    images into grey ones if they really are grey, and stops otherwise."""
    intensity_range: tuple[float, float] | None = None
    """(low, high) to map to 0..255 in 8 bits, ends clipped; None to keep the numbers."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.size is not None and not (len(self.size) == 2 and min(self.size) >= 1):
            msg = f"--resize is {self.size}; expected rows and columns, at least 1."
            raise OptionError(msg)
        for flag, value, allowed in (
            ("--grey", self.grey, get_args(Grey)),
            ("--resampling", self.resampling, get_args(Resampling)),
        ):
            if value not in allowed:
                msg = f"{flag} is {value!r}; expected one of {', '.join(allowed)}."
                raise OptionError(msg)
        if self.intensity_range is not None and not (
            len(self.intensity_range) == 2
            and -float("inf") < self.intensity_range[0] < self.intensity_range[1] < float("inf")
        ):
            msg = f"--intensity-range is {self.intensity_range}; expected low < high."
            raise OptionError(msg)

    def settings(self, rule: PatientRule) -> dict[str, Any]:
        """Return as JSON values what changes an image or an id."""
        own = ("sequences", "channels", "size", "resampling", "grey", "intensity_range")
        return {**self.source_settings(rule), **{name: getattr(self, name) for name in own}}

    def transforms(self) -> list[dict[str, Any]]:
        """Return what is done to the pixels, in order, with all parameters."""
        steps: list[dict[str, Any]] = []
        if self.grey != "keep":
            steps.append({"name": "grey", "rule": self.grey, "weights": [0.299, 0.587, 0.114]})
        if self.size is not None:
            steps.append({"name": "resize", "size": list(self.size), "resampling": self.resampling})
        if self.intensity_range is not None:
            steps.append({"name": "rescale_intensity", "range": list(self.intensity_range)})
        return steps
