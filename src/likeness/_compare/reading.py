"""A finished audit, read for a comparison: what was hashed is what is used."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._audit import require_complete
from likeness._findings import Findings, SetSummary
from likeness._findings.records import findings_from_json
from likeness.errors import InputError
from likeness.types import Floats

if TYPE_CHECKING:
    import pyarrow as pa

_FILES: Final = ("findings.json", "images.parquet", "baseline.parquet")
_R: Final = "correlation_identity"
"""The paper's number: r over all compared channels and pixels, without flips and turns."""


@dataclass(frozen=True)
class Audited:
    """One audit. The lists hold the highest r of every image, without flips and turns."""

    name: str
    findings: Findings
    settings: dict[str, Any]
    synthetic: Floats
    """(n,) synthetic -> train; images without contrast, which have none, are left out."""
    undefined: int
    """How many are left out."""
    baseline: Floats
    """(m,) of real images of other people, in the same training set; empty without a baseline."""
    baseline_people: NDArray[np.int64]
    """(m,) codes of their patients."""
    baseline_of: str | None
    """``test->train``, ``train->train`` where held-out images are too few, or None: the audit's
    own choice."""
    with_test: Floats
    """(n,) synthetic -> test; empty without a test set."""

    def about(self, role: str) -> SetSummary | None:
        """Return what the audit says of one of its sets; None if there was none."""
        return next((one for one in self.findings.sets if one.role == role), None)

    @property
    def compared_channels(self) -> list[str]:
        """The channels that were compared."""
        chosen = self.settings.get("channels")
        train = self.about("train")
        return list(chosen) if chosen else list(train.channels) if train else []


def read_audit(folder: Path, name: str) -> Audited:
    """Read a finished audit.

    Raises
    ------
    InputError
        If it is not finished, or a file of it is not as the audit wrote it.
    FormatVersionError
        If another version of Likeness wrote it.
    """
    require_complete(folder)
    content = _read_unchanged(folder)
    findings = findings_from_json(
        content["findings.json"].decode("utf-8"), where=str(folder / "findings.json")
    )
    if (folder / "COMPLETE").read_text(errors="replace").split()[:1] != [
        findings.provenance.run_id
    ]:
        msg = (
            f"In {str(folder)!r} 'COMPLETE' and 'findings.json' are of different runs. Run the "
            "audit again."
        )
        raise InputError(msg)
    synthetic = _values(_table(content, "images.parquet", folder, (_R,)))
    table = _table(content, "baseline.parquet", folder, ("comparison", "patient", _R, "left_out"))
    comparisons = np.asarray(table["comparison"].to_pylist(), dtype=object)
    values = _values(table)
    usable = ~table["left_out"].to_numpy(zero_copy_only=False).astype(bool) & np.isfinite(values)
    side = findings.baseline.yardstick
    rows = np.flatnonzero(usable & (comparisons == side))
    people = table["patient"].to_pylist()
    one_person = {
        patient: number
        for number, group in enumerate(findings.merged_patients)
        for patient in group
        if side == "train->train"  # only training patients are merged
    }
    persons = [str(one_person.get(people[row], f"patient {people[row]}")) for row in rows]
    return Audited(
        name=name,
        findings=findings,
        settings=dict(findings.provenance.settings),
        synthetic=synthetic[np.isfinite(synthetic)],
        undefined=int((~np.isfinite(synthetic)).sum()),
        baseline=values[rows],
        baseline_people=np.unique(persons, return_inverse=True)[1].astype(np.int64),
        baseline_of=side if len(rows) else None,
        with_test=values[np.isfinite(values) & (comparisons == "synthetic->test")],
    )


def _read_unchanged(folder: Path) -> dict[str, bytes]:
    """Read what is needed, each file once and against the checksums of the audit."""
    path = folder / "SHA256SUMS"
    if not path.is_file():
        msg = (
            f"The audit in {str(folder)!r} has no 'SHA256SUMS', so nobody can tell whether its "
            "files were changed since. Run the audit again with this version of Likeness."
        )
        raise InputError(msg)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    content = {}
    for name in _FILES:
        try:
            content[name] = (folder / name).read_bytes()
        except OSError as error:
            msg = f"{str(folder / name)!r} cannot be read: {error.strerror}. Run the audit again."
            raise InputError(msg) from error
        if hashlib.sha256(content[name]).hexdigest() != sums.get(name):
            msg = f"{str(folder / name)!r} was changed since the audit. Run the audit again."
            raise InputError(msg)
    return content


def _table(
    content: dict[str, bytes], name: str, folder: Path, columns: tuple[str, ...]
) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(io.BytesIO(content[name]), columns=list(columns)).select(columns)
    except (pa.ArrowException, KeyError) as error:
        msg = f"{str(folder / name)!r} lacks {', '.join(columns)}. Run the audit again."
        raise InputError(msg) from error


def _values(table: pa.Table) -> Floats:
    """Return the correlations, NaN where there is none."""
    values: Floats = table[_R].to_numpy(zero_copy_only=False).astype(np.float64)
    return values
