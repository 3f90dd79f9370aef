"""Exact search for the most correlated images: which reference is each query closest to?

In: queries (n, C, H, W) and references (m, C, H, W), any size, read piece by piece from an
`ImageSource`. Out: a `SearchResult`.

    references --read--> tiles --prepare--+
                                          +--> all pairs x 8 transforms --> r_cat, r_ch --> lists
    queries ----read--> transform, pack --+

For every query the search keeps the most correlated images and the best image of the most
correlated patients, each by two definitions of the correlation that come out of the same products
(see `likeness.similarity.pearson`). Every query is also tried flipped and turned; a match names
what, applied to the query, lays it on the reference.

Exact means: what is returned is what the definition of record gives for every single pair. 8-bit
images are compared in integers. For other types float32 only proposes, with a written bound of its
error, and float64 decides. Ties go to the lower reference index, then to the earlier transform. So
the result depends on the images and `SearchOptions` alone, bit for bit: not on memory, threads,
engine, the order of the work, or a kill in between.

Images whose compared channels are all constant have no correlation: they are listed, never ranked.

What it does not do: it decides nothing (see `likeness.calibration`), and it does not search for
shifted, rotated or partial copies.
"""

from likeness.search.engines import Engine, EngineChoice, available_engines, choose_engine
from likeness.search.exact import search
from likeness.search.matches import matches_table, write_matches
from likeness.search.options import SearchOptions
from likeness.search.plan import SearchPlan, plan_search
from likeness.search.result import SearchResult, TopImages, TopPatients
from likeness.search.source import ImageSource

__all__ = [
    "Engine",
    "EngineChoice",
    "ImageSource",
    "SearchOptions",
    "SearchPlan",
    "SearchResult",
    "TopImages",
    "TopPatients",
    "available_engines",
    "choose_engine",
    "matches_table",
    "plan_search",
    "search",
    "write_matches",
]
