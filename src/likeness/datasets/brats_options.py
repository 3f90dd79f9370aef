"""How BraTS volumes are cut into slices: the options, the paper's rules being their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from likeness.datasets.options import SourceOptions
from likeness.datasets.transforms import Resampling
from likeness.errors import OptionError

Scaling: TypeAlias = Literal["quantile", "maximum", "none"]
Missing: TypeAlias = Literal["skip", "zero"]

PAPER_LABELS: Final = {1: 51, 2: 102, 3: 204, 4: 204}
"""Labels of the annotation -> intensity. The paper has 1, 2, 4; since 2023 the enhancing tumour is
3 instead of 4. A volume with both is refused."""


@dataclass(frozen=True, kw_only=True)
class BratsOptions(SourceOptions):
    """How `prepare_brats` cuts volumes. The defaults are the paper's rules.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    channels: tuple[str, ...] | None = None
    """Sequences in order, for example ``("t1", "flair", "t1ce", "seg")``; None for
    t1, t2, flair, t1ce, and seg if any patient has it."""
    size: int = 256
    """Rows and columns after padding with zeros. At least 1."""
    resize: int | None = None
    """Rows and columns that the padded slices are then resized to; None leaves them. At least 1.
    An annotation takes the nearest label, pictures are resized by `resampling`."""
    resampling: Resampling = "bicubic"
    """Filter for resizing."""
    scaling: Scaling = "quantile"
    """What becomes 255 in each volume of a sequence: the `quantile` of all its voxels, its
    ``maximum``, or nothing changes (``none``: the volume must hold whole numbers 0..255)."""
    quantile: float = 0.999
    """In (0, 1]."""
    foreground_channel: str = "mean"
    """Sequence that the foreground rule looks at, or ``mean`` of all sequences but annotations."""
    foreground_threshold: float = 50.0
    """Intensity that a foreground pixel exceeds."""
    min_foreground: float = 0.15
    """Smallest share of foreground pixels in a slice before padding, in [0, 1]."""
    foreground_on: Literal["scaled", "raw"] = "scaled"
    """Whether the rule sees the intensities after or before scaling."""
    labels: dict[int, int] | None = None
    """Label of the annotation -> intensity 0..255; None for `PAPER_LABELS`."""
    missing_sequence: Missing = "skip"
    """A patient without one of the sequences is left out, or gets zeros with a note."""
    missing_annotation: Missing = "zero"
    """The same for a patient without annotation."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        checks = (
            ("--size", self.size, self.size >= 1, "at least 1"),
            ("--resize", self.resize, self.resize is None or self.resize >= 1, "at least 1"),
            (
                "--resampling",
                self.resampling,
                self.resampling in get_args(Resampling),
                f"one of {', '.join(get_args(Resampling))}",
            ),
            ("--quantile", self.quantile, 0 < self.quantile <= 1, "more than 0 and at most 1"),
            ("--min-foreground", self.min_foreground, 0 <= self.min_foreground <= 1, "0 to 1"),
            (
                "--scaling",
                self.scaling,
                self.scaling in get_args(Scaling),
                "quantile, maximum or none",
            ),
            (
                "--foreground-on",
                self.foreground_on,
                self.foreground_on in ("scaled", "raw"),
                "scaled or raw",
            ),
            (
                "--missing-sequence",
                self.missing_sequence,
                self.missing_sequence in get_args(Missing),
                "skip or zero",
            ),
            (
                "--missing-annotation",
                self.missing_annotation,
                self.missing_annotation in get_args(Missing),
                "skip or zero",
            ),
        )
        for flag, value, fine, expected in checks:
            if not fine:
                msg = f"{flag} is {value!r}; expected {expected}."
                raise OptionError(msg)
        for label, intensity in (self.labels or {}).items():
            if not 0 <= intensity <= 255:
                msg = f"--labels maps {label} to {intensity}; expected 0 to 255."
                raise OptionError(msg)
        if self.channels is not None and self.foreground_channel not in ("mean", *self.channels):
            msg = (
                f"--foreground-channel is {self.foreground_channel!r}; expected 'mean' or one of "
                f"{', '.join(self.channels)}."
            )
            raise OptionError(msg)
