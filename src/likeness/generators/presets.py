"""All named settings, of both kinds of generator. Pure data: nothing heavy is loaded.

The kinds share names (both have ``tiny`` and the paper's), so a preset is found by kind and name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, overload

from likeness.errors import OptionError
from likeness.generators.ddpm.presets import DDPM_PRESETS, DdpmPreset
from likeness.generators.stylegan3.presets import PRESETS as STYLEGAN3_PRESETS
from likeness.generators.stylegan3.presets import Preset as Stylegan3Preset

Kind = Literal["ddpm", "stylegan3"]

ALL_PRESETS: Final[Mapping[Kind, Mapping[str, DdpmPreset] | Mapping[str, Stylegan3Preset]]] = (
    MappingProxyType({"ddpm": DDPM_PRESETS, "stylegan3": STYLEGAN3_PRESETS})
)
"""By kind, then by name."""


@overload
def find_preset(kind: Literal["ddpm"], name: str) -> DdpmPreset: ...
@overload
def find_preset(kind: Literal["stylegan3"], name: str) -> Stylegan3Preset: ...
def find_preset(kind: Kind, name: str) -> DdpmPreset | Stylegan3Preset:
    """Return a preset.

    Raises
    ------
    OptionError
        If there is no such kind, or none of that name.
    """
    if kind not in ALL_PRESETS:
        msg = f"There is no generator {kind!r}, only {', '.join(ALL_PRESETS)}."
        raise OptionError(msg)
    named = ALL_PRESETS[kind]
    if name not in named:
        close = difflib.get_close_matches(name, named, n=3) or list(named)
        msg = f"There is no preset {name!r} for {kind}. Is one of these meant: {', '.join(close)}?"
        raise OptionError(msg)
    return named[name]
