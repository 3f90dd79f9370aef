"""`likeness measures`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from likeness._files import atomic_write
from likeness.cli._console import say
from likeness.cli._options import Output, names_from
from likeness.errors import OptionError, OutputError

if TYPE_CHECKING:
    from likeness.metrics.features import FeatureExtractor

_LONG_SECONDS = 24 * 3600.0
_SMALL_MATRIX = 1_000_000
"""Pairs up to which every value is written, not the highest alone."""
_AUTOENCODER = "autoencoder:"


def measures(
    *,
    queries: Path,
    references: Path,
    out: Path,
    measure: str = "correlation,ssim,mutual-information",
    matrix: Annotated[bool, Parameter(negative="")] = False,
    long: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Compare small sets by the dearer measures: the most similar reference of every query.

    No verdict: which value is high differs from collection to collection. See docs/measures.md.

    Parameters
    ----------
    queries, references
        Image sets that `likeness prepare` made, of the same shape and channels. Annotation
        channels are left out.
    out
        Parquet file: a row for each query and measure.
    measure
        correlation, ssim, mutual-information, autoencoder:FOLDER, or several of them.
    matrix
        Write a row for each pair instead; up to a million pairs.
    long
        Begin even if it will take more than a day.
    overwrite
        Replace --out.
    dry_run
        Measure a few pairs and forecast the time; write nothing.
    """
    from likeness.datasets import ImageSet
    from likeness.metrics.pairwise import forecast_seconds, measure_pairs

    if out.exists() and not overwrite:
        msg = f"{str(out)!r} exists. Choose another --out, or give --overwrite to replace it."
        raise OutputError(msg)
    chosen = _chosen(measure)
    first, second = ImageSet.open(queries), ImageSet.open(references)
    pairs = len(first) * len(second)
    if matrix and pairs > _SMALL_MATRIX:
        msg = f"--matrix writes up to {_SMALL_MATRIX:,} pairs; these are {pairs:,}."
        raise OptionError(msg)
    seconds = {name: forecast_seconds(first, second, one) for name, one in chosen.items()}
    total = sum(seconds.values())
    if dry_run:
        told = {"pairs": pairs, "seconds": seconds, "total_seconds": total}
        if output.json:
            say(json_module.dumps(told, indent=2, sort_keys=True))
        else:
            say(
                f"{pairs:,} pairs: {_duration(total)}",
                *(f"  {name:<19} {_duration(value)}" for name, value in seconds.items()),
                "nothing was written",
            )
        return 0
    if total > _LONG_SECONDS and not long:
        msg = (
            f"{pairs:,} pairs would take {_duration(total)} here, going by a few that were "
            "measured. Take fewer images or measures, or give --long."
        )
        raise OptionError(msg)
    progress = output.make_progress()
    columns: dict[str, list[Any]] = {
        name: [] for name in ("query_id", "measure", "reference_id", "value")
    }
    means: dict[str, float | None] = {}
    for name, one in chosen.items():
        values = measure_pairs(first, second, one, progress=progress)
        means[name] = _add(columns, name, values, first.image_ids, second.image_ids, matrix=matrix)
    _write(out, columns)
    if output.json:
        told = {"pairs": pairs, "mean_highest": means, "out": str(out)}
        say(json_module.dumps(told, indent=2, sort_keys=True))
    else:
        say(
            f"compared   {len(first):,} queries with {len(second):,} references",
            *(
                f"  {name:<19} mean highest {'not defined' if mean is None else f'{mean:.4f}'}"
                for name, mean in means.items()
            ),
            f"wrote      {out}",
        )
    return 0


def _chosen(text: str) -> dict[str, str | FeatureExtractor]:
    from likeness.metrics.pairwise import PIXEL_MEASURES

    chosen: dict[str, str | FeatureExtractor] = {}
    for word in names_from(text) or ():
        name = "autoencoder" if word.startswith(_AUTOENCODER) else word
        if name in chosen:
            msg = f"--measure names {name} twice."
            raise OptionError(msg)
        if name == word and name not in PIXEL_MEASURES:
            known = ", ".join((*PIXEL_MEASURES, "autoencoder:FOLDER"))
            msg = f"--measure has {word!r}; choose from {known}."
            raise OptionError(msg)
        if name == word:
            chosen[name] = word
        else:
            from likeness.metrics.autoencoder import open_autoencoder

            chosen[name] = open_autoencoder(word.removeprefix(_AUTOENCODER))
    if not chosen:
        msg = "--measure is empty."
        raise OptionError(msg)
    return chosen


def _add(
    columns: dict[str, list[Any]],
    name: str,
    values: Any,  # noqa: ANN401 - numpy is loaded with the measures
    query_ids: tuple[str, ...],
    reference_ids: tuple[str, ...],
    *,
    matrix: bool,
) -> float | None:
    """Add the rows of one measure; return the mean of the highest values."""
    import numpy as np

    from likeness.metrics.pairwise import most_similar

    best = most_similar(values)
    for row, query in enumerate(query_ids):
        places = range(len(reference_ids)) if matrix else [int(best.reference[row])]
        for place in places:
            value = float(values[row, place]) if place >= 0 else float("nan")
            columns["query_id"].append(query)
            columns["measure"].append(name)
            columns["reference_id"].append(reference_ids[place] if place >= 0 else None)
            columns["value"].append(None if np.isnan(value) else value)
    defined = best.value[~np.isnan(best.value)]
    return float(defined.mean()) if len(defined) else None


def _write(out: Path, columns: dict[str, list[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [(name, pa.float64() if name == "value" else pa.string()) for name in columns],
        metadata={"format_name": "likeness-measures", "format_version": "1"},
    )
    with atomic_write(out, private=True) as stream:
        pq.write_table(pa.table(columns, schema=schema), stream)


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"about {seconds / size:.1f} {unit}"
    return f"about {seconds:.1f} s"
