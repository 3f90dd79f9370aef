"""What "alike" means for one pair of images.

Pure functions of arrays, without files and without state:

- `pearson`: the definition of record of the two correlations, `correlation` (all pixels of all
  channels as one vector) and `correlation_mean` (the mean over channels), at full size and at block
  means. The search must give the very same numbers, bit for bit.
- `blocks`: block means on a grid, and the exact integers behind them.
- `transforms`: the eight flips and quarter turns.
- `structural`, `information`, `masked`, `residual`, `high_pass`: other measures of a few pairs that
  are already suspected, as evidence. No decision rests on them.

What it does not do: it never compares sets (see `likeness.search`) and never decides what is a copy
(see `likeness.calibration`).
"""

from likeness.similarity.blocks import block_means
from likeness.similarity.high_pass import high_pass_correlation
from likeness.similarity.information import normalized_mutual_information
from likeness.similarity.masked import foreground, masked_correlation
from likeness.similarity.pearson import (
    block_correlation,
    block_correlation_mean,
    correlation,
    correlation_mean,
    correlation_per_channel,
)
from likeness.similarity.residual import IntensityFit, intensity_fit
from likeness.similarity.structural import structural_similarity
from likeness.similarity.transforms import (
    apply_transform,
    compose_transforms,
    inverse_transform,
    possible_transforms,
)

__all__ = [
    "IntensityFit",
    "apply_transform",
    "block_correlation",
    "block_correlation_mean",
    "block_means",
    "compose_transforms",
    "correlation",
    "correlation_mean",
    "correlation_per_channel",
    "foreground",
    "high_pass_correlation",
    "intensity_fit",
    "inverse_transform",
    "masked_correlation",
    "normalized_mutual_information",
    "possible_transforms",
    "structural_similarity",
]
