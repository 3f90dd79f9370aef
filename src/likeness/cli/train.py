"""`likeness train`: `ddpm` and `stylegan3`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from likeness.cli._commands import VERBS, examples_text
from likeness.cli._options import Output, names_from
from likeness.cli._training import Run, carry_out, check, open_training_set
from likeness.errors import OptionError
from likeness.generators.presets import find_preset

_VERB = next(verb for verb in VERBS if verb.name == "train")
app = App(
    name="train", help=_VERB.summary, help_format="markdown", help_prologue=examples_text(_VERB)
)


@app.command(sort_key=0)
def ddpm(
    train_set: Path,
    /,
    *,
    learning_rate: float | None = None,
    diffusion_steps: int | None = None,
    classes: Annotated[bool, Parameter(negative="")] = False,
    labels: Path | None = None,
    augment: str | None = None,
    gradient_checkpointing: Annotated[bool, Parameter(negative="")] = False,
    run: Run,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Train the diffusion model on an image set, or go on with a run.

    Ctrl-C and SIGTERM save after the running step; the same command goes on. Several GPUs:
    `torchrun --nproc-per-node 4 -m likeness train ddpm ...`.

    Parameters
    ----------
    train_set
        Image set that `likeness prepare` made.
    learning_rate
        Of AdamW; by default the preset's.
    diffusion_steps
        T; by default the preset's.
    classes
        Train a class-conditional network on the classes that the image set names.
    labels
        The same with classes from a CSV file: image_id,label.
    augment
        Any of flip,rotation,elastic,intensity. None by default: flipped anatomy is wrong anatomy,
        and a model learns it.
    gradient_checkpointing
        Less memory, more time, the same weights.
    """
    check(run)
    from likeness.generators.ddpm.network import count_parameters
    from likeness.generators.ddpm.training import train_ddpm
    from likeness.generators.training.augmentation import check_augmentations
    from likeness.generators.training.labels import Labels, read_labels

    preset = find_preset("ddpm", run.preset)
    altering = check_augmentations(names_from(augment) or ())
    images = open_training_set(train_set)
    if classes and labels is not None:
        msg = "--classes and --labels both name the classes; give one of them."
        raise OptionError(msg)
    if run.audit_every is not None and (classes or labels is not None):
        msg = (
            "--audit-every cannot draw samples of a class-conditional network: train without, "
            "sample each class, and audit those."
        )
        raise OptionError(msg)
    known = None
    if labels is not None:
        known = read_labels(labels, images)
    elif classes:
        known = Labels.of(images.classes, images)
    unet = preset.resized(
        resolution=images.image_shape[1],
        channels=images.image_shape[0],
        classes=None if known is None else len(known.names),
    )
    diffusion = preset.diffusion
    if diffusion_steps is not None:
        diffusion = replace(diffusion, steps=diffusion_steps)
    training = replace(
        preset.training,
        **_given(batch=run.batch, images=run.images, learning_rate=learning_rate),
    )

    def train(out: Path, total: int, **options: Any) -> Any:  # noqa: ANN401
        return train_ddpm(
            images,
            out,
            unet,
            diffusion,
            replace(training, images=total),
            labels=known,
            augment=altering,
            gradient_checkpointing=gradient_checkpointing,
            **options,
        )

    return carry_out(
        "ddpm",
        train_set,
        images,
        run,
        output,
        batch=training.batch,
        total=training.images,
        parameters={"network": count_parameters(unet)},
        train=train,
    )


@app.command(sort_key=1)
def stylegan3(
    train_set: Path,
    /,
    *,
    gamma: float | None = None,
    generator_rate: float | None = None,
    discriminator_rate: float | None = None,
    ada: Literal["none", "medical", "everything"] = "none",
    run: Run,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Train StyleGAN3-t on an image set, or go on with a run.

    Ctrl-C and SIGTERM save after the running step; the same command goes on. Several GPUs:
    `torchrun --nproc-per-node 4 -m likeness train stylegan3 ...`.

    Parameters
    ----------
    train_set
        Image set that `likeness prepare` made.
    gamma
        Weight of the R1 penalty; by default the preset's. The one number that is worth trying.
    generator_rate
        Learning rate of the generator.
    discriminator_rate
        Learning rate of the discriminator.
    ada
        Random transforms before the discriminator, as likely as it needs them (adaptive
        augmentation); everything includes flips and quarter turns, which leak into the samples.
    """
    check(run)
    from likeness.generators.stylegan3.adaptive import Adaptive
    from likeness.generators.stylegan3.counting import count_parameters
    from likeness.generators.stylegan3.training import train_stylegan3

    preset = find_preset("stylegan3", run.preset)
    images = open_training_set(train_set)
    network = replace(
        preset.network, resolution=images.image_shape[1], channels=images.image_shape[0]
    )
    training = replace(
        preset.training,
        **_given(
            batch=run.batch,
            images=run.images,
            gamma=gamma,
            generator_rate=generator_rate,
            discriminator_rate=discriminator_rate,
        ),
    )

    adaptive = None if ada == "none" else Adaptive(ada)

    def train(out: Path, total: int, **options: Any) -> Any:  # noqa: ANN401
        longer = replace(training, images=total)
        return train_stylegan3(images, out, network, longer, ada=adaptive, **options)

    return carry_out(
        "stylegan3",
        train_set,
        images,
        run,
        output,
        batch=training.batch,
        total=training.images,
        parameters=count_parameters(network),
        train=train,
    )


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401
    return {name: value for name, value in values.items() if value is not None}
