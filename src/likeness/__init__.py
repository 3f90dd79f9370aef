"""Do these synthetic images reproduce the patients they were made from?

The public names below are all there is; importing this package imports nothing heavy. Each name is
loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from likeness.errors import LikenessError

if TYPE_CHECKING:
    from likeness._audit import AuditOptions, audit
    from likeness._compare import compare_audits, write_comparison
    from likeness._findings import Findings, findings_schema
    from likeness._match import find_matches, find_resemblance
    from likeness._neighbours import find_duplicates, measure_authenticity
    from likeness._release import ReleasePolicy, release_images, verify_release
    from likeness.datasets import (
        ImageSet,
        inspect_path,
        prepare_brats,
        prepare_chest_xray,
        prepare_images,
        verify,
    )
    from likeness.metrics import EvaluateOptions, Evaluation, evaluate
    from likeness.metrics.pairwise import measure_pairs, most_similar
    from likeness.report import write_report
    from likeness.similarity import correlation, correlation_mean
    from likeness.utility import (
        Utility,
        UtilityOptions,
        measure_classification,
        measure_segmentation,
    )

    __version__: str

_WHERE = {
    "AuditOptions": "likeness._audit",
    "EvaluateOptions": "likeness.metrics",
    "Evaluation": "likeness.metrics",
    "Findings": "likeness._findings",
    "ImageSet": "likeness.datasets",
    "ReleasePolicy": "likeness._release",
    "Utility": "likeness.utility",
    "UtilityOptions": "likeness.utility",
    "audit": "likeness._audit",
    "compare_audits": "likeness._compare",
    "correlation": "likeness.similarity",
    "correlation_mean": "likeness.similarity",
    "evaluate": "likeness.metrics",
    "find_duplicates": "likeness._neighbours",
    "find_matches": "likeness._match",
    "find_resemblance": "likeness._match",
    "findings_schema": "likeness._findings",
    "inspect_path": "likeness.datasets",
    "measure_authenticity": "likeness._neighbours",
    "measure_classification": "likeness.utility",
    "measure_pairs": "likeness.metrics.pairwise",
    "measure_segmentation": "likeness.utility",
    "most_similar": "likeness.metrics.pairwise",
    "prepare_brats": "likeness.datasets",
    "prepare_chest_xray": "likeness.datasets",
    "prepare_images": "likeness.datasets",
    "release_images": "likeness._release",
    "verify": "likeness.datasets",
    "verify_release": "likeness._release",
    "write_comparison": "likeness._compare",
    "write_report": "likeness.report",
}

__all__ = [
    "AuditOptions",
    "EvaluateOptions",
    "Evaluation",
    "Findings",
    "ImageSet",
    "LikenessError",
    "ReleasePolicy",
    "Utility",
    "UtilityOptions",
    "__version__",
    "audit",
    "compare_audits",
    "correlation",
    "correlation_mean",
    "evaluate",
    "find_duplicates",
    "find_matches",
    "find_resemblance",
    "findings_schema",
    "inspect_path",
    "measure_authenticity",
    "measure_classification",
    "measure_pairs",
    "measure_segmentation",
    "most_similar",
    "prepare_brats",
    "prepare_chest_xray",
    "prepare_images",
    "release_images",
    "verify",
    "verify_release",
    "write_comparison",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from likeness._versions import package_version

        return package_version("likeness")
    if name not in _WHERE:
        msg = f"module 'likeness' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
