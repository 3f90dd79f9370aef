"""What an audit found: plain frozen records, and their way to JSON and back.

`Findings` is the one result of an audit. It holds no pixels. `findings.json` is its exact image;
its JSON Schema comes from the same definitions. `records` holds what was found, `decisions` what
was concluded and how far that goes, `lines` the end state in a terminal.
"""

from __future__ import annotations

from likeness._findings.decisions import (
    AffectedPatients,
    Consistency,
    CoverageRow,
    EqualSize,
    Family,
    FamilyBaseline,
    Interval,
    Membership,
    NegativeControl,
    PanelRow,
    PlantedKind,
    PlantedLevel,
    Rates,
    SelfCheck,
)
from likeness._findings.records import (
    FORMAT_NAME,
    FORMAT_VERSION,
    Baseline,
    Check,
    CheckStatus,
    Comparison,
    Copy,
    Counts,
    Distribution,
    DuplicatePair,
    Findings,
    MostCopied,
    PatientLeak,
    Provenance,
    SetSummary,
    Verdict,
    VerdictCode,
    findings_from_json,
    findings_schema,
)

__all__ = [
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "AffectedPatients",
    "Baseline",
    "Check",
    "CheckStatus",
    "Comparison",
    "Consistency",
    "Copy",
    "Counts",
    "CoverageRow",
    "Distribution",
    "DuplicatePair",
    "EqualSize",
    "Family",
    "FamilyBaseline",
    "Findings",
    "Interval",
    "Membership",
    "MostCopied",
    "NegativeControl",
    "PanelRow",
    "PatientLeak",
    "PlantedKind",
    "PlantedLevel",
    "Provenance",
    "Rates",
    "SelfCheck",
    "SetSummary",
    "Verdict",
    "VerdictCode",
    "findings_from_json",
    "findings_schema",
]
