"""What one look at a model says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from likeness._findings import VerdictCode


@dataclass(frozen=True)
class CopyFound:
    """A sample that is listed as a copy."""

    sample: int
    """Its place among the images given, from 0."""
    image_id: str
    """The training image that it copies."""
    patient_id: str
    correlation: float
    """Highest r of the sample at full size, over all channels, flips and quarter turns."""
    p_value: float
    identical: bool
    """Whether all pixels are equal."""
    confirmed: bool
    """Whether it is listed at the stricter level of `Check.stop_level` too."""


@dataclass(frozen=True)
class Check:
    """One look at a model: what its samples have in common with the training images."""

    step: int
    look: int
    """How many looks there were, this one included."""
    loss: float | None
    num_samples: int
    num_judged: int
    """Samples that are not constant."""
    verdict: VerdictCode
    """That of `likeness.audit` for these samples."""
    reasons: tuple[str, ...]
    copies: tuple[CopyFound, ...]
    """The samples that `likeness.audit` lists."""
    copy_rate: float
    copy_rate_low: float
    """95 % interval (Clopper-Pearson)."""
    copy_rate_high: float
    mean_highest: float | None
    """Mean over the samples of the highest Pearson r with a training image, over all compared
    channels, at full size, without flips; None without a sample that varies."""
    mean_highest_test: float | None
    """The same with test images. Fewer patients give a lower mean."""
    baseline: float | None
    """The same of test images with training images; None without a usable test image."""
    baseline_low: float | None
    """95 % interval of `baseline`, from resampled test patients."""
    baseline_high: float | None
    stop_level: float
    """False discovery rate of this look in the decision to stop: q / (look (look + 1)), whose sum
    over all looks is at most q."""
    images_sha256: str
    """Of the samples."""

    @property
    def num_copies(self) -> int:
        """Samples that are listed as copies."""
        return len(self.copies)

    @property
    def num_confirmed(self) -> int:
        """Copies that count for the decision to stop."""
        return sum(copy.confirmed for copy in self.copies)

    @property
    def should_stop(self) -> bool:
        """Whether copies were found, several looks taken into account."""
        return self.verdict == "COPIES_FOUND" and self.num_confirmed > 0

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Check:
        """Make it of what `as_record` gave.

        Raises
        ------
        KeyError, TypeError
            If it is something else.
        """
        values = {field.name: record[field.name] for field in fields(cls)}
        values["copies"] = tuple(CopyFound(**copy) for copy in values["copies"])
        values["reasons"] = tuple(values["reasons"])
        return cls(**values)

    def summary(self) -> str:
        """Return one line for people."""
        reached = "no sample varies"
        if self.mean_highest is not None:
            reached = f"mean highest r {self.mean_highest:.3f}"
            if self.baseline is not None:
                reached += f" (test images {self.baseline:.3f})"
        return (
            f"step {self.step}: {self.num_copies} of {self.num_samples} samples are copies, "
            f"{reached}; {self.verdict}"
        )
