"""Settings of the audit that differ from the usual ones, as a receiver may read them.

Whoever sets an audit can make it look less closely: fewer comparisons, no flips, another rule for
patients, another seed until it fits. Nothing of that is forbidden, and nothing of it stays unsaid.
Words that a user chose (channels, patterns, names of files) could name somebody; of these only the
kind is told.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOLD: Final = (
    "fdr",
    "flips",
    "top_patients",
    "train_sample",
    "local_sample",
    "self_check",
    "planted",
    "permutations",
    "near_duplicate",
    "max_skipped",
    "seed",
)
"""Numbers and switches on which a verdict depends."""
_STRATA: Final = ("class",)
_RULES: Final = ("none", "parent-folder", "bids", "brats", "cxr", "regex", "column")


def unusual_settings(settings: Mapping[str, Any]) -> list[str]:
    """Return the settings that differ from the defaults, as ``name = value (default)``.

    Parameters
    ----------
    settings
        As they stand in the findings; a setting that is not there has its default.
    """
    from likeness._audit.options import AuditOptions

    usual = {field.name: field.default for field in fields(AuditOptions)}
    lines = [
        f"{name} = {_shown(settings[name])} (default {_shown(usual[name])})"
        for name in _TOLD
        if name in settings and settings[name] != usual[name]
    ]
    if settings.get("channels"):
        lines.append("channels = some, by name (default all but annotations)")
    if settings.get("strata") in _STRATA:
        lines.append(f"strata = {settings['strata']} (default none)")
    rule = str(settings.get("patient_id", "auto")).partition(":")[0]
    if rule != usual["patient_id"]:
        lines.append(f"patient_id = {rule if rule in _RULES else 'another rule'} (default auto)")
    return lines


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else "another value"
