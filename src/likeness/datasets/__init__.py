"""Files become a prepared image set: equal shapes, ids, patients, checksums, an account of all.

In:  folders, archives, volumes (decoded by `likeness.readers`), or arrays.
Out: `ImageSet`, in memory or in a folder that `verify` can check byte for byte.

The way of a file::

    walk -> scanning -> plan (units, patients, channels) -> workers -> writer -> dataset.json
            headers     plain | brats | chest_xray          decode     shards    the commit

`walk` finds every entry once; `scanning` reads headers; a plan says which files together give which
images of which patient; `workers` decode them, in order, in one or more processes; `writer` makes
shards that survive a kill. At the end found = used + left out, or the run fails.

Afterwards a set can grow (`appending`), forget patients (`forgetting`) and carry rows derived from
its images (`derived`); `changes` sees to it that a kill leaves the old set or the new one.

What does not happen here: no image is compared with another (`likeness.search`), no file is decoded
(`likeness.readers`), and no pixel is changed unless that was asked for and is recorded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from likeness.datasets.image_set import ImageSet

if TYPE_CHECKING:
    from likeness.datasets.accounting import Accounting, LeftOut
    from likeness.datasets.appending import Appended, append
    from likeness.datasets.brats import prepare_brats
    from likeness.datasets.brats_options import BratsOptions
    from likeness.datasets.building import Prepared
    from likeness.datasets.chest_xray import ChestXrayOptions, prepare_chest_xray
    from likeness.datasets.derived import Rows, derived_rows
    from likeness.datasets.forgetting import Forgotten, forget
    from likeness.datasets.inspection import Inspection, inspect_path
    from likeness.datasets.options import PrepareOptions
    from likeness.datasets.patient_ids import PatientIds, PatientRule, parse_patient_rule
    from likeness.datasets.plain import prepare_images
    from likeness.datasets.sources import as_image_set, verify_sources
    from likeness.datasets.splits import SplitRule
    from likeness.datasets.verification import VerifyResult, verify

_HOMES = {
    "Accounting": "accounting",
    "Appended": "appending",
    "BratsOptions": "brats_options",
    "ChestXrayOptions": "chest_xray",
    "Forgotten": "forgetting",
    "Inspection": "inspection",
    "LeftOut": "accounting",
    "PatientIds": "patient_ids",
    "PatientRule": "patient_ids",
    "PrepareOptions": "options",
    "Prepared": "building",
    "Rows": "derived",
    "SplitRule": "splits",
    "VerifyResult": "verification",
    "append": "appending",
    "as_image_set": "sources",
    "derived_rows": "derived",
    "forget": "forgetting",
    "inspect_path": "inspection",
    "parse_patient_rule": "patient_ids",
    "prepare_brats": "brats",
    "prepare_chest_xray": "chest_xray",
    "prepare_images": "plain",
    "verify": "verification",
    "verify_sources": "sources",
}
"""Public name -> module, imported when first used: an import of `ImageSet` stays cheap."""

__all__ = [
    "Accounting",
    "Appended",
    "BratsOptions",
    "ChestXrayOptions",
    "Forgotten",
    "ImageSet",
    "Inspection",
    "LeftOut",
    "PatientIds",
    "PatientRule",
    "PrepareOptions",
    "Prepared",
    "Rows",
    "SplitRule",
    "VerifyResult",
    "append",
    "as_image_set",
    "derived_rows",
    "forget",
    "inspect_path",
    "parse_patient_rule",
    "prepare_brats",
    "prepare_chest_xray",
    "prepare_images",
    "verify",
    "verify_sources",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name in _HOMES:
        return getattr(import_module(f"likeness.datasets.{_HOMES[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
