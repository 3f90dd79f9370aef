"""The result of `likeness.evaluate`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from likeness._files import make_folder, write_json
from likeness.metrics.measures import Measure

FORMAT: Final = "likeness-evaluation"
VERSION: Final = 1
FILE: Final = "evaluation.json"

Compared = Literal["synthetic", "test", "synthetic_matched"]


@dataclass(frozen=True)
class Measurement:
    """One number with its sample sizes and its interval."""

    measure: Measure
    compared: Compared
    """What was held against the real images: the synthetic images; held-out ones (``test``, the
    baseline); or as many synthetic images as there are held-out ones (``synthetic_matched``)."""
    features: str
    """Name of the extractor."""
    channel: str
    """Name of the channel; ``all`` for all together, ``mean`` for the mean over the channels."""
    value: float | None
    """None where it is not defined; `note` says why."""
    low: float | None
    """Lower end of the 95 % interval; None without a bootstrap."""
    high: float | None
    draws: int
    """Of the bootstrap, behind the interval."""
    interval: str | None
    """``centred quantiles`` or, of few draws, ``normal``."""
    num_real: int
    num_compared: int
    num_features: int
    deviation: float | None
    """Of the inception score over its ten splits."""
    note: str | None


@dataclass(frozen=True)
class Evaluation:
    """How good a set of synthetic images is, as a set. No verdict on copies: see `audit`."""

    measurements: tuple[Measurement, ...]
    sets: dict[str, dict[str, Any]]
    """Per role: images, patients (None if unknown), shape, fingerprint, files left out."""
    features: tuple[dict[str, Any], ...]
    """Per extractor: its name, how the channels were passed, and what it is."""
    channels: tuple[str, ...]
    channels_left_out: tuple[str, ...]
    settings: dict[str, Any]
    warnings: tuple[str, ...]
    """What a reader of the numbers must know."""
    software: dict[str, str]

    def find(
        self,
        measure: Measure,
        *,
        features: str | None = None,
        compared: Compared = "synthetic",
        channel: str | None = None,
    ) -> Measurement:
        """Return one measurement.

        Parameters
        ----------
        measure
            For example ``frechet_distance``.
        features
            Name of the extractor; None for the first.
        compared
            What was held against the real images.
        channel
            None for the mean over the channels, or what there is if there is no mean.

        Raises
        ------
        KeyError
            If there is no such measurement.
        """
        name = self.features[0]["name"] if features is None else features
        found = [
            one
            for one in self.measurements
            if (one.measure, one.features, one.compared) == (measure, name, compared)
            and channel in (None, one.channel)
        ]
        if not found:
            msg = f"no {measure} of {compared} images with the features {name!r}"
            raise KeyError(msg)
        return next((one for one in found if one.channel == "mean"), found[0])

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"format_name": FORMAT, "format_version": VERSION, **asdict(self)}

    def write(self, folder: Path | str) -> Path:
        """Write ``evaluation.json`` into a folder, which is made, and return its path.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        path = Path(folder) / FILE
        make_folder(path.parent)
        write_json(path, self.to_json())
        return path
