"""`likeness autoencoder`."""

from __future__ import annotations

import json as json_module
import shlex
import tempfile
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likeness.cli._console import say
from likeness.cli._options import Output

_TRIED_STEPS = 5


def autoencoder(
    train_set: Path,
    /,
    *,
    out: Path,
    features: int = 256,
    steps: int = 2000,
    width: int = 32,
    seed: int = 0,
    device: str = "auto",
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Train an autoencoder on an image set: features that see flipped, turned and bent copies.

    For `likeness evaluate --autoencoder`. It is trained on patients: keep it inside.

    Parameters
    ----------
    train_set
        Image set that `likeness prepare` made. Annotation channels are left out.
    out
        Folder for the autoencoder.
    features
        Numbers per image, 16 to 4096.
    steps
        Of 32 images each.
    width
        Channels of the finest level; a multiple of 8.
    seed
        Of first weights, order of the images and alterations.
    device
        auto, cpu, cuda, cuda:1 and so on.
    overwrite
        Replace an autoencoder in --out.
    dry_run
        Try a few steps and forecast the time; write nothing to --out.
    """
    from likeness._devices import device_named
    from likeness.datasets import ImageSet
    from likeness.metrics._extra import need_extra
    from likeness.metrics.autoencoder import Autoencoding, train_autoencoder

    settings = Autoencoding(features, steps, width, seed)
    need_extra("torch", "safetensors")
    chosen = device_named(device)
    images = ImageSet.open(train_set)
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="likeness-autoencoder-") as name:
            began = time.monotonic()
            tried = Autoencoding(features, min(_TRIED_STEPS, steps), width, seed)
            train_autoencoder(images, Path(name) / "tried", tried, device=chosen)
            seconds = (time.monotonic() - began) / tried.steps * steps
        told = {"images": len(images), "steps": steps, "seconds": seconds, "out": str(out)}
        if output.json:
            say(json_module.dumps(told, indent=2, sort_keys=True))
        else:
            say(
                f"would train {features} features on {len(images):,} images, {steps:,} steps: "
                f"about {seconds / 60:.0f} min, from {tried.steps} steps here",
                "nothing was written to --out",
            )
        return 0
    record = train_autoencoder(
        images,
        out,
        settings,
        device=chosen,
        overwrite=overwrite,
        progress=output.make_progress(),
    )
    if output.json:
        say(json_module.dumps(record, indent=2, sort_keys=True))
        return 0
    say(
        f"trained    {features} features, {len(images):,} images of "
        f"{' x '.join(map(str, record['shape']))}, {steps:,} steps",
        f"error      {record['error']:.5f} mean square on altered training images; the mean image "
        f"has {record['error_of_mean_image']:.5f}",
        f"wrote      {out} (it knows the training images: do not share)",
        f"next       likeness evaluate --real {shlex.quote(str(train_set))} --synthetic SYNTHETIC "
        f"--autoencoder {shlex.quote(str(out))}",
    )
    return 0
