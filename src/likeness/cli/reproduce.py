"""`likeness reproduce`."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from likeness.cli._console import remark, say
from likeness.cli._options import Output, names_from
from likeness.errors import OptionError

if TYPE_CHECKING:
    from likeness.experiments.configurations import Configuration
    from likeness.experiments.stages import Stage, Status

INTERRUPTED = 130


def reproduce(
    *targets: str,
    out: Path,
    data: Path | None = None,
    configuration: str | None = None,
    only: str | None = None,
    leave_out: str | None = None,
    inception_weights: Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    list_stages: Annotated[bool, Parameter(name="--list", negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Run the paper's experiments again: prepare, train, sample, audit, evaluate, tables, figures.

    Every stage that is done is skipped as long as its inputs, settings and library versions are
    the same; an interrupted stage goes on where it stopped. Tables and figures lie in OUT/results.
    The figures show training images: they are not to be shared.

    Parameters
    ----------
    targets
        table2, table3, findings, fig1 to fig6, curve; or the name of a configuration for all of
        them: tiny, small-cpu, small, paper.
    out
        Folder for everything.
    data
        Folder that holds the collections, for example BraTS2020/, BraTS2021/ and chest_xray/ or
        lgg/ and cxr/. The configuration tiny makes artificial patients without it.
    configuration
        What is run: tiny, small-cpu, small or paper. By default paper.
    only
        Stop after these stages, for example train or audit/cxr-1300-ddpm-medium-0; several by
        comma, * matches anything.
    leave_out
        Runs that are not to be run, by comma; tables say so.
    inception_weights
        Weights of the network of FID and inception score, a file such as
        pt_inception-2015-12-05-6726825d.pth. Without it the tables have no FID.
    device
        auto, cpu, cuda, cuda:1 and so on.
    jobs
        Processes that decode files.
    list_stages
        Say which stages are done; try nothing.
    dry_run
        The same, and forecast training and sampling from a few steps of each network.
    """
    from likeness._devices import device_named
    from likeness.experiments.configurations import find_configuration
    from likeness.experiments.pipeline import build_stages, publish
    from likeness.experiments.sources import find_sources
    from likeness.experiments.stages import Interrupted, choose, run_stages, status
    from likeness.generators.models import need_extra

    name, wanted = _understood(targets, configuration)
    chosen = find_configuration(name)
    if jobs < 1:
        msg = f"--jobs must be at least 1, not {jobs}."
        raise OptionError(msg)
    if data is None and name != "tiny":
        msg = (
            f"The configuration {name!r} needs --data, the folder that holds "
            f"{', '.join(chosen.sources)}. `likeness reproduce tiny` needs no data."
        )
        raise OptionError(msg)
    need_extra()
    stages = build_stages(
        chosen,
        None if data is None else find_sources(chosen, data),
        jobs=jobs,
        inception=inception_weights,
        left_out=names_from(leave_out) or (),
    )
    stages = choose(stages, names_from(only) or wanted)
    if dry_run or list_stages:
        known = status(stages, out)
        remark_progress = output.make_progress()
        forecast = (
            _forecast(chosen, known, device_named(device), remark_progress) if dry_run else {}
        )
        _show_plan(chosen, known, forecast, output, tried=dry_run)
        return 0
    if not output.quiet:
        for limit in chosen.limits:
            remark(f"limit: {limit}")
    try:
        found = run_stages(
            stages, out, device=device_named(device), progress=output.make_progress()
        )
    except Interrupted as stopped:
        remark(f"{stopped} The same command goes on.")
        return INTERRUPTED
    published = publish(found, out)
    if output.json:
        say(json_module.dumps(_as_json(found, published), indent=2, sort_keys=True))
        return 0
    say(*_lines(found, published))
    tables = [path for path in published if path.suffix == ".md"]
    shown = tables[-1] if tables else out
    say(f"next       open {shlex.quote(str(shown))}")
    return 0


