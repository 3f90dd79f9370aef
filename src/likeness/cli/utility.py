"""`likeness utility`: `segmentation` and `classification`."""

from __future__ import annotations

import json as json_module
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from likeness._files import is_inside
from likeness.cli._commands import VERBS, examples_text
from likeness.cli._console import say
from likeness.cli._options import Output, names_from, share_from
from likeness.errors import OptionError

_VERB = next(verb for verb in VERBS if verb.name == "utility")
app = App(
    name="utility", help=_VERB.summary, help_format="markdown", help_prologue=examples_text(_VERB)
)


@Parameter(name="*")
@dataclass(frozen=True)
class Training:
    """What both tasks have in common."""

    train: Path
    """Image set of the real training images."""
    synthetic: Path
    """Image set of the synthetic images, of the same shape and channels."""
    test: Path
    """Image set of real patients, none of them in --train."""
    out: Path
    """Folder for utility.json; finished networks are kept there, the same command goes on."""
    steps: int = 600
    """Training steps of each network, the same for every source."""
    seeds: int = 3
    """Networks per source."""
    batch: int = 16
    """Images per step, an even number."""
    learning_rate: float = 1e-3
    """Of Adam."""
    validation_share: str = "20%"
    """Share of the training patients by which a network's best moment is chosen."""
    bootstrap: int = 1000
    """Draws of test patients behind each interval."""
    channels: str | None = None
    """Channels that the network sees, as in t1,flair; by default all but annotations."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 and so on."""
    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace the result of other sets or settings in --out."""
    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Say what would be trained and how long it takes, from a few steps; write nothing."""


@app.command(sort_key=0)
def segmentation(
    *,
    run: Training,
    annotation: str | None = None,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Train a small U-Net on real, on synthetic and on both; Dice on real test patients.

    It says nothing about privacy: a synthetic set that copies its patients is as useful as they
    are.

    Parameters
    ----------
    annotation
        The channel to be found; by default the one that the training set marks.
    """
    return _carry_out("segmentation", run, annotation, output)


@app.command(sort_key=1)
def classification(
    *,
    run: Training,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Train a small classifier on real, on synthetic and on both; AUC on real test patients.

    Every image needs a class: synthetic ones have it from a class-conditional model (`likeness
    train ddpm --classes`, `likeness sample`). It says nothing about privacy: a synthetic set that
    copies its patients is as useful as they are.
    """
    return _carry_out("classification", run, None, output)


def _carry_out(
    task: Literal["segmentation", "classification"],
    run: Training,
    annotation: str | None,
    output: Output,
) -> int:
    from likeness.datasets.image_set import ImageSet
    from likeness.utility.measuring import forecast, measure_classification, measure_segmentation
    from likeness.utility.options import UtilityOptions
    from likeness.utility.results import FILE, table_lines

    options = UtilityOptions(
        steps=run.steps,
        seeds=run.seeds,
        batch=run.batch,
        learning_rate=run.learning_rate,
        validation_share=share_from(run.validation_share, "--validation-share"),
        bootstrap=run.bootstrap,
        annotation=annotation,
        channels=names_from(run.channels),
        device=run.device,
    )
    given = (run.train, run.synthetic, run.test)
    for path in given:
        if is_inside(run.out, path):
            msg = f"--out {str(run.out)!r} lies inside {str(path)!r}, which is read."
            raise OptionError(msg)
    train, synthetic, test = (ImageSet.open(path) for path in given)
    if run.dry_run:
        about = forecast(task, train, synthetic, test, options=options, out=run.out)
        if output.json:
            say(json_module.dumps(about, indent=2, sort_keys=True))
        else:
            say(
                f"would train {about['networks']} networks of {run.steps} steps on "
                f"{about['device']}; {about['finished']} of them are finished",
                f"about {about['seconds'] / 60:.1f} minutes: {about['seconds_per_step']:.3f} s a "
                "step, measured; validation and test come on top",
                *(f"note       {note}" for note in about["notes"]),
                "nothing was written",
            )
        return 0
    measure = measure_segmentation if task == "segmentation" else measure_classification
    result = measure(
        train,
        synthetic,
        test,
        options=options,
        out=run.out,
        overwrite=run.overwrite,
        progress=output.make_progress(),
    )
    if output.json:
        say(json_module.dumps(result.to_json(), indent=2, sort_keys=True))
    else:
        say(*table_lines(result), f"wrote      {run.out / FILE}")
    return 0
