"""The coverage annex: which classes of risk the audit looked for.

Classes: EDPB Opinion 28/2024, paragraph 55 (attacks on a model), and Article 29 Working Party
opinion 05/2014 (singling out, linkability, inference). No legal claim follows from a row.
"""

from __future__ import annotations

from likeness._findings import Counts, CoverageRow, Membership

_NOT_TESTED = "not tested; this audit says nothing about it"
_LINKABILITY = (
    "only by the picture itself: a person's other images, or a trained network, were not tried"
)


def coverage_rows(counts: Counts, membership: Membership) -> list[CoverageRow]:
    """Return one row per class of risk."""
    copies = (
        f"{counts.flagged} of {counts.synthetic} images are listed as copies; "
        f"{counts.patients} patients"
    )
    whole = (
        f"set level, from the images alone: p = {membership.p_value:.4f}"
        if membership.available and membership.p_value is not None
        else f"not available: {membership.reason}"
    )
    rows = [
        # risk, in scope, executed, result
        ("Regurgitation of training images", "yes", "yes", copies),
        ("Membership inference", "yes", "yes" if membership.available else "no", whole),
        ("Attribute inference", "no", "no", _NOT_TESTED),
        ("Model inversion", "no", "no", _NOT_TESTED),
        ("Reconstruction from the model", "no", "no", _NOT_TESTED),
        ("Exfiltration of the training data", "no", "no", _NOT_TESTED),
        ("Singling out (WP29)", "yes", "yes", "by the images listed as copies"),
        ("Linkability (WP29)", "yes", "yes", _LINKABILITY),
        (
            "Inference (WP29)",
            "yes",
            "yes" if membership.available else "no",
            "only membership of the set as a whole",
        ),
    ]
    return [
        CoverageRow(risk, in_scope == "yes", executed == "yes", result)
        for risk, in_scope, executed, result in rows
    ]
