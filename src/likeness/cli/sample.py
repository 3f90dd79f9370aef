"""`likeness sample`."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from likeness.cli._console import remark, say
from likeness.cli._options import Output, readable_bytes
from likeness.errors import OptionError


def sample(
    checkpoint: Path,
    /,
    *,
    out: Path,
    num: int = 1000,
    seed: int = 0,
    weights: Literal["average", "raw"] = "average",
    sampler: Literal["ancestral", "ddim"] = "ancestral",
    steps: int | None = None,
    eta: float = 0.0,
    truncation: float = 1.0,
    class_name: Annotated[str | None, Parameter(name="--class")] = None,
    snap_annotation: Annotated[bool, Parameter(negative="")] = False,
    export: Literal["none", "png", "nifti"] = "none",
    layout: Literal["flat", "paper"] = "flat",
    device: str = "auto",
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Draw images of a trained model and write them as an image set, ready to be audited.

    Image 17 of seed 0 is the same however many are asked for. A call that was interrupted goes on
    when it is started again. The record says which checkpoint drew, how, and with which seed.

    Parameters
    ----------
    checkpoint
        Folder of a checkpoint, or of a training run: then its newest checkpoint.
    out
        Folder for the image set.
    num
        Number of images.
    seed
        Other images for another seed.
    weights
        The running mean of the weights, or those of the last step.
    sampler
        Of a diffusion model.
    steps
        Of the sampler; by default 250, or as many as the model was trained with if these are fewer.
    eta
        Noise that ddim adds, 0 to 1.
    truncation
        Of StyleGAN3: below 1 images are more typical and less diverse.
    class_name
        Of a class-conditional model: only this class; by default the classes take turns.
    snap_annotation
        Turn each pixel of an annotation into the nearest intensity that it has in the training set.
    export
        Write files too, into the folder OUT-png or OUT-nifti.
    layout
        Of these files: one folder, or a folder per channel as in the paper's data.
    device
        auto, cpu, cuda, cuda:1 and so on.
    overwrite
        Replace another image set in --out.
    dry_run
        Say what would be drawn; write nothing.
    """
    from likeness.generators.models import find_checkpoint, need_extra, open_model

    need_extra()
    from likeness._devices import device_named
    from likeness.generators.ddpm.settings import Sampler
    from likeness.generators.samples import classes_of, write_samples

    if num < 1 or seed < 0:
        msg = f"--num must be at least 1 and --seed not negative; they are {num} and {seed}."
        raise OptionError(msg)
    chosen = None
    if (sampler, steps, eta) != ("ancestral", None, 0.0):
        chosen = Sampler(kind=sampler, steps=250 if steps is None else steps, eta=eta)
    model = open_model(
        checkpoint,
        weights=weights,
        device=device_named(device),
        sampler=chosen,
        truncation=truncation,
    )
    classes_of(model, class_name)
    channels, rows, columns = model.image_shape
    about = {
        "checkpoint": str(find_checkpoint(checkpoint)),
        "checkpoint_sha256": model.checkpoint_sha256,
        "model": model.kind,
        "step": model.record.get("step"),
        "weights": model.weights,
        "sampler": model.sampler_record,
        "seed": seed,
        "images": num,
        "shape": [channels, rows, columns],
        "out": str(out),
    }
    warning = model.sampler_record.get("warning")
    if warning and not output.quiet:
        remark(f"note: {warning}")
    if dry_run:
        if output.json:
            say(json_module.dumps(about, indent=2, sort_keys=True))
        else:
            say(
                f"would draw {num} images {channels} x {rows} x {columns} "
                f"({readable_bytes(num * channels * rows * columns)}) with the "
                f"{weights} weights of {about['checkpoint']}",
                f"would write {out}; nothing was written",
            )
        return 0
    progress = output.make_progress()
    made = write_samples(
        model,
        out,
        num=num,
        seed=seed,
        class_name=class_name,
        snap_annotation=snap_annotation,
        overwrite=overwrite,
        progress=progress,
    )
    files = None
    if export != "none":
        from likeness.datasets.exporting import export_images

        files = out.with_name(f"{out.name}-{export}")
        export_images(made, files, file_format=export, layout=layout, progress=progress)
    if output.json:
        content = {**about, "fingerprint": made.fingerprint, "files": files and str(files)}
        say(json_module.dumps(content, indent=2, sort_keys=True))
        return 0
    say(
        f"drawn      {num} images {channels} x {rows} x {columns} of seed {seed}, {model.kind}, "
        f"{model.weights} weights",
        f"           wrote {out}" + (f" and {files}" if files else ""),
        f"next       likeness audit --train TRAIN --test TEST --synthetic {shlex.quote(str(out))} "
        "--out audit",
    )
    return 0
