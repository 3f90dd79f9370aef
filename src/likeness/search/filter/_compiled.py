"""All compiled functions; importing this imports Numba."""

from likeness.search.filter._bounding import combine, kth_estimates, select, select_again
from likeness.search.filter._byte_products import WIDE, pair_products, self_test
from likeness.search.filter._rounding import fold, round_band, round_low

__all__ = [
    "WIDE",
    "combine",
    "fold",
    "kth_estimates",
    "pair_products",
    "round_band",
    "round_low",
    "select",
    "select_again",
    "self_test",
]
