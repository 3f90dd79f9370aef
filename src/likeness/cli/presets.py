"""`likeness presets`."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any, Literal

from likeness.cli._console import say
from likeness.cli._options import Output
from likeness.generators.presets import ALL_PRESETS, find_preset


def presets(
    kind: Literal["ddpm", "stylegan3"] | None = None,
    name: str | None = None,
    /,
    *,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """List the named settings of the generators, or show one of them in full.

    Parameters
    ----------
    kind
        ddpm or stylegan3.
    name
        One of the names listed.
    """
    if name is not None and kind is not None:
        preset = asdict(find_preset(kind, name))
        if output.json:
            say(json_module.dumps(preset, indent=2, sort_keys=True))
        else:
            say(*_lines(preset))
        return 0
    chosen = [kind] if kind else list(ALL_PRESETS)
    found = {
        which: {each: asdict(find_preset(which, each)) for each in ALL_PRESETS[which]}
        for which in chosen
    }
    if output.json:
        say(json_module.dumps(found, indent=2, sort_keys=True))
        return 0
    for which, named in found.items():
        say(which)
        for each, preset in named.items():
            network = preset.get("unet") or preset["network"]
            size = f"{network['channels']} x {network['resolution']} x {network['resolution']}"
            training = preset["training"]
            counted = _parameters(which, each)
            say(
                f"  {each:<28} {size:>13} {counted:>13} parameters {training['images']:>12,} "
                f"images, batch {training['batch']}",
                f"      {preset.get('description') or preset.get('note')}",
            )
    say(
        "next  likeness presets KIND NAME shows one in full; likeness train KIND SET --out RUN "
        "--preset NAME fits it to your images"
    )
    return 0


def _parameters(kind: Literal["ddpm", "stylegan3"], name: str) -> str:
    """Return the number of trained numbers, of StyleGAN3 the generator's; - without torch."""
    if kind == "ddpm":
        return f"{find_preset(kind, name).parameters:,}"
    if find_spec("torch") is None:
        return "-"
    from likeness.generators.stylegan3.counting import count_parameters

    return f"{count_parameters(find_preset(kind, name).network)['generator']:,}"


def _lines(values: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for name, value in values.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        else:
            shown = f"{value:,}" if isinstance(value, int) and value > 9999 else value
            lines.append(f"{indent}{name:<20} {shown}")
    return lines
