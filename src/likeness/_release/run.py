"""The order of a release, from the audit folder to one rename."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from likeness._files import folder_lock, is_inside, write_json, write_text
from likeness._progress import SILENT, Progress
from likeness._release import release_log
from likeness._release.audit_folder import AuditContent, NotProvenError, open_audit
from likeness._release.audit_settings import unusual_settings
from likeness._release.decisions import Decisions, decide, withheld_by_rule
from likeness._release.encoding import choose_layout
from likeness._release.gate_scores import SAME, Null, Rescore, largest_difference, rescorer
from likeness._release.pages import limits_text, record_page
from likeness._release.policy import ReleasePolicy, read_policy
from likeness._release.private_files import write_released, write_withheld
from likeness._release.quality import consistency, specificity
from likeness._release.record import NAME, dataset_description, hash_of_images, make_record
from likeness._release.requirements import unmet
from likeness._release.reviews import Review, read_review, refuse_unknown_images
from likeness._release.sets import Given, Sets, open_sets, source_paths
from likeness._release.staging import (
    Staged,
    checksums_of,
    publish,
    read_back,
    refuse_existing,
    staging_folder,
    write_checksums,
    write_images,
)
from likeness._release.tables import ImagesTable
from likeness._release.verification import verify_release
from likeness.errors import OptionError

if TYPE_CHECKING:
    from likeness._release.encoding import Layout
    from likeness.types import Integers

TRAINING_SIGNAL: Final = (
    "The set as a whole points to its training patients, though no copy can be named: nobody knows "
    "which images to leave out. Train the generator again so that it keeps less of its patients."
)
Outcome = Literal["RELEASED", "BLOCKED", "NOT_PROVEN"]


@dataclass(frozen=True)
class Release:
    """What became of a set."""

    outcome: Outcome
    """``RELEASED`` (with `check`: would be), ``BLOCKED`` by the rules for the set, or
    ``NOT_PROVEN``: nothing can be shown, so nothing comes out."""
    reasons: tuple[str, ...]
    """Why not, in sentences; empty for ``RELEASED``."""
    out: Path | None = None
    """The folder that was written; None where none was."""
    num_audited: int = 0
    num_released: int = 0
    withheld_by_reason: dict[str, int] = field(default_factory=dict)
    """An image can meet several rules."""
    innocent_expected: float = 0.0
    """Images that copy nobody, expected among the withheld ones."""
    num_waiting: int = 0
    """Images withheld only because nobody has looked at them."""
    notes: tuple[str, ...] = ()
    """What a reader must know beside the numbers: weaker rules, unusual settings of the audit,
    and what could not be compared again. The record says them too."""
    record: dict[str, Any] | None = None

    @property
    def exit_code(self) -> int:
        """Exit code of the command."""
        return {"RELEASED": 0, "BLOCKED": 1, "NOT_PROVEN": 4}[self.outcome]


@dataclass(frozen=True)
class _Gate:
    """All that a decision rests on."""

    audit: AuditContent
    sets: Sets
    table: ImagesTable
    """In the order of the synthetic set."""
    policy: ReleasePolicy
    review: Review
    decisions: Decisions


def release_images(
    audit: Path | str,
    out: Path | str | None = None,
    *,
    policy: ReleasePolicy | Path | str | None = None,
    review: Path | str | None = None,
    check: bool = False,
    format: Literal["keep", "png", "nifti", "npz"] = "keep",  # noqa: A002 - the word of the flag
    seed: int | None = None,
    train: Given = None,
    synthetic: Given = None,
    test: Given = None,
    rescore: Rescore | None = None,
    progress: Progress = SILENT,
) -> Release:
    """Release the synthetic images of an audit that meet a policy.

    It fails closed: if anything is missing, changed or goes wrong, there is no folder `out`.

    Parameters
    ----------
    audit
        The folder that an audit wrote.
    out
        The folder to make; it must not exist. None only with `check`.
    policy
        The rules, or a TOML file with them; None for the defaults.
    review
        A JSON file with the decisions of people about single images.
    check
        Decide only, write nothing.
    format
        ``png``, ``nifti``, ``npz``, or ``keep`` for that of the source files where possible.
    seed
        For the order of the images. None draws one; the same seed gives the same files, and who
        knows it can restore the order of the audit.
    train, synthetic, test
        The sets of the audit, where they were passed to it as arrays or lie elsewhere now.
    rescore
        How the released files are scored again; None for the way of the audit.
    progress
        Where long work is shown; silent by default.

    Returns
    -------
    Release
        What became of the set, with reasons.

    Raises
    ------
    InputError
        If there is no audit, or the review or policy cannot be read or belongs to another audit.
    OptionError
        If the policy is not valid, `out` exists or lies in an input, or the format cannot hold the
        pixels.
    LockedError
        If another run is at work on the audit.
    OutputError
        If the release cannot be written.
    """
    audit = Path(audit)
    rules = policy if isinstance(policy, ReleasePolicy) else _policy_from(policy)
    said = Review() if review is None else read_review(review)
    given: dict[Any, Given] = {"train": train, "synthetic": synthetic, "test": test}
    if check:
        return _decide(audit, rules, said, given, progress)[0]
    if out is None:
        msg = "--out is missing; give the folder to make, or --check to decide only."
        raise OptionError(msg)
    out = Path(out)
    refuse_existing(out)
    _refuse_inside(out, [audit])
    if not (audit / "findings.json").is_file():
        open_audit(audit)  # says that there is none, before a lock is left there
    with folder_lock(audit):
        outcome, gate = _decide(audit, rules, said, given, progress)
        if gate is None or outcome.outcome != "RELEASED":
            return _refused(audit, outcome, gate)
        _refuse_inside(out, source_paths(gate.audit))
        layout = choose_layout(gate.sets.synthetic, format)
        seed = secrets.randbits(63) if seed is None else seed
        try:
            record = _make(gate, out, layout, seed, rescore, progress)
        except NotProvenError as error:
            refusal = Release("NOT_PROVEN", error.reasons, num_audited=len(gate.table))
            return _refused(audit, refusal, gate)
        return Release(**{**vars(outcome), "out": out, "record": record})


def _policy_from(policy: Path | str | None) -> ReleasePolicy:
    return ReleasePolicy() if policy is None else read_policy(policy)


def _decide(
    folder: Path,
    policy: ReleasePolicy,
    review: Review,
    given: dict[Any, Given],
    progress: Progress,
) -> tuple[Release, _Gate | None]:
    """Decide about the set and every image; write nothing."""
    try:
        audit = open_audit(folder)
        release_log.read(folder)  # an altered trail stops the release before it is made
        refuse_unknown_images(review, audit.images.image_ids)
        sets = open_sets(audit, given=given, progress=progress)
    except NotProvenError as error:
        return Release("NOT_PROVEN", error.reasons), None
    reasons = unmet(audit, sets, policy, review) or _contradictions(audit)
    if reasons:
        return Release("NOT_PROVEN", tuple(reasons), num_audited=len(audit.images)), None
    table = audit.images.take(_in_order_of(sets, audit.images))
    decisions = decide(table, audit.null, policy, review)
    if policy.no_training_signal and audit.findings.verdict.code == "TRAINING_SIGNAL":
        decisions = replace(decisions, blocked=(*decisions.blocked, TRAINING_SIGNAL))
    gate = _Gate(audit, sets, table, policy, review, decisions)
    num_released = int(decisions.released.sum())
    return (
        Release(
            "BLOCKED" if decisions.blocked else "RELEASED",
            decisions.blocked,
            num_audited=len(table),
            num_released=0 if decisions.blocked else num_released,
            withheld_by_reason=decisions.by_reason(),
            innocent_expected=decisions.innocent_expected(policy),
            num_waiting=sum(why == ("not_reviewed",) for why in decisions.reasons),
            notes=(
                *(f"A rule is weaker than usual: {line}." for line in policy.loosened()),
                *(
                    f"The audit had another setting than usual: {line}."
                    for line in unusual_settings(audit.findings.provenance.settings)
                ),
                *sets.not_checked,
            ),
        ),
        gate,
    )


def _contradictions(audit: AuditContent) -> list[str]:
    """Compute every p-value again from the contrasts and the baseline of the tables."""
    null = Null.of(audit.null, audit.findings.merged_patients, _inflation(audit))
    judged = ~audit.images.undefined
    again, told = null.p_value(audit.images.contrast)[judged], audit.images.p_value[judged]
    apart = int(np.count_nonzero(~np.isclose(again, told, rtol=SAME, atol=0.0, equal_nan=True)))
    if not apart:
        return []
    return [
        f"The p-values of {apart} images do not follow from the scores beside them: a table was "
        "changed, or another version of Likeness wrote it. Run the audit again."
    ]


def _in_order_of(sets: Sets, table: ImagesTable) -> Integers:
    row_of = {image_id: row for row, image_id in enumerate(table.image_ids)}
    return np.array([row_of[image_id] for image_id in sets.synthetic.image_ids], dtype=np.int64)


def _refused(folder: Path, outcome: Release, gate: _Gate | None) -> Release:
    """Write down that nothing came out, where the audit is sound enough to be written to."""
    if gate is not None:
        write_withheld(folder, gate.table.image_ids, gate.decisions)
        release_log.append(folder, _log_entry(gate, outcome.outcome, list(outcome.reasons)))
    return outcome


def _make(
    gate: _Gate,
    out: Path,
    layout: Layout,
    seed: int,
    rescore: Rescore | None,
    progress: Progress,
) -> dict[str, Any]:
    """Write, read back, judge again, describe, and give the folder its name."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(gate.decisions.released))
    score = rescorer(gate.audit, gate.sets) if rescore is None else rescore
    null = Null.of(gate.audit.null, gate.audit.findings.merged_patients, _inflation(gate.audit))
    with staging_folder(out) as folder:
        staged = write_images(folder, gate.sets.synthetic, rows, layout, progress=progress)
        _judge_again(gate, staged, score, progress)
        record = _record(gate, folder, layout, null, score, progress)
        write_json(folder / NAME, record)
        write_text(folder / "release_record.html", record_page(record))
        write_text(folder / "LIMITS.md", limits_text(record))
        write_json(folder / "dataset_description.json", dataset_description())
        write_checksums(folder)
        problems = verify_release(folder).problems
        if problems:
            msg = f"The finished release does not pass its own check: {problems[0]}."
            raise NotProvenError(msg)
        write_withheld(gate.audit.folder, gate.table.image_ids, gate.decisions)
        write_released(gate.audit.folder, gate.table.image_ids, staged)
        entry = _log_entry(gate, "RELEASED", [])
        entry |= {"record_sha256": record["record_sha256"], "seed": seed}
        release_log.append(gate.audit.folder, entry)
        try:
            publish(folder, out)
        except BaseException:
            reasons = ["The finished folder could not be given its name."]
            release_log.append(gate.audit.folder, _log_entry(gate, "NOT_WRITTEN", reasons))
            raise
    return record


