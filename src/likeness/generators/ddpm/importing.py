"""Networks trained with guided-diffusion or improved-diffusion, made ours.

Their ``.pt`` files hold named tensors (``modelNNNNNN.pt`` the weights, ``ema_RATE_NNNNNN.pt`` their
running mean). Both name them alike, and so does this network up to a rule: see `key_rules`. The
files do not say the resolution, the heads, the steps and whether times are rescaled; those are
asked for.

Networks with learned variances, with residual blocks for resampling or without scale and shift are
refused. Files are read as weights only: they cannot run code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch

from likeness._files import sha256_of_file
from likeness.errors import InputError
from likeness.generators.checkpoints import save_checkpoint
from likeness.generators.ddpm.network import build_unet
from likeness.generators.ddpm.settings import Diffusion, UNetSettings

Change = Literal["copy", "q", "k", "v", "squeeze"]

_BLOCK: Final = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
}


@dataclass(frozen=True)
class KeyRule:
    """Where one of our tensors comes from."""

    ours: str
    theirs: str
    change: Change
    """``q``, ``k``, ``v``: that part of the queries, keys and values; ``squeeze``: without the
    length 1 of a one-dimensional convolution."""


def key_rules(settings: UNetSettings) -> list[KeyRule]:
    """Return where every tensor of a network comes from, in guided-diffusion's names.

    With R blocks, blocks of the way down are numbered level by level, R and a halving each, after
    the first convolution; on the way up R + 1 per level, the last of which also doubles.
    """
    return [
        KeyRule(f"{ours}.{kind}", f"{theirs}.{kind}", change)
        for ours, theirs, change in _layers(settings)
        for kind in ("weight", "bias")
        if (ours, kind) != ("class_embedding", "bias")
    ]


def _layers(settings: UNetSettings) -> Iterator[tuple[str, str, Change]]:
    widths, blocks, attends = settings.widths, settings.blocks, settings.attention_levels
    levels = len(widths)
    yield "conv_in", "input_blocks.0.0", "copy"
    yield "time_embedding.linear_1", "time_embed.0", "copy"
    yield "time_embedding.linear_2", "time_embed.2", "copy"
    if settings.classes is not None:
        yield "class_embedding", "label_emb", "copy"
    skips, width = [widths[0]], widths[0]
    for level in range(levels):
        for block in range(blocks):
            here, there = f"down_blocks.{level}", f"input_blocks.{1 + level * (blocks + 1) + block}"
            changes = width != widths[level]
            yield from _block(f"{here}.resnets.{block}", f"{there}.0", has_shortcut=changes)
            if level in attends:
                yield from _attention(f"{here}.attentions.{block}", f"{there}.1")
            width = widths[level]
            skips.append(width)
        if level < levels - 1:
            there = f"input_blocks.{(level + 1) * (blocks + 1)}"
            yield f"down_blocks.{level}.downsamplers.0.conv", f"{there}.0.op", "copy"
            skips.append(width)
    yield from _block("mid_block.resnets.0", "middle_block.0", has_shortcut=False)
    yield from _attention("mid_block.attentions.0", "middle_block.1")
    yield from _block("mid_block.resnets.1", "middle_block.2", has_shortcut=False)
    for up in range(levels):
        level = levels - 1 - up
        for block in range(blocks + 1):
            here, there = f"up_blocks.{up}", f"output_blocks.{up * (blocks + 1) + block}"
            changes = width + skips.pop() != widths[level]
            yield from _block(f"{here}.resnets.{block}", f"{there}.0", has_shortcut=changes)
            if level in attends:
                yield from _attention(f"{here}.attentions.{block}", f"{there}.1")
            width = widths[level]
        if level > 0:
            place = 2 if level in attends else 1
            yield f"{here}.upsamplers.0.conv", f"{there}.{place}.conv", "copy"
    yield "conv_norm_out", "out.0", "copy"
    yield "conv_out", "out.2", "copy"


def _block(ours: str, theirs: str, *, has_shortcut: bool) -> Iterator[tuple[str, str, Change]]:
    for own, other in _BLOCK.items():
        yield f"{ours}.{own}", f"{theirs}.{other}", "copy"
    if has_shortcut:
        yield f"{ours}.conv_shortcut", f"{theirs}.skip_connection", "copy"


def _attention(ours: str, theirs: str) -> Iterator[tuple[str, str, Change]]:
    yield f"{ours}.group_norm", f"{theirs}.norm", "copy"
    yield f"{ours}.to_q", f"{theirs}.qkv", "q"
    yield f"{ours}.to_k", f"{theirs}.qkv", "k"
    yield f"{ours}.to_v", f"{theirs}.qkv", "v"
    yield f"{ours}.to_out.0", f"{theirs}.proj_out", "squeeze"


def convert(
    tensors: Mapping[str, torch.Tensor],
    settings: UNetSettings,
    *,
    new_attention_order: bool = False,
) -> dict[str, torch.Tensor]:
    """Return the tensors under our names, float32.

    Parameters
    ----------
    tensors
        Under guided-diffusion's names.
    settings
        The network that they belong to.
    new_attention_order
        Whether it was trained with ``use_new_attention_order``: queries of all heads first, then
        keys, then values. Otherwise these three follow each other head by head.

    Raises
    ------
    InputError
        If tensors are missing, left over, or of other shapes.
    """
    rules = key_rules(settings)
    _check_names(tensors, {rule.theirs for rule in rules})
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in build_unet(settings).state_dict().items()}
    found = {}
    for rule in rules:
        theirs = tensors[rule.theirs]
        value = _changed(theirs, rule.change, settings.heads, new_order=new_attention_order)
        if value is None or value.shape != shapes[rule.ours]:
            msg = (
                f"{rule.theirs!r} has the shape {tuple(theirs.shape)}, which does not fit "
                f"{tuple(shapes[rule.ours])} of {rule.ours!r}: the file is of another kind of "
                "network than guided-diffusion's with scale and shift."
            )
            raise InputError(msg)
        found[rule.ours] = value.to(torch.float32).contiguous()
    return found


def _changed(
    value: torch.Tensor, change: Change, heads: int, *, new_order: bool
) -> torch.Tensor | None:
    """Return a tensor in our form, or None if its shape does not allow it."""
    if change == "copy":
        return value
    if value.ndim == 3 and value.shape[2] == 1:
        value = value[:, :, 0]
    if change == "squeeze":
        return value
    if value.shape[0] % (3 * heads):
        return None
    part, rest = "qkv".index(change), value.shape[1:]
    if new_order:
        return value.reshape(3, -1, *rest)[part]
    return value.reshape(heads, 3, -1, *rest)[:, part].reshape(-1, *rest)


def _check_names(tensors: Mapping[str, Any], expected: set[str]) -> None:
    missing, extra = sorted(expected - set(tensors)), sorted(set(tensors) - expected)
    if missing or extra:
        msg = (
            f"The tensors are not those of this network: {len(missing)} are missing "
            f"({', '.join(missing[:3]) or 'none'}), {len(extra)} left over "
            f"({', '.join(extra[:3]) or 'none'})."
        )
        raise InputError(msg)


def settings_of(
    tensors: Mapping[str, torch.Tensor], *, resolution: int, heads: int = 4
) -> UNetSettings:
    """Tell the network's settings from the shapes of its tensors, as far as they do.

    Raises
    ------
    InputError
        If the tensors are not those of a network that can be imported.
    OptionError
        If the resolution or the heads do not fit.
    """
    first = _tensor(tensors, "input_blocks.0.0.weight", 4)
    width, channels = int(first.shape[0]), int(first.shape[1])
    _refuse_others(tensors, channels)
    levels: list[list[tuple[int, bool]]] = [[]]
    number = 1
    while True:
        if f"input_blocks.{number}.0.op.weight" in tensors:
            levels.append([])
        elif f"input_blocks.{number}.0.in_layers.2.weight" in tensors:
            weight = _tensor(tensors, f"input_blocks.{number}.0.in_layers.2.weight", 4)
            attends = f"input_blocks.{number}.1.qkv.weight" in tensors
            levels[-1].append((int(weight.shape[0]), attends))
        else:
            break
        number += 1
    blocks = len(levels[0])
    regular = all(len(level) == blocks and len(set(level)) == 1 for level in levels)
    if not blocks or not regular or any(level[0][0] % width for level in levels):
        msg = (
            "The blocks on the way down are not in levels of equally many, equally wide ones with "
            "halvings between: only networks with plain resampling (resblock_updown False) and "
            f"whole multiples of the width {width} can be imported."
        )
        raise InputError(msg)
    labels = tensors.get("label_emb.weight")
    return UNetSettings(
        resolution=resolution,
        channels=channels,
        width=width,
        blocks=blocks,
        multipliers=tuple(level[0][0] // width for level in levels),
        attention_sides=tuple(resolution >> k for k, level in enumerate(levels) if level[0][1]),
        heads=heads,
        classes=None if labels is None else int(labels.shape[0]),
    )


def _refuse_others(tensors: Mapping[str, torch.Tensor], channels: int) -> None:
    out = int(_tensor(tensors, "out.2.weight", 4).shape[0])
    if out == 2 * channels:
        msg = (
            "The network also predicts variances (learn_sigma): such networks are not supported, "
            "only those with the fixed larger variance, as in the paper."
        )
        raise InputError(msg)
    if out != channels:
        msg = f"The network takes {channels} channels and gives {out}: it is no image generator."
        raise InputError(msg)


def _tensor(tensors: Mapping[str, torch.Tensor], name: str, dimensions: int) -> torch.Tensor:
    found = tensors.get(name)
    if found is None or found.ndim != dimensions:
        msg = (
            f"There is no {name!r} of {dimensions} dimensions: the file is not of guided-diffusion "
            "or improved-diffusion (modelNNNNNN.pt or ema_RATE_NNNNNN.pt)."
        )
        raise InputError(msg)
    return found


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a ``.pt`` file of named tensors, as weights only.

    Raises
    ------
    InputError
        If it is not there, damaged, or holds anything but named tensors.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        msg = f"There is no file {str(path)!r}."
        raise InputError(msg) from error
    # torch reports damage by many types, among them those of zip files and of its own unpickler.
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = (
            f"{str(path)!r} cannot be read as weights alone: it is damaged, or holds more than "
            f"tensors, which is refused because it could run code ({said})."
        )
        raise InputError(msg) from error
    named = isinstance(found, dict) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    )
    if not named:
        msg = (
            f"{str(path)!r} holds no named tensors: give modelNNNNNN.pt or ema_RATE_NNNNNN.pt, not "
            "the optimiser's file."
        )
        raise InputError(msg)
    return dict(found)


def import_checkpoint(
    path: Path,
    folder: Path,
    *,
    resolution: int,
    diffusion: Diffusion,
    heads: int = 4,
    new_attention_order: bool = False,
) -> str:
    """Write a guided-diffusion or improved-diffusion network as a checkpoint of ours.

    Parameters
    ----------
    path
        ``modelNNNNNN.pt`` or ``ema_RATE_NNNNNN.pt``.
    folder
        Of the checkpoint. Its tensors are named ``model/...``, its record has ``model``, ``unet``,
        ``diffusion`` and ``imported``.
    resolution, diffusion, heads, new_attention_order
        What the file does not say. Improved-diffusion rescales times by default, guided-diffusion
        does not.

    Returns
    -------
    str
        The SHA-256 of the checkpoint's tensors.

    Raises
    ------
    InputError
        If the file is not of a network that can be imported.
    OptionError
        If the options do not fit it.
    OutputError
        If the checkpoint cannot be written.
    """
    tensors = read_tensors(path)
    settings = settings_of(tensors, resolution=resolution, heads=heads)
    converted = convert(tensors, settings, new_attention_order=new_attention_order)
    record = {
        "model": "ddpm",
        "unet": settings.to_json(),
        "diffusion": diffusion.to_json(),
        "imported": {
            "file": path.name,
            "sha256": sha256_of_file(path),
            "new_attention_order": new_attention_order,
        },
    }
    named = {f"model/{name}": value for name, value in converted.items()}
    return save_checkpoint(folder, named, record)
