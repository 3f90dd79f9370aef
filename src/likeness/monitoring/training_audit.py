"""Samples of a model, held against its training images while it trains."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._audit.options import AuditOptions
from likeness._files import folder_lock, make_folder, write_json
from likeness._progress import SILENT, Progress
from likeness.calibration import benjamini_hochberg
from likeness.datasets import ImageSet
from likeness.errors import MissingExtraError, OptionError
from likeness.monitoring.check import Check, CopyFound
from likeness.monitoring.history import next_look, read_checks, write_checks
from likeness.monitoring.images import refuse_unlike
from likeness.monitoring.progress_figure import draw_progress
from likeness.monitoring.real_side import Looked, RealSide, sample_set

SETTINGS: Final = "monitoring.json"
FIGURE: Final = "progress.png"


class TrainingAudit:
    """Looks at a model's samples now and then: does it copy, and since when?

    The real images are compared with each other here, once, before the training; what keeps a
    verdict from being reached is said here too (`doubts`): through `progress`, or as a warning
    where none is given.

    Parameters
    ----------
    train
        The images that the model is trained on, exactly these.
    test
        Images of other patients, which the model never sees; the same shape and channels.
    out
        Folder for ``audits.jsonl`` (one line per check), ``progress.png`` and unfinished work. It
        names patients: keep it as private as the training images. Used again, it goes on.
    num_samples
        How many samples a check will have; only for `doubts`. A check takes any number.
    options
        As for `likeness.audit`.
    metrics
        A ``metrics.jsonl`` with the losses of the run; drawn if it exists.
    progress
        Where long work is shown; silent by default.

    Raises
    ------
    InputError
        If the sets cannot be compared.
    OptionError
        If `out` is of other sets or settings.
    OutputError
        If the folder cannot be written.
    """

    def __init__(
        self,
        train: ImageSet,
        test: ImageSet,
        *,
        out: Path | str,
        num_samples: int = 1000,
        options: AuditOptions | None = None,
        metrics: Path | str | None = None,
        progress: Progress = SILENT,
    ) -> None:
        if num_samples < 1:
            msg = f"num_samples is {num_samples}; a check needs at least 1 sample."
            raise OptionError(msg)
        self.out = Path(out)
        self._train = train
        self._options = options or AuditOptions()
        self._metrics = None if metrics is None else Path(metrics)
        self._progress = progress
        self._told_figure = False
        make_folder(self.out, private=True)
        with folder_lock(self.out):
            self._claim(train, test)
            self._real = RealSide.compare(
                train, test, folder=self.out, options=self._options, progress=progress
            )
        self.doubts: list[str] = self._real.doubts(num_samples)
        if self.doubts and progress is SILENT:
            warnings.warn(" ".join(self.doubts), stacklevel=2)
        for doubt in self.doubts:
            progress.say(doubt)

    @property
    def checks(self) -> list[Check]:
        """All checks so far, by step, those of earlier runs included."""
        return read_checks(self.out)

    def check(self, images: Any, step: int, loss: float | None = None) -> Check:  # noqa: ANN401
        """Look at some samples.

        Parameters
        ----------
        images
            (n, C, H, W) of the number type of the training images, usually uint8; see `to_8_bit`.
        step
            Where the training is; at least 0. The line of a step that was checked before is
            replaced.
        loss
            Of the training there, for the figure.

        Returns
        -------
        Check
            Its `should_stop` takes into account that this is one of several looks.

        Raises
        ------
        ImageMismatchError
            If the samples are not like the training images.
        OptionError
            If the step is negative.
        LockedError
            If another process checks into the same folder.
        """
        if step < 0:
            msg = f"step is {step}; it must be at least 0."
            raise OptionError(msg)
        samples = refuse_unlike(images, self._train)
        digest = hashlib.sha256(samples.tobytes()).hexdigest()
        with folder_lock(self.out):
            before = read_checks(self.out)
            work = self.out / "work" / f"step-{step}"
            shutil.rmtree(work, ignore_errors=True)  # samples of that step that a kill left
            looked = self._real.look_at(sample_set(samples, self._train), work=work)
            shutil.rmtree(work, ignore_errors=True)
            found = self._check_of(looked, step, loss, next_look(before, step, digest), digest)
            checks = sorted(
                [*(one for one in before if one.step != step), found], key=lambda one: one.step
            )
            write_checks(self.out, checks)
            self._draw(checks)
        self._progress.say(found.summary())
        return found

    def _check_of(
        self, looked: Looked, step: int, loss: float | None, look: int, digest: str
    ) -> Check:
        level = self._options.fdr / (look * (look + 1))
        baseline = self._real.baseline or (None, None, None)
        share = looked.rates.copy_rate
        return Check(
            step=step,
            look=look,
            loss=None if loss is None or not math.isfinite(loss) else float(loss),
            num_samples=len(looked.varies),
            num_judged=int(looked.varies.sum()),
            verdict=looked.verdict,
            reasons=tuple(looked.reasons),
            copies=self._copies(looked, level),
            copy_rate=share.estimate,
            copy_rate_low=share.low,
            copy_rate_high=share.high,
            mean_highest=_mean(looked.highest),
            mean_highest_test=_mean(looked.highest_test),
            baseline=baseline[0],
            baseline_low=baseline[1],
            baseline_high=baseline[2],
            stop_level=level,
            images_sha256=digest,
        )

    def _copies(self, looked: Looked, level: float) -> tuple[CopyFound, ...]:
        if looked.judged is None:
            return ()
        strict = benjamini_hochberg(looked.judged.p, level) | looked.identical
        found = []
        for row in np.flatnonzero(looked.flagged.copies).tolist():
            match = int(looked.judged.image[row])
            found.append(
                CopyFound(
                    sample=row,
                    image_id=self._train.image_ids[match],
                    patient_id=str(self._train.patient_names[self._train.patient_codes[match]]),
                    correlation=float(looked.highest_turned[row]),
                    p_value=float(looked.judged.p[row]),
                    identical=bool(looked.identical[row]),
                    confirmed=bool(strict[row]),
                )
            )
        return tuple(found)

    def _draw(self, checks: list[Check]) -> None:
        try:
            draw_progress(self.out / FIGURE, checks, metrics=self._metrics)
        except MissingExtraError as error:  # the training must not end for want of a picture
            if not self._told_figure:
                self._progress.say(str(error))
            self._told_figure = True

    def _claim(self, train: ImageSet, test: ImageSet) -> None:
        """Make sure that all checks of the folder are of the same sets and settings."""
        wanted = {
            "train": train.fingerprint,
            "test": test.fingerprint,
            "settings": json.loads(json.dumps(self._options.settings())),
        }
        path = self.out / SETTINGS
        if not path.is_file():
            write_json(path, wanted, private=True)
            return
        try:
            there = json.loads(path.read_text("utf-8"))
        except ValueError:
            there = None
        if there != wanted:
            msg = (
                f"{str(self.out)!r} holds checks of other images or settings; on one curve they "
                "would mislead. Choose another folder."
            )
            raise OptionError(msg)


def _mean(values: np.ndarray) -> float | None:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else None