def _judge_again(gate: _Gate, staged: Staged, score: Rescore, progress: Progress) -> None:
    """Score the files on disk and hold them against the same thresholds.

    Raises
    ------
    NotProvenError
        If a pixel differs, a score differs from that of the audit, an image would be withheld, or
        the number of images is another one.
    """
    count, table = 0, gate.table
    with progress.task("judge again", len(staged.rows)) as task:
        for rows, images in read_back(staged, gate.sets.synthetic):
            scores = score(images)
            before = table.take(rows)
            apart = max(
                largest_difference(scores.similarity, before.similarity),
                largest_difference(scores.contrast, before.contrast),
            )
            if apart > SAME:
                msg = (
                    "The released files do not score as the audit says: the scores differ by "
                    f"{apart:.2g}. Run the audit again with this version, then the release."
                )
                raise NotProvenError(msg)
            # Equal contrasts have equal p-values: the baseline and the line are the same.
            withheld = withheld_by_rule(
                p_value=before.p_value,
                similarity=scores.similarity,
                thresholds=gate.decisions.thresholds,
                kinds=gate.policy.withhold_transforms,
                transforms=before.transforms,
                angle=before.angle,
                shift=before.shift,
            )
            if any(withheld) or before.flagged.any() or before.undefined.any():
                msg = "An image among the released files would be withheld; nothing comes out."
                raise NotProvenError(msg)
            count += len(images)
            task.advance(len(images))
    if count != int(gate.decisions.released.sum()):
        msg = f"{count} images were read back; {int(gate.decisions.released.sum())} were decided."
        raise NotProvenError(msg)


