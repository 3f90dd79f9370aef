"""`likeness release`."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from likeness._release import Release, release_images, verify_release
from likeness._release.record import REASON_WORDS
from likeness.cli._console import remark, say
from likeness.cli._options import Output
from likeness.errors import OptionError

CHANGED = 1


def release(
    *,
    audit: Path | None = None,
    out: Path | None = None,
    policy: Path | None = None,
    review: Path | None = None,
    check: Annotated[bool, Parameter(negative="")] = False,
    format: Annotated[  # noqa: A002 - the word of the flag
        Literal["keep", "png", "nifti", "npz"], Parameter(show_choices=True)
    ] = "keep",
    seed: int | None = None,
    verify: Path | None = None,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Hand on the synthetic images of an audit that meet a policy, and nothing else.

    Exit codes: 0 a set was written; 1 the rules for the set forbid it; 4 nothing can be shown,
    so nothing comes out.

    Parameters
    ----------
    audit
        Folder that `likeness audit` wrote.
    out
        Folder to make; it must not exist.
    policy
        TOML file with the rules; the defaults suit most sets.
    review
        JSON file with decisions of people about single images.
    check
        Decide only; write nothing.
    format
        Format of the files; keep is that of the source where it is one of these.
    seed
        For the order of the images; drawn by default.
    verify
        Compare a release with its checksums and its record; needs no training data.
    """
    if verify is not None:
        if audit is not None or out is not None or policy is not None or review is not None:
            msg = "--verify FOLDER stands alone: it needs neither the audit nor an output."
            raise OptionError(msg)
        return _verify(verify, output)
    if audit is None:
        msg = "--audit is missing: the folder that `likeness audit` wrote; or --verify FOLDER."
        raise OptionError(msg)
    result = release_images(
        audit,
        out,
        policy=policy,
        review=review,
        check=check,
        format=format,
        seed=seed,
        progress=output.make_progress(),
    )
    if output.json:
        say(json_module.dumps(_as_json(result), indent=2, sort_keys=True))
    else:
        say(*_lines(result, audit, check=check))
    if result.exit_code and not output.quiet:
        remark(f"Nothing was released: exit code {result.exit_code}.")
    return result.exit_code


def _verify(folder: Path, output: Output) -> int:
    result = verify_release(folder, progress=output.make_progress())
    if output.json:
        content = {
            "path": str(folder),
            "files": result.num_files,
            "images": result.num_images,
            "problems": list(result.problems),
        }
        say(json_module.dumps(content, indent=2, sort_keys=True))
    elif result.problems:
        say(f"{len(result.problems)} problems in {folder}", *(f"  {p}" for p in result.problems))
        say("next  do not use the images; ask the sender for them again")
    else:
        say(
            f"{folder}: {result.num_images} images, {result.num_files} files, every byte as "
            "released",
            f"next  read {folder / 'LIMITS.md'}; compare record_sha256 with the sender",
        )
    return 0 if result.ok else CHANGED


def _as_json(result: Release) -> dict[str, object]:
    return {
        "outcome": result.outcome,
        "reasons": list(result.reasons),
        "out": None if result.out is None else str(result.out),
        "audited": result.num_audited,
        "released": result.num_released,
        "withheld_by_reason": result.withheld_by_reason,
        "innocent_expected": result.innocent_expected,
        "waiting_for_review": result.num_waiting,
        "notes": list(result.notes),
        "record_sha256": None if result.record is None else result.record["record_sha256"],
    }


def _lines(result: Release, audit: Path, *, check: bool) -> list[str]:
    heads = {
        "RELEASED": "WOULD BE RELEASED" if check else "RELEASED",
        "BLOCKED": "BLOCKED",
        "NOT_PROVEN": "NOTHING CAN BE SHOWN",
    }
    lines = [heads[result.outcome], *(f"  {reason}" for reason in result.reasons)]
    if result.outcome != "NOT_PROVEN":
        lines.append(f"  {result.num_released} of {result.num_audited} images come out; withheld:")
        lines += [
            f"  {count:>6}  {REASON_WORDS[reason]}"
            for reason, count in result.withheld_by_reason.items()
        ]
        lines.append(
            f"  an image can meet several rules; about {result.innocent_expected:.1f} of the "
            "withheld images copy nobody"
        )
    lines += [f"  note  {note}" for note in result.notes]
    if result.num_waiting:
        lines.append(
            f"  {result.num_waiting} wait for a person: look at them and give --review FILE"
        )
    if result.out is not None:
        lines += [
            f"wrote {result.out} (images, record, limits: this may be handed on)",
            f"      {audit / 'withheld.csv'} (ids: do not share)",
            f"next  likeness release --verify {shlex.quote(str(result.out))}",
        ]
    return lines
