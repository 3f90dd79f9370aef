"""What an audit found: plain frozen records, and their way to JSON and back.

`Findings` is the one result of an audit. It holds no pixels. `findings.json` is its exact image;
its JSON Schema comes from the same definitions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from likeness._files import write_json
from likeness._findings.decisions import (
    AffectedPatients,
    CoverageRow,
    EqualSize,
    Family,
    FamilyBaseline,
    Membership,
    PanelRow,
    Rates,
    SelfCheck,
)
from likeness.errors import FormatVersionError, InputError

FORMAT_NAME: Final = "likeness findings"
FORMAT_VERSION: Final = 2

VerdictCode = Literal["COPIES_FOUND", "TRAINING_SIGNAL", "NO_COPY_DETECTED", "INCONCLUSIVE"]
CheckStatus = Literal["PASS", "WARN", "FAIL"]
Comparison = Literal["synthetic->train", "test->train", "train->train", "synthetic->test"]


@dataclass(frozen=True)
class Verdict:
    """The answer in one word and one sentence."""

    code: VerdictCode
    sentence: str
    """For a reader without statistics."""
    reasons: list[str] = field(default_factory=list)
    """What led to it, and for `INCONCLUSIVE` what is needed."""


@dataclass(frozen=True)
class Counts:
    """How many of everything. Files add up: found = used + left out, per set."""

    synthetic: int
    """Synthetic images compared."""
    train: int
    test: int
    """Test images given, whether or not they serve as the baseline."""
    flagged: int
    """Synthetic images flagged as copies, at the false discovery rate of the audit."""
    unusual: int
    """Images flagged at the wider rate of the gate; the copies are among them."""
    expected: float
    """Listed copies that are expected to be no copies: the false discovery rate times `flagged`."""
    patients: int
    """Training patients with at least one flagged image."""
    train_patients: int
    test_patients: int
    undefined: int
    """Synthetic images without a score, being constant at full size or at block means in every
    channel that could be compared: they are never flagged."""
    pairs: int
    """Pairs of images compared at full size in the search synthetic -> train, flips and turns
    not counted."""


@dataclass(frozen=True)
class Copy:
    """One synthetic image flagged as a copy, and the training image it reproduces."""

    image_id: str
    match_id: str
    patient_id: str
    family: Family
    """The simplest way of comparing that shows the copy about as clearly as the clearest one."""
    alteration: str
    """How the synthetic image is moved to lie on the training image, in words; empty if it need not
    be. A copy that was turned to the left is turned to the right here."""
    p_value: float
    """Probability that a picture of another person stands out as much, times the four families."""
    p_conservative: float
    """The p-value without extrapolation and pooling; it can't fall below a limit that the number
    of baseline images sets."""
    extrapolated: bool
    """Whether `p_value` lies beyond all baseline images, on the fitted tail."""
    q_value: float
    """Smallest false discovery rate at which the image is listed."""
    contrast: float
    """artanh r(1) - artanh r(2), in the deciding family."""
    similarity: float
    """r(1) in the deciding family: r_ch of 64 x 64 block means; of their slopes after registration;
    of the best part for the tiles."""
    second_patient_id: str
    """The second most similar patient."""
    second_similarity: float
    baseline_above: int
    """Baseline images that stand out at least as much, in the deciding family."""
    baseline_size: int
    transform: str
    """Flip or quarter turn of the synthetic image that lies best on the training image."""
    correlation: float
    """Pearson r over all pixels and channels, full size, of this pair turned so; in [-1, 1]."""
    correlation_mean: float
    """Mean over channels of the per-channel r, full size, of this pair turned so."""
    correlation_per_channel: list[float | None] = field(default_factory=list)
    """Full size; None where the channel is constant in either image."""
    correlation_registered: float | None = None
    """r_cat at full size after registration, on the overlap."""
    overlap: float | None = None
    """Share of the frame that overlaps after registration."""
    masked_correlation: float | None = None
    """r_ch over the foreground of the synthetic image alone."""
    structural_similarity: float | None = None
    mutual_information: float | None = None
    """Normalised: 1 to 2."""
    residual: float | None = None
    """What is left of the synthetic image after fitting the training image to it, relative."""


@dataclass(frozen=True)
class PatientLeak:
    """A training person with at least one flagged synthetic image."""

    patient_id: str
    """Patients that are one person: all their names, joined by " = "."""
    num_copies: int
    best_correlation: float
    """Highest full-size r_cat among them."""
    p_value: float
    """Simes' p over the images nearest to this patient."""
    density_rank: float | None
    """Where the patient stands among all by nearness to others, 0 the most apart to 1; patients
    who look like few others are at higher risk."""
    image_ids: list[str]
    match_ids: list[str]
    """The distinct training images that were matched."""


@dataclass(frozen=True)
class MostCopied:
    """A training image that several flagged images point to."""

    match_id: str
    patient_id: str
    num_copies: int


@dataclass(frozen=True)
class Baseline:
    """What real images of other people reach: the yardstick."""

    comparison: Comparison | None
    """The comparison behind the p-values: train->train, or test->train where there are too few
    training people; None where there is none."""
    reason: str
    """Why there is none, or what it rests on."""
    num_images: int
    num_patients: int
    num_groups: int
    """Patients, those that share equal images counted once."""
    families: list[FamilyBaseline]
    yardstick: Comparison | None
    """The comparison that the three numbers below come from."""
    median: float | None
    """Highest r_cat at full size of a real image with a picture of another person: its median."""
    quantile_99: float | None
    """One pair of real images of different people in a hundred reaches more."""
    maximum: float | None
    fdr_copy: float = 0.05
    """False discovery rate at which an image is listed as a copy."""
    fdr_gate: float = 0.20
    """False discovery rate at which an image is listed as unusual."""


