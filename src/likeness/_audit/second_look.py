"""A closer look at the nearest training images of the worst pairs, by other measures.

Correlation chose the twenty nearest training images of each synthetic image. Structural similarity,
normalised mutual information, the correlation within the foreground and of the fine structure, the
relative residual and, if the caller has one, a learned feature put them in an order of their own.
Nothing is decided on it: a copy that all measures point to is easier to believe.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from likeness.scores.second_stage import Encoder, Row, rerank
from likeness.search._threads import count_threads
from likeness.similarity import apply_transform
from likeness.types import Transform

if TYPE_CHECKING:
    from likeness._audit.evidence import Pair
    from likeness._audit.saved_results import SavedResults
    from likeness._progress import Progress
    from likeness.datasets import ImageSet
    from likeness.search import SearchResult

CANDIDATES = 20
"""Training images that are looked at for each synthetic image."""
_COLUMNS = (
    "structural_similarity",
    "mutual_information",
    "masked_correlation",
    "high_pass_correlation",
    "relative_residual",
    "inverted",
    "learned",
)


def second_look(
    pairs: list[Pair],
    rows: np.ndarray,
    synthetic: ImageSet,
    train: ImageSet,
    channels: tuple[int, ...],
    result: SearchResult,
    *,
    data_range: float | None,
    most: int,
    encoder: Encoder | None,
    threads: int | None,
    saved: SavedResults,
    progress: Progress,
) -> pa.Table:
    """Measure the nearest training images of the worst pairs, and note how the match fares.

    Each record gets `structural_rank`, the place of the matched image by structural similarity, and
    `structural_candidates`, among how many.

    Parameters
    ----------
    pairs, rows
        The pairs that are shown and the row of the synthetic image of each.
    most
        Pairs that are looked at, the first ones: the measures cost a hundred times a product.
    result
        The search synthetic -> train; its most correlated images are the candidates, after the
        matched one.
    data_range
        For structural similarity; None for that of the integer type.
    encoder
        For the column `learned`; see `likeness.scores.second_stage` for its dangers. What it gives
        is not saved: nobody knows what it depends on.
    saved
        Where pairs that were looked at before are found.

    Returns
    -------
    Table
        One row per pair and candidate: `image_id, reference_id, is_match, rank, rank_second` and
        the measures, all in the orientation of the match.
    """
    found: dict[str, list[Any]] = {
        name: []
        for name in ("image_id", "reference_id", "is_match", "rank", "rank_second", *_COLUMNS)
    }

    def look(number: int) -> list[Row]:
        pair, row = pairs[number], int(rows[number])
        nearest = result.top.reference_index[row]
        others = [int(index) for index in nearest if index >= 0 and index != pair.match]
        indices = [pair.match, *others][:CANDIDATES]
        turn: Transform = pair.record["transform"]
        key = saved.key("second look", row, indices, turn)
        known = None if encoder else saved.load(key)
        if known is not None:
            rows_of: list[Row] = known[0]
            return rows_of
        query = apply_transform(synthetic.take([row])[0][list(channels)], turn)
        references = train.take(indices)[:, list(channels)]
        looked = rerank(query, references, indices=indices, data_range=data_range, encoder=encoder)
        if not encoder:
            saved.save(key, looked)
        return looked

    count = min(most, len(pairs))
    with (
        # An encoder need not bear several threads.
        ThreadPoolExecutor(1 if encoder else count_threads(threads)) as pool,
        progress.task("second look", count, unit="pairs") as task,
    ):
        for pair, looked in zip(pairs, pool.map(look, range(count)), strict=False):
            for measured in looked:
                is_match = measured["index"] == pair.match
                if is_match:
                    pair.record["structural_rank"] = measured["rank_second"]
                    pair.record["structural_candidates"] = len(looked)
                found["image_id"].append(pair.record["image_id"])
                found["reference_id"].append(train.image_ids[int(measured["index"] or 0)])
                found["is_match"].append(is_match)
                for name in ("rank", "rank_second", *_COLUMNS):
                    found[name].append(measured[name])
            task.advance()
    types = {
        "image_id": pa.string(),
        "reference_id": pa.string(),
        "is_match": pa.bool_(),
        "rank": pa.int64(),
        "rank_second": pa.int64(),
        "inverted": pa.bool_(),
    }
    return pa.table(
        {name: pa.array(values, types.get(name, pa.float64())) for name, values in found.items()}
    )
