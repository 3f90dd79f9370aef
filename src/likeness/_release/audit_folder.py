"""A finished audit, read once: what was hashed is what is used.

Every file is read into memory, its hash compared with the `SHA256SUMS` that the audit left, and
only these bytes are interpreted. A file that changes in between cannot slip in.
"""

from __future__ import annotations

import csv
import hashlib
import io
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from likeness._findings import Findings, findings_from_json
from likeness._release.tables import CONTROL, BaselineTable, baseline_from, images_from
from likeness.errors import InputError

if TYPE_CHECKING:
    from likeness._release.tables import ImagesTable

CHECKSUMS: Final = "SHA256SUMS"
COMPLETE: Final = "COMPLETE"
NEEDED: Final = ("findings.json", "images.parquet", "baseline.parquet", "settings.toml")
OPTIONAL: Final = ("errors.csv", "patients.parquet")


class NotProvenError(Exception):
    """Nothing can be shown about this set; the reasons are sentences for the user."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__(" ".join(reasons))


@dataclass(frozen=True)
class AuditContent:
    """What an audit left, as far as a release needs it."""

    folder: Path
    findings: Findings
    images: ImagesTable
    null: BaselineTable
    """train -> train: behind the p-values."""
    control: BaselineTable
    """test -> train; empty without a test set."""
    settings: dict[str, Any]
    left_out: tuple[dict[str, str], ...]
    """Rows of ``errors.csv``."""
    sha256: str
    """Of `SHA256SUMS`: it stands for all files of the audit."""
    findings_sha256: str


def open_audit(folder: Path) -> AuditContent:
    """Read an audit folder.

    Raises
    ------
    InputError
        If there is no audit.
    FormatVersionError
        If another version wrote it.
    NotProvenError
        If it was not finished, or a file of it is not as the audit wrote it.
    """
    if not (folder / "findings.json").is_file():
        msg = f"There is no audit in {str(folder)!r}: 'findings.json' is missing."
        raise InputError(msg)
    if not (folder / COMPLETE).is_file():
        msg = (
            f"The audit in {str(folder)!r} was not finished. Run `likeness audit` again with the "
            "same settings; it goes on where it stopped."
        )
        raise NotProvenError(msg)
    sums, sha256 = _read_checksums(folder / CHECKSUMS)
    content = {name: _read_unchanged(folder, name, sums) for name in NEEDED}
    content.update(
        {
            name: _read_unchanged(folder, name, sums)
            for name in OPTIONAL
            if name in sums or (folder / name).exists()
        }
    )
    findings = findings_from_json(
        _text(content["findings.json"], "findings.json"), where=str(folder / "findings.json")
    )
    if (folder / COMPLETE).read_text(errors="replace").split()[:1] != [findings.provenance.run_id]:
        msg = "'COMPLETE' and 'findings.json' are of different runs. Run the audit again."
        raise NotProvenError(msg)
    try:
        images = images_from(content["images.parquet"])
        tables = content["baseline.parquet"]
        null = baseline_from(tables, findings.baseline.comparison, null=True)
        control = baseline_from(tables, CONTROL, null=False)
        settings = tomllib.loads(_text(content["settings.toml"], "settings.toml"))
    except (InputError, tomllib.TOMLDecodeError) as error:
        raise NotProvenError(str(error)) from error
    rows = csv.DictReader(io.StringIO(_text(content.get("errors.csv", b""), "errors.csv")))
    return AuditContent(
        folder=folder,
        findings=findings,
        images=images,
        null=null,
        control=control,
        settings=settings,
        left_out=tuple(dict(row) for row in rows),
        sha256=sha256,
        findings_sha256=sums["findings.json"],
    )


def parse_checksums(text: str) -> dict[str, str]:
    """Return name -> SHA-256 of the lines of a ``SHA256SUMS``.

    Raises
    ------
    InputError
        If a line is none, or names a file twice or outside the folder.
    """
    if not text.endswith("\n"):
        msg = f"{CHECKSUMS!r} ends in the middle of a line."
        raise InputError(msg)
    sums: dict[str, str] = {}
    # Not splitlines, which also takes a vertical tab for the end of a line.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        digest, _, name = line.partition("  ")
        parts = name.split("/")
        good = len(digest) == 64 and set(digest) <= set("0123456789abcdef")
        if not good or not name.isprintable() or name in sums or {"", "..", "."} & set(parts):
            msg = f"Line {number} of {CHECKSUMS!r} is not a checksum and a name: {line[:80]!r}."
            raise InputError(msg)
        sums[name] = digest
    return sums


def _read_checksums(path: Path) -> tuple[dict[str, str], str]:
    if not path.is_file():
        msg = (
            "The audit has no 'SHA256SUMS', so nobody can tell whether its files were changed "
            "since. Run the audit again with this version of Likeness."
        )
        raise NotProvenError(msg)
    content = path.read_bytes()
    try:
        sums = parse_checksums(_text(content, CHECKSUMS))
    except InputError as error:
        raise NotProvenError(str(error)) from error
    return sums, hashlib.sha256(content).hexdigest()


def _read_unchanged(folder: Path, name: str, sums: dict[str, str]) -> bytes:
    path = folder / name
    if name not in sums:
        msg = f"'SHA256SUMS' of the audit does not list {name!r}. Run the audit again."
        raise NotProvenError(msg)
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{name!r} of the audit cannot be read: {error.strerror}. Run the audit again."
        raise NotProvenError(msg) from error
    if hashlib.sha256(content).hexdigest() != sums[name]:
        msg = f"{name!r} was changed since the audit. Run the audit again."
        raise NotProvenError(msg)
    return content


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = f"{name!r} of the audit is not UTF-8 text. Run the audit again."
        raise NotProvenError(msg) from error