def _record(
    gate: _Gate, folder: Path, layout: Layout, null: Null, score: Rescore, progress: Progress
) -> dict[str, Any]:
    return make_record(
        audit=gate.audit,
        synthetic=gate.sets.synthetic,
        policy=gate.policy,
        review=gate.review,
        decisions=gate.decisions,
        layout=layout,
        images_sha256=hash_of_images(checksums_of(folder)),
        specificity=specificity(gate.audit.control, null, gate.decisions.thresholds, gate.policy),
        jitter=consistency(
            gate.sets.synthetic,
            gate.table,
            gate.decisions,
            null=null,
            rescore=score,
            policy=gate.policy,
            progress=progress,
        ),
        not_checked=gate.sets.not_checked,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )


def _log_entry(gate: _Gate, decision: str, reasons: list[str]) -> dict[str, Any]:
    released = int(gate.decisions.released.sum()) if decision == "RELEASED" else 0
    return {
        "decision": decision,
        "reasons": reasons,
        "policy_sha256": gate.policy.sha256,
        "weaker_than_default": gate.policy.loosened(),
        "audit_sha256": gate.audit.sha256,
        "review_sha256": gate.review.sha256 or None,
        "reviewers": list(gate.review.reviewers),
        "audited": len(gate.table),
        "released": released,
        "withheld_by_reason": gate.decisions.by_reason(),
    }


def _inflation(audit: AuditContent) -> float:
    negative = audit.findings.self_check.negative
    return 1.0 if negative is None else negative.inflation


def _refuse_inside(out: Path, inputs: list[Path]) -> None:
    for path in inputs:
        if is_inside(out, path):
            msg = (
                f"--out {str(out)!r} lies inside {str(path)!r}, which is an input. Choose another."
            )
            raise OptionError(msg)
