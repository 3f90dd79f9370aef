"""All compiled functions; importing this imports Numba."""

from likeness.search.filter._bounding import (
    bound_channels,
    combine,
    kth_estimates,
    narrow,
    select,
    select_again,
)
from likeness.search.filter._byte_products import WIDE, pair_products, self_test
from likeness.search.filter._rounding import fold, round_band, round_low

__all__ = [
    "WIDE",
    "bound_channels",
    "combine",
    "fold",
    "kth_estimates",
    "narrow",
    "pair_products",
    "round_band",
    "round_low",
    "select",
    "select_again",
    "self_test",
]
