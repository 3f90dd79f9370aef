"""The three sets as they come in: opened or prepared, and held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from likeness._audit.options import AuditOptions
from likeness._audit.verified import Verified
from likeness._findings import Check, SetSummary
from likeness._neighbours.opening import is_unnamed
from likeness._progress import Progress
from likeness.datasets import Accounting, ImageSet, PrepareOptions, as_image_set, verify
from likeness.errors import DamagedSetError, ImageMismatchError, OptionError
from likeness.types import Images

Given: TypeAlias = "ImageSet | Path | str | Images"
"""What a caller may pass for a set."""

EXAMPLES = 3
"""Patients that are shown with the image their id was read from."""
SMALLEST_SIDE = 11
"""Structural similarity looks at windows of 11 x 11 pixels."""
SAMPLE = 200
"""Images per set whose intensities are compared."""


@dataclass(frozen=True)
class Inputs:
    """The sets of one audit."""

    train: ImageSet
    synthetic: ImageSet
    test: ImageSet | None
    accounts: dict[str, Accounting]
    """Per role, what became of every file."""
    channels: tuple[int, ...]
    """The channels that are compared."""
    unnamed: tuple[str, ...] = ()
    """Roles whose files do not name their channels."""

    def items(self) -> list[tuple[str, ImageSet]]:
        """Return (role, set) for the sets that are there."""
        sets = [("train", self.train), ("synthetic", self.synthetic)]
        return sets if self.test is None else [*sets, ("test", self.test)]


def open_inputs(
    train: Given,
    synthetic: Given,
    test: Given | None,
    *,
    work: Path,
    options: AuditOptions,
    progress: Progress,
) -> Inputs:
    """Open or prepare the sets.

    Raises
    ------
    DamagedSetError
        If a set on disk does not match its checksums.
    ImageMismatchError
        If shapes or channels differ between the sets.
    OptionError
        If `options.channels` names a channel that there is not.
    """
    accounts: dict[str, Accounting] = {}
    sets: dict[str, ImageSet] = {}
    verified = Verified(work.parent / "verified.json")
    for role, given in (("train", train), ("test", test), ("synthetic", synthetic)):
        if given is None:
            continue
        prepare = PrepareOptions(
            # Synthetic images belong to nobody.
            patient_id="none" if role == "synthetic" else options.patient_id,
            manifest=None if role == "synthetic" else options.manifest,
            max_skipped=options.max_skipped,
            strict=options.strict,
            jobs=options.jobs,
        )
        sets[role], accounts[role] = as_image_set(
            given, work=work / role, options=prepare, role=role, progress=progress
        )
        refuse_tiny(role, sets[role])
        refuse_damage(role, sets[role], progress, verified)
        progress.say(recognised(role, sets[role], accounts[role]))
    given_sets = Inputs(sets["train"], sets["synthetic"], sets.get("test"), accounts, (), ())
    refuse_mismatch(given_sets)
    unnamed = tuple(role for role, images in sets.items() if is_unnamed(images.channels))
    names = next(
        (images.channels for images in sets.values() if not is_unnamed(images.channels)), None
    )
    if names is not None:
        sets = {role: images.rename_channels(names) for role, images in sets.items()}
    channels = choose_channels(sets["train"], options.channels)
    return Inputs(sets["train"], sets["synthetic"], sets.get("test"), accounts, channels, unnamed)


def refuse_tiny(role: str, images: ImageSet) -> None:
    """Raise unless the pictures are large enough for every measure of the evidence."""
    _, height, width = images.image_shape
    if min(height, width) < SMALLEST_SIDE:
        msg = (
            f"The {role} images are {height} x {width} pixels; an audit needs at least "
            f"{SMALLEST_SIDE} on each side."
        )
        raise ImageMismatchError(msg)


def refuse_damage(
    role: str, images: ImageSet, progress: Progress, verified: Verified | None = None
) -> None:
    """Raise unless every byte of a set on disk is as it was written.

    A changed pixel would hide a copy without a word; reading all bytes costs little beside the
    search. Rows derived from the images are checked by whoever reads them.
    """
    if images.path is None or (verified is not None and verified.holds(images)):
        return
    before = None if verified is None else verified.before(images)
    problems = verify(images.path, derived_rows=False, progress=progress).problems
    if problems:
        msg = (
            f"The {role} set {str(images.path)!r} is not as it was written: {problems[0]}"
            f"{f' (and {len(problems) - 1} more)' if len(problems) > 1 else ''}. "
            "Prepare it again from its source."
        )
        raise DamagedSetError(msg)
    if verified is not None and before is not None:
        verified.note(before)


def recognised(role: str, images: ImageSet, account: Accounting) -> str:
    """Say in one line what was read and who the patients are, with examples."""
    text = f"{role}: {len(images)} images; {account.summary()}"
    known = images.record.get("patients", {})
    if role == "synthetic" or "coverage" not in known:
        return text
    first: dict[str, str] = {}
    for image_id, patient in zip(images.image_ids, images.patient_ids, strict=True):
        if patient is not None and len(first) < EXAMPLES:
            first.setdefault(patient, image_id)
    examples = ", ".join(f"{patient} from {image_id}" for patient, image_id in first.items())
    return (
        f"{text}; {images.num_patients} patients by rule {known['rule']}, "
        f"{known['coverage']:.0%} covered ({examples})"
    )


def refuse_mismatch(inputs: Inputs) -> None:
    """Raise unless all sets have the same image shape, channels and number type.

    Arrays and single pictures have no names for their channels; they are taken to be in the order
    of the others, and a check says so.
    """
    kinds = {
        role: (images.image_shape, images.channels, str(images.dtype))
        for role, images in inputs.items()
    }
    named = {names for _, names, _ in kinds.values() if not is_unnamed(names)}
    if len({(shape, dtype) for shape, _, dtype in kinds.values()}) == 1 and len(named) <= 1:
        return
    table = "\n".join(
        f"  {role:<10} {'x'.join(map(str, shape))}  {dtype}  channels {', '.join(names)}"
        for role, (shape, names, dtype) in kinds.items()
    )
    msg = (
        "The sets cannot be compared: their images differ in shape, channels or number type.\n"
        f"{table}\n"
        "Prepare all of them with the same options: `likeness prepare --help`."
    )
    raise ImageMismatchError(msg)


def channel_checks(inputs: Inputs) -> list[Check]:
    """Say whether the order of the channels is known in all sets, where there are several."""
    names = inputs.train.channels
    if len(names) == 1:
        return []
    if not inputs.unnamed or len(inputs.unnamed) == len(inputs.items()):
        return [Check("Same channels", "PASS", f"{', '.join(names)} in all sets")]
    return [
        Check(
            "Same channels",
            "WARN",
            f"{' and '.join(inputs.unnamed)}: the files do not name their channels; taken to be "
            f"{', '.join(names)}, in this order",
            "Make sure of the order: a copy with channels in another order is not found.",
        )
    ]


def choose_channels(train: ImageSet, names: tuple[str, ...] | None) -> tuple[int, ...]:
    """Return the indices of the channels to compare: those named, or all but annotations."""
    if names is None:
        annotations = train.annotation_channels
        chosen = tuple(i for i, name in enumerate(train.channels) if name not in annotations)
        return chosen or tuple(range(len(train.channels)))
    unknown = [name for name in names if name not in train.channels]
    if unknown:
        msg = (
            f"--channels names {', '.join(map(repr, unknown))}; "
            f"the images have {', '.join(train.channels)}."
        )
        raise OptionError(msg)
    return tuple(train.channels.index(name) for name in names)


def summarise(role: str, images: ImageSet, account: Accounting) -> SetSummary:
    """Describe a set as it was used."""
    pixels = _some_images(images)
    return SetSummary(
        role=role,  # type: ignore[arg-type]
        num_found=account.found,
        num_used=account.used,
        num_left_out=len(account.left_out),
        num_skipped=account.num_skipped,
        num_images=len(images),
        num_patients=images.num_patients if images.has_patient_ids else 0,
        patient_rule=_patient_rule(images),
        shape=list(images.image_shape),
        dtype=str(images.dtype),
        channels=list(images.channels),
        minimum=float(pixels.min()),
        maximum=float(pixels.max()),
        mean=float(pixels.mean(dtype=np.float64)),
        fingerprint=images.fingerprint,
    )


def intensity_checks(inputs: Inputs) -> list[Check]:
    """Compare how dark, bright and empty the sets are: signs of differing preprocessing.

    Correlation ignores a common gain and offset, so a different range alone does no harm; a
    different share of background does.
    """
    background: dict[str, float] = {}
    ranges: dict[str, str] = {}
    for role, images in inputs.items():
        pixels = _some_images(images)[:, list(inputs.channels)]
        low, high = np.quantile(pixels, [0.01, 0.99])
        lowest = pixels.min(axis=(2, 3), keepdims=True)
        background[role] = float((pixels == lowest).mean())
        ranges[role] = f"{role} {low:.4g} to {high:.4g}"
    spread = max(background.values()) - min(background.values())
    shares = ", ".join(f"{role} {share:.0%}" for role, share in background.items())
    detail = (
        f"background {shares}; 1 % to 99 % of the pixels: {', '.join(ranges.values())} "
        f"(from at most {SAMPLE} images per set)"
    )
    if spread > 0.15:
        advice = "The sets seem to be prepared differently. Look at them; prepare them alike."
        return [Check("Same preprocessing", "WARN", detail, advice)]
    return [Check("Same preprocessing", "PASS", detail)]


def _some_images(images: ImageSet) -> Images:
    step = np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).astype(np.int64)
    return images.take(np.unique(step))


def _patient_rule(images: ImageSet) -> str:
    rule: Any = images.record.get("patient_rule")
    if not images.has_patient_ids:
        return "none: every image counts as a patient of its own"
    return str(rule) if rule else "given with the images"