@dataclass(frozen=True)
class Distribution:
    """The highest correlation of every query image, summed up, for one comparison."""

    comparison: Comparison
    num_images: int
    num_reference_patients: int
    mean_correlation_identity: float | None
    """Mean highest r_cat without flips and turns: the paper's number."""
    mean_correlation: float | None
    """Mean highest r_cat over the flips and turns that were searched."""
    mean_correlation_mean: float | None
    """Mean highest r_ch over the flips and turns that were searched."""
    median_correlation: float | None
    quantile_99_correlation: float | None
    maximum_correlation: float | None
    median_score: float | None
    """Highest r_ch at 64 x 64 block means over the flips and turns, of the images compared there:
    the median."""
    quantile_99_score: float | None
    maximum_score: float | None


@dataclass(frozen=True)
class Check:
    """One row of "can this audit be trusted?"."""

    name: str
    status: CheckStatus
    detail: str
    """What was found, with numbers."""
    action: str = ""
    """What to do about it; empty for PASS."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two images that are equal or almost equal though they should not be."""

    kind: Literal["exact", "near"]
    first_set: Literal["train", "test", "synthetic"]
    first_id: str
    second_set: Literal["train", "test", "synthetic"]
    second_id: str
    first_patient: str | None
    second_patient: str | None
    correlation: float
    """r_ch at 64 x 64 block means; 1 for exact duplicates."""
    transform: str = "identity"


@dataclass(frozen=True)
class SetSummary:
    """One of the three sets as it was used."""

    role: Literal["train", "test", "synthetic"]
    num_found: int
    """Files found in the folder."""
    num_used: int
    num_left_out: int
    num_skipped: int
    """Left out though they should have been used; the others were left out by rule."""
    num_images: int
    """Images made of the used files."""
    num_patients: int
    patient_rule: str
    shape: list[int]
    """C, H, W."""
    dtype: str
    channels: list[str]
    minimum: float
    maximum: float
    mean: float
    fingerprint: str


@dataclass(frozen=True)
class Provenance:
    """How the numbers came about."""

    run_id: str
    started: str
    """UTC, ISO 8601."""
    seconds: float
    command: str
    versions: dict[str, str]
    engine: str
    engine_check: str
    threads: int
    memory_bytes: int
    processor: str
    settings: dict[str, Any]
    settings_hash: str


@dataclass(frozen=True)
class Findings:
    """Everything an audit concluded. `Findings.read(folder)` brings back a written one."""

    verdict: Verdict
    counts: Counts
    copies: list[Copy]
    """Flagged images, smallest p-value first."""
    patients: list[PatientLeak]
    """Most copies first."""
    most_copied: list[MostCopied]
    baseline: Baseline
    distributions: list[Distribution]
    checks: list[Check]
    self_check: SelfCheck
    membership: Membership
    equal_size: EqualSize | None
    rates: Rates
    affected: AffectedPatients
    panel: list[PanelRow]
    coverage: list[CoverageRow]
    duplicates: list[DuplicatePair]
    merged_patients: list[list[str]]
    """Patients that count as one person, for they share an equal image."""
    sets: list[SetSummary]
    methods: str
    """The methods paragraph, with the numbers of this run."""
    provenance: Provenance
    duplicates_total: int = 0
    """All duplicate pairs found; `duplicates` holds the first of them."""
    undefined_ids: list[str] = field(default_factory=list)
    """Synthetic images without a score; see `Counts.undefined`."""
    format_name: str = FORMAT_NAME
    format_version: int = FORMAT_VERSION

    def __str__(self) -> str:
        return "\n".join(self.describe())

    def describe(self) -> list[str]:
        """Return the findings as the lines that a terminal shows."""
        from likeness._findings.lines import describe

        return describe(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return _adapter().dump_python(self, mode="json")  # type: ignore[no-any-return]

    def write_json(self, path: Path) -> None:
        """Write `findings.json` (internal: it holds ids), atomically."""
        write_json(path, self.to_dict(), private=True)

    @staticmethod
    def read(folder: Path | str) -> Findings:
        """Read the findings of an audit folder.

        Raises
        ------
        InputError
            If there are none.
        FormatVersionError
            If another version of Likeness wrote them in another format.
        """
        folder = Path(folder)
        path = folder / "findings.json" if folder.is_dir() else folder
        if not path.is_file():
            msg = f"There is no audit in {str(folder)!r}: 'findings.json' is missing."
            raise InputError(msg)
        return findings_from_json(path.read_text(encoding="utf-8"), where=str(path))


def findings_from_json(text: str, *, where: str) -> Findings:
    """Turn the text of a `findings.json` back into `Findings`; `where` is named in errors."""
    try:
        content = json.loads(text)
        found = (content["format_name"], content["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{where!r} is not a findings file of Likeness: {error}."
        raise InputError(msg) from error
    if found != (FORMAT_NAME, FORMAT_VERSION):
        msg = (
            f"{where!r} has format {found[0]!r} version {found[1]}; this Likeness reads "
            f"{FORMAT_NAME!r} version {FORMAT_VERSION}. Use the version that wrote it."
        )
        raise FormatVersionError(msg)
    try:
        return _adapter().validate_python(content)  # type: ignore[no-any-return]
    except ValueError as error:
        msg = f"{where!r} does not follow the schema of findings."
        raise InputError(msg) from error


def findings_schema() -> dict[str, Any]:
    """Return the JSON Schema of `findings.json`."""
    schema: dict[str, Any] = _adapter().json_schema()
    schema["$id"] = f"likeness-findings-{FORMAT_VERSION}.schema.json"
    return schema


def _adapter() -> Any:  # noqa: ANN401
    from pydantic import TypeAdapter  # here, so that importing Likeness stays cheap

    return TypeAdapter(Findings)
