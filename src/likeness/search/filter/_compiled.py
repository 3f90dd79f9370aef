"""All compiled functions; importing this imports Numba."""

from likeness.search.filter._bounding import (
    add_band,
    bound_channels,
    combine,
    kth_values,
    list_likely,
    narrow,
    select,
    select_again,
)
from likeness.search.filter._byte_products import WIDE, pair_products, self_test
from likeness.search.filter._rounding import fold, round_band, round_low

__all__ = [
    "WIDE",
    "add_band",
    "bound_channels",
    "combine",
    "fold",
    "kth_values",
    "list_likely",
    "narrow",
    "pair_products",
    "round_band",
    "round_low",
    "select",
    "select_again",
    "self_test",
]