def _understood(targets: tuple[str, ...], configuration: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the name of the configuration, and patterns of the last stages."""
    from likeness.experiments.configurations import CONFIGURATIONS
    from likeness.experiments.pipeline import TABLES, TARGETS

    everything = tuple(f"{'table' if one in TABLES else 'figure'}/{one}" for one in TARGETS)
    named = [one for one in targets if one in CONFIGURATIONS]
    artefacts = [one for one in targets if one in TARGETS]
    strange = [one for one in targets if one not in (*named, *artefacts)]
    if strange or not targets or len({*named, *([configuration] if configuration else [])}) > 1:
        problem = f"{strange[0]!r} is unknown" if strange else "the targets do not go together"
        if not targets:
            problem = "nothing is asked for"
        msg = (
            f"{problem[0].upper()}{problem[1:]}. Give one configuration "
            f"({', '.join(CONFIGURATIONS)}), or any of {', '.join(TARGETS)} with --configuration."
        )
        raise OptionError(msg)
    name = configuration or (named[0] if named else "paper")
    if not artefacts:
        return name, everything
    return name, tuple(f"{'table' if one in TABLES else 'figure'}/{one}" for one in artefacts)


def _forecast(
    configuration: Configuration,
    known: list[Status],
    device: str,
    progress: Any,  # noqa: ANN401
) -> dict[str, float]:
    from likeness.experiments.forecast import Forecast

    runs = {run.name: run for run in configuration.runs}
    forecast = Forecast(configuration, device)
    seconds = {}
    todo = [one.stage for one in known if one.state == "to do"]
    with progress.task("try networks", len(todo), unit="stages") as task:
        for stage in todo:
            kind, _, name = stage.name.partition("/")
            if kind == "train":
                seconds[stage.name] = forecast.training_seconds(runs[name])
            elif kind == "sample":
                run = runs[name.partition("-at-")[0]]
                seconds[stage.name] = forecast.sampling_seconds(run, stage.settings["number"])
            task.advance()
    return seconds


def _show_plan(
    configuration: Configuration,
    known: list[Status],
    forecast: dict[str, float],
    output: Output,
    *,
    tried: bool,
) -> None:
    if output.json:
        stages = [
            {
                "stage": one.stage.name,
                "state": one.state,
                "seconds": one.seconds if one.state == "done" else forecast.get(one.stage.name),
            }
            for one in known
        ]
        told = {"configuration": configuration.name, "stages": stages}
        say(json_module.dumps(told, indent=2, sort_keys=True))
        return
    say(f"{configuration.name}: {configuration.description}")
    for one in known:
        time = ""
        if one.state == "done":
            time = f"took {_duration(one.seconds or 0)}"
        elif one.stage.name in forecast:
            time = f"about {_duration(forecast[one.stage.name])}"
        say(f"{one.state:6} {one.stage.name:45} {time}".rstrip())
    say(*(f"limit: {limit}" for limit in configuration.limits))
    if tried:
        say(
            f"time       about {_duration(sum(forecast.values()))} for training and sampling, from "
            "a few steps of each network on this machine; the other stages are not forecast"
        )
    say("nothing was written")


def _as_json(found: list[Status], published: list[Path]) -> dict[str, Any]:
    return {
        "stages": [
            {"stage": one.stage.name, "folder": str(one.folder), "seconds": one.seconds}
            for one in found
        ],
        "results": [str(path) for path in published],
    }


def _lines(found: list[Status], published: list[Path]) -> list[str]:
    def kind(stage: Stage) -> str:
        return stage.name.partition("/")[0]

    spent: dict[str, float] = {}
    for one in found:
        spent[kind(one.stage)] = spent.get(kind(one.stage), 0.0) + (one.seconds or 0.0)
    return [
        f"done       {len(found)} stages; time by kind: "
        + ", ".join(f"{name} {_duration(seconds)}" for name, seconds in spent.items()),
        *(f"wrote      {path}" for path in published),
    ]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 172800 else f"{seconds / 86400:,.1f} days"
