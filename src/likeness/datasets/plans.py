"""Plan more images as those of a finished set were planned: the options come from its record."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness._progress import SILENT, Progress
from likeness.datasets.brats import plan_brats
from likeness.datasets.brats_options import BratsOptions
from likeness.datasets.chest_xray import ChestXrayOptions, plan_chest_xray
from likeness.datasets.options import PrepareOptions, RunOptions
from likeness.datasets.plain import plan_images
from likeness.errors import InputError, OptionError
from likeness.readers import ReadOptions

if TYPE_CHECKING:
    from likeness.datasets.set_plan import SetPlan


def plan_like(
    record: dict[str, Any],
    source: Path,
    *,
    manifest: Path | None,
    run: RunOptions,
    progress: Progress = SILENT,
) -> SetPlan:
    """Return the plan of a source with the settings of a set.

    What the set's own preparation found out (the rule for the patients, the layout of the
    sequences, the channels) is taken over, not found out again: half a set by one rule and half by
    another would be no set.

    Parameters
    ----------
    record
        ``dataset.json`` of the set.
    manifest
        The table that names the patients of the new files, where the set's rule needs one.

    Raises
    ------
    OptionError
        If the rule needs a table that is not given.
    InputError
        If the set was made in a way that this version does not know.
    LikenessError
        As `plan_images`, `plan_brats` and `plan_chest_xray`.
    """
    settings = dict(record["settings"])
    kind = settings.get("kind")
    rule = record["patient_rule"]
    if rule.startswith("column:") and manifest is None:
        msg = (
            f"The patients of this set are in a table (--patient-id {rule!r}). Give the table that "
            "has those of the new files: --manifest FILE."
        )
        raise OptionError(msg)
    shared: dict[str, Any] = {
        "patient_id": rule,
        "manifest": manifest,
        "read": ReadOptions(**settings["read"]) if "read" in settings else ReadOptions(),
        **{field.name: getattr(run, field.name) for field in fields(RunOptions)},
    }
    if kind == "images":
        plain = PrepareOptions(**shared, **_plain_options(settings, record))
        return plan_images(source, plain, progress)
    if kind == "brats":
        names = {field.name for field in fields(BratsOptions)} - shared.keys() - {"labels"}
        own = {name: settings[name] for name in names if name in settings}
        own["channels"] = tuple(settings["channels"])
        own["labels"] = {int(label): value for label, value in settings["labels"].items()}
        return plan_brats(source, BratsOptions(**shared, **own), progress)
    if kind == "cxr":
        own = {name: settings[name] for name in ("size", "resampling", "grey")}
        return plan_chest_xray(source, ChestXrayOptions(**shared, **own), progress)
    msg = f"Images cannot be added to a set of the kind {kind!r}; expected images, brats or cxr."
    raise InputError(msg)


def _plain_options(settings: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    grouped = record["layout"] is not None
    channels = record["channels"] if grouped else settings["channels"]
    collapsed = any(step.get("rule") == "collapse" for step in record["transforms"])
    size, span = settings["size"], settings["intensity_range"]
    return {
        "sequences": record["layout"],
        "channels": None if channels is None else tuple(channels),
        "size": None if size is None else tuple(size),
        "resampling": settings["resampling"],
        "grey": "collapse" if collapsed else settings["grey"],
        "intensity_range": None if span is None else tuple(span),
    }
