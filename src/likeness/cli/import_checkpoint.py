"""`likeness import-checkpoint`."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likeness.cli._console import say
from likeness.cli._options import Output
from likeness.errors import InputError, OptionError


def import_checkpoint(
    file: Path,
    /,
    *,
    out: Path,
    resolution: int,
    diffusion_steps: int,
    heads: int = 4,
    rescale_times: Annotated[bool, Parameter(negative="")] = False,
    new_attention_order: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Turn a network of guided-diffusion or improved-diffusion into a checkpoint of Likeness.

    The file is read as weights only: it cannot run code. It does not say everything, so some of
    its training flags are asked for.

    Parameters
    ----------
    file
        modelNNNNNN.pt, or ema_RATE_NNNNNN.pt, which gives better images.
    out
        Folder for the checkpoint; must not exist.
    resolution
        Rows and columns: `--image_size` of its training.
    diffusion_steps
        `--diffusion_steps` of its training.
    heads
        `--num_heads` of its training.
    rescale_times
        `--rescale_timesteps True`: the default of improved-diffusion, not of guided-diffusion.
    new_attention_order
        `--use_new_attention_order True` of its training.
    """
    from likeness.generators.models import need_extra

    need_extra()
    from likeness.generators.ddpm import importing
    from likeness.generators.ddpm.settings import Diffusion

    if not file.is_file():
        msg = f"There is no file {str(file)!r}."
        raise InputError(msg)
    if out.exists():
        msg = f"--out {str(out)!r} exists. Choose a new folder."
        raise OptionError(msg)
    sha256 = importing.import_checkpoint(
        file,
        out,
        resolution=resolution,
        diffusion=Diffusion(steps=diffusion_steps, rescale_times=rescale_times),
        heads=heads,
        new_attention_order=new_attention_order,
    )
    if output.json:
        say(json_module.dumps({"out": str(out), "sha256": sha256}, indent=2, sort_keys=True))
        return 0
    say(
        f"imported   {file} as {out}, tensors {sha256[:16]}...",
        f"next       likeness sample {shlex.quote(str(out))} --num 1000 --out samples",
    )
    return 0
