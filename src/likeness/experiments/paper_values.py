"""The numbers that the paper prints: Akbar, Wang and Eklund 2025, tables 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from likeness.experiments.configurations import Model, Size


@dataclass(frozen=True)
class PaperRow:
    """A row of table 2."""

    fid: float
    inception_score: float
    correlation: float
    """Mean highest correlation of 1,000 synthetic images with the training images."""


TABLE_2: Final[Mapping[tuple[str, Model], PaperRow]] = MappingProxyType(
    {
        ("BRATS20", "ddpm"): PaperRow(15.85417, 2.35191, 0.98510),
        ("BRATS20", "stylegan3"): PaperRow(44.85624, 2.34184, 0.93037),
        ("BRATS21", "ddpm"): PaperRow(27.54855, 2.35156, 0.95718),
        ("BRATS21", "stylegan3"): PaperRow(25.34607, 2.34360, 0.91907),
        ("CXR-5216", "ddpm"): PaperRow(53.81866, 2.32937, 0.85346),
        ("CXR-5216", "stylegan3"): PaperRow(33.14418, 2.34287, 0.84356),
        ("CXR-1300", "ddpm"): PaperRow(57.45322, 2.05646, 0.87895),
        ("CXR-1300", "stylegan3"): PaperRow(54.68277, 2.41764, 0.83847),
    }
)

TABLE_3: Final[Mapping[tuple[str, Model, Size], float]] = MappingProxyType(
    {
        ("CXR-1300", "ddpm", "small"): 0.86363,
        ("CXR-1300", "ddpm", "medium"): 0.87895,
        ("CXR-1300", "ddpm", "large"): 0.88519,
        ("CXR-1300", "stylegan3", "small"): 0.85299,
        ("CXR-1300", "stylegan3", "medium"): 0.83847,
        ("CXR-1300", "stylegan3", "large"): 0.84336,
        # The paper notes that this model's images are poor.
        ("BRATS20", "ddpm", "small"): 0.66744,
        ("BRATS20", "ddpm", "medium"): 0.98510,
        ("BRATS20", "ddpm", "large"): 0.97731,
        ("BRATS20", "stylegan3", "small"): 0.94756,
        ("BRATS20", "stylegan3", "medium"): 0.93037,
        ("BRATS20", "stylegan3", "large"): 0.92639,
    }
)
