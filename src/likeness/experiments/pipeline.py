"""All stages of a configuration, from files to tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from likeness._files import hash_of_json, make_folder, sha256_of_file, write_bytes, write_text
from likeness.errors import OptionError
from likeness.experiments.comparing import baseline_stage, compare_stage
from likeness.experiments.configurations import Configuration
from likeness.experiments.generating import sample_stage, train_stage
from likeness.experiments.images import choose_stage, prepare_stage
from likeness.experiments.judging import audit_stage, evaluate_stage
from likeness.experiments.results import Results, gather
from likeness.experiments.rules import compare_all
from likeness.experiments.stages import Stage, Status, Task
from likeness.experiments.tables import Table, findings_table, table_2, table_3

TABLES: Final[Mapping[str, Callable[[Results], Table]]] = {
    "table2": table_2,
    "table3": table_3,
    "findings": lambda results: findings_table(results, compare_all(results)),
}
FIGURES: Final = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "curve")
TARGETS: Final = (*TABLES, *FIGURES)


def build_stages(
    configuration: Configuration,
    sources: Mapping[str, Path] | None,
    *,
    jobs: int = 1,
    inception: Path | None = None,
    left_out: tuple[str, ...] = (),
) -> list[Stage]:
    """Return the stages of a configuration, each after those that it needs.

    Parameters
    ----------
    configuration
        From `configurations.find_configuration`.
    sources
        From `sources.find_sources`; None: artificial patients.
    jobs
        Processes that decode files.
    inception
        Weights of the network of FID; None: no FID and no inception score.
    left_out
        Names of runs that are not to be run; tables say so.

    Raises
    ------
    OptionError
        If there is no such run.
    """
    known = {run.name for run in configuration.runs}
    strange = set(left_out) - known
    if strange:
        msg = f"No run is called {', '.join(sorted(strange))}. Runs: {', '.join(sorted(known))}."
        raise OptionError(msg)
    runs = [run for run in configuration.runs if run.name not in left_out]
    used = [data for data in configuration.data if any(run.data == data.name for run in runs)]
    names = {data.source for data in used}
    stages = [
        prepare_stage(configuration, name, None if sources is None else sources[name], jobs=jobs)
        for name in configuration.sources
        if name in names
    ]
    stages += [choose_stage(data) for data in used]
    stages += [baseline_stage(data) for data in used]
    for run in runs:
        stages.append(train_stage(configuration, run))
        stages.append(sample_stage(configuration, run))
        stages.append(compare_stage(configuration, run))
        stages.append(evaluate_stage(configuration, run, inception))
        stages.append(audit_stage(configuration, run))
        for seen in run.snapshots:
            if seen != run.images:
                stages.append(sample_stage(configuration, run, seen))
                stages.append(compare_stage(configuration, run, seen))
    made = tuple(stage.name for stage in stages)
    for name, function in TABLES.items():
        stages.append(_table_stage(configuration, name, function, made, left_out))
    for name in FIGURES:
        stages.append(_figure_stage(configuration, name, made, left_out))
    return stages


def publish(statuses: list[Status], out: Path) -> list[Path]:
    """Copy finished tables and figures into ``OUT/results`` and return their paths."""
    published = []
    target = out / "results"
    for one in statuses:
        if one.stage.name.partition("/")[0] in ("table", "figure") and one.state == "done":
            make_folder(target)
            for path in sorted(one.folder.iterdir()) if one.folder else ():
                if path.is_file() and not path.name.startswith("."):
                    write_bytes(target / path.name, path.read_bytes())
                    published.append(target / path.name)
    return published


def _table_stage(
    configuration: Configuration,
    name: str,
    function: Callable[[Results], Table],
    needs: tuple[str, ...],
    left_out: tuple[str, ...],
) -> Stage:
    def work(task: Task) -> str:
        table = function(gather(configuration, task.needed, left_out))
        write_text(task.folder / f"{name}.md", table.to_markdown())
        write_text(task.folder / f"{name}.csv", table.to_csv())
        return _digest(task.folder)

    return Stage(f"table/{name}", _about(left_out), work, needs, ("likeness",))


def _figure_stage(
    configuration: Configuration, name: str, needs: tuple[str, ...], left_out: tuple[str, ...]
) -> Stage:
    def work(task: Task) -> str:
        from likeness.experiments.drawing import draw

        draw(name, gather(configuration, task.needed, left_out), task.needed, task.folder / name)
        return _digest(task.folder)

    return Stage(f"figure/{name}", _about(left_out), work, needs, ("likeness", "matplotlib"))


def _about(left_out: tuple[str, ...]) -> dict[str, Any]:
    return {"left_out": sorted(left_out)}


def _digest(folder: Path) -> str:
    return hash_of_json(
        {path.name: sha256_of_file(path) for path in sorted(folder.iterdir()) if path.is_file()}
    )
