"""What "alike" means for one pair of images.

Pure functions of arrays, without files and without state:

- `pearson`: the definition of record of the two correlations, `correlation` (all pixels of all
  channels as one vector) and `correlation_mean` (the mean over channels), at full size and at block
  means. The search must give the very same numbers, bit for bit.
- `blocks`: block means on a grid, and the exact integers behind them.
- `transforms`: the eight flips and quarter turns.

What it does not do: it never compares sets (see `likeness.search`) and never decides what is a copy
(see `likeness.calibration`).
"""

from likeness.similarity.blocks import block_means
from likeness.similarity.pearson import (
    block_correlation,
    block_correlation_mean,
    correlation,
    correlation_mean,
    correlation_per_channel,
)
from likeness.similarity.transforms import (
    apply_transform,
    compose_transforms,
    inverse_transform,
    possible_transforms,
)

__all__ = [
    "apply_transform",
    "block_correlation",
    "block_correlation_mean",
    "block_means",
    "compose_transforms",
    "correlation",
    "correlation_mean",
    "correlation_per_channel",
    "inverse_transform",
    "possible_transforms",
]
