"""Training: one loop, which a kill at any moment cannot spoil.

The images, times and noise of a step follow from the seed and the step alone, so weights, running
mean and optimiser are the whole state. On a processor a run that was interrupted ends with the
weights of one that was not, bit for bit. Several processes share each step; their sums are rounded
in another order, so that they end near the weights of one process, not at them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from likeness._files import folder_lock, hash_of_json
from likeness._progress import SILENT, Progress
from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.generators.checkpoints import load_checkpoint
from likeness.generators.ddpm.loss import NoiseLevels, draw_times, noise_loss, scaled
from likeness.generators.ddpm.network import build_unet
from likeness.generators.ddpm.settings import Diffusion, Training, UNetSettings
from likeness.generators.training.augmentation import Augmentation, check_augmentations
from likeness.generators.training.averages import WeightAverage, averaging_rate
from likeness.generators.training.data import describe_images
from likeness.generators.training.data_order import DataOrder, noise_seed
from likeness.generators.training.labels import Labels
from likeness.generators.training.outcome import CheckpointCallback, Trained
from likeness.generators.training.run_folder import RunFolder
from likeness.generators.training.stopping import stop_on_signals
from likeness.generators.training.workers import Workers


def train_ddpm(
    images: ImageSet,
    out: Path,
    unet: UNetSettings,
    diffusion: Diffusion,
    training: Training,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    bfloat16: bool = False,
    micro_batch: int | None = None,
    gradient_checkpointing: bool = False,
    labels: Labels | None = None,
    augment: Sequence[str] = (),
    save_every: int = 1000,
    keep_last: int = 2,
    milestone_every: int | None = None,
    log_every: int = 50,
    progress: Progress = SILENT,
    callbacks: Sequence[CheckpointCallback] = (),
) -> Trained:
    """Train a network, or go on with a run of the same settings in the same folder.

    A step sees ``training.batch`` images; the last one may exceed ``training.images``, the one
    setting that may be another when a run goes on. SIGTERM or Ctrl-C saves a checkpoint after the
    running step and returns. Under torchrun or ``accelerate launch`` the processes share each step,
    and the first one writes, shows progress and calls the callbacks.

    Parameters
    ----------
    images
        8 bits, (C, H, W) as the network's.
    out
        Folder of the run (`likeness.generators.training.run_folder`).
    unet, diffusion, training
        Dropout is not supported here.
    seed
        Of first weights, data order, times and noise; not negative.
    device
        To compute on.
    bfloat16
        Compute the network in bfloat16 where torch's autocast thinks it safe.
    micro_batch
        Images computed at once; the gradients of a batch are added up. None: the whole batch.
    gradient_checkpointing
        Keep less of the forward pass and compute it again: less memory, more time, same weights.
    labels
        Of a class-conditional network, and only of one: as many classes as it has.
    augment
        Names of `likeness.generators.training.augmentation`.
    save_every, keep_last, milestone_every
        Steps between checkpoints, how many recent ones stay, and multiples of which step stay
        besides.
    log_every
        Steps between lines of ``metrics.jsonl``; ``loss`` and ``gradient_norm`` are means over the
        last ``over`` steps.
    progress
        Shows images seen.
    callbacks
        Called after each checkpoint, in order.

    Raises
    ------
    OptionError
        If a number is out of range, or the folder holds a run with other settings.
    ImageMismatchError
        If the images are not those of the network.
    InputError
        If the loss or its gradient is no longer finite; the message names the last checkpoint.
    MissingExtraError
        If MONAI or accelerate is needed and absent.
    LockedError, OutputError
        If another run is at work there, or the folder cannot be written.
    """
    _check(images, unet, seed, labels)
    workers = Workers(device)
    mine = workers.share(training.batch)
    micro_batch = training.batch if micro_batch is None else micro_batch
    _check_numbers(
        micro_batch=micro_batch,
        save_every=save_every,
        keep_last=keep_last,
        milestone_every=1 if milestone_every is None else milestone_every,
        log_every=log_every,
    )
    names = check_augmentations(augment)
    about = {
        "model": "ddpm",
        "unet": unet.to_json(),
        "diffusion": diffusion.to_json(),
        "training": training.to_json(),
        "seed": seed,
        "bfloat16": bfloat16,
        "micro_batch": micro_batch,
        "augment": list(names),
        "classes": None if labels is None else list(labels.names),
        "labels": None if labels is None else hash_of_json(labels.codes.tolist()),
        "images": describe_images(images),
    }
    # A longer run of the same settings begins like a shorter one.
    identity = about | {"training": {k: v for k, v in training.to_json().items() if k != "images"}}
    folder = RunFolder(out)
    steps = -(-training.images // training.batch)
    with ExitStack() as stack:

        def begin() -> int:
            stack.enter_context(folder_lock(out))
            folder.claim(identity)
            return max(folder.steps(), default=0)

        done = workers.by_first(begin)
        if done >= steps:
            return Trained(done, done * training.batch, folder.checkpoint(done), True, None)  # noqa: FBT003
        altering = _augmentation(names, images) if names else None
        state = _State(unet, training, seed, workers.device)
        if gradient_checkpointing:
            state.network.enable_gradient_checkpointing()
        if done:
            state.load(folder.checkpoint(done))
        if workers.is_first:
            folder.cut_metrics(done)
        order = DataOrder(seed, len(images), training.batch)
        levels = NoiseLevels(diffusion, workers.device)
        losses: list[float] = []
        norms: list[float] = []
        since = time.perf_counter()
        shown = progress if workers.is_first else SILENT
        with shown.task("train", steps * training.batch) as task, stop_on_signals() as wish:
            task.advance(done * training.batch)
            while True:
                rows = order.rows(done)
                own = images.take(rows[mine])
                if altering:
                    own = altering.alter(own, seed, done, mine.start)
                pixels = torch.from_numpy(own)
                # Drawn for the whole step, so that the processes' shares are those of one process.
                generator = torch.Generator().manual_seed(noise_seed(seed, done))
                times = draw_times(training.batch, diffusion, generator)[mine]
                noise = torch.randn((training.batch, *images.image_shape), generator=generator)[
                    mine
                ]
                classes = None if labels is None else torch.from_numpy(labels.codes[rows[mine]])
                loss = 0.0
                state.optimizer.zero_grad()
                for start in range(0, len(pixels), micro_batch):
                    part = slice(start, start + micro_batch)
                    known = () if classes is None else (classes[part].to(workers.device),)
                    with torch.autocast(
                        workers.device.type, dtype=torch.bfloat16, enabled=bfloat16
                    ):
                        each = noise_loss(
                            state.network,
                            levels,
                            diffusion,
                            scaled(pixels[part].to(workers.device)),
                            times[part].to(workers.device),
                            noise[part].to(workers.device),
                            *known,
                        )
                    share = each.sum() / training.batch
                    share.backward()
                    loss += share.item()
                workers.add_up(state.gradients())
                loss, asked = workers.total(loss, float(wish.signal is not None))
                norm = _gradient_norm(state.network)
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    msg = _failure(folder, done + 1, loss, norm)
                    raise InputError(msg)
                state.optimizer.step()
                done += 1
                state.average.update(state.network, averaging_rate(done, training.average))
                losses.append(loss)
                norms.append(norm)
                task.advance(training.batch)
                if done % log_every == 0 or done == steps:
                    now = time.perf_counter()
                    values = {
                        "step": done,
                        "images": done * training.batch,
                        "loss": math.fsum(losses) / len(losses),
                        "gradient_norm": math.fsum(norms) / len(norms),
                        "images_per_second": len(losses) * training.batch / (now - since),
                        "over": len(losses),
                    }
                    if workers.is_first:
                        folder.log(values)
                    task.note(
                        f"loss {values['loss']:.4f}, {values['images_per_second']:,.1f} images/s"
                    )
                    losses, norms, since = [], [], now
                if done % save_every == 0 or done == steps or asked:

                    def keep(step: int = done) -> int:
                        path = folder.save(
                            step,
                            state.tensors(),
                            {**about, "step": step, "images_seen": step * training.batch},
                            keep_last=keep_last,
                            milestone_every=milestone_every,
                        )
                        return sum(bool(one.on_checkpoint(step, path)) for one in callbacks)

                    wished = workers.by_first(keep)
                    stopped = wish.signal or ("SIGTERM" if asked else None)
                    if stopped is None and wished:
                        stopped = "callback"
                    if workers.count > 1:
                        (ended,) = workers.total(float(stopped is not None))
                        stopped = stopped or ("SIGTERM" if ended else None)
                    finished = done == steps
                    if finished or stopped:
                        return Trained(
                            done,
                            done * training.batch,
                            folder.checkpoint(done),
                            finished,
                            None if finished else stopped,
                        )


def _augmentation(names: Sequence[str], images: ImageSet) -> Augmentation:
    marked = [images.channels.index(name) for name in images.annotation_channels]
    return Augmentation(names, marked)


class _State:
    """All that a checkpoint holds."""

    def __init__(
        self, unet: UNetSettings, training: Training, seed: int, device: torch.device | str
    ) -> None:
        self.network = build_unet(unet, seed=seed).to(device).train()
        self.average = WeightAverage(self.network)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=training.learning_rate,
            betas=training.betas,
            weight_decay=training.weight_decay,
        )

    def gradients(self) -> list[torch.Tensor]:
        return [one.grad for one in self.network.parameters() if one.grad is not None]

    def tensors(self) -> dict[str, Any]:
        named = {f"model/{name}": one for name, one in self.network.state_dict().items()}
        named |= {f"average/{name}": one for name, one in self.average.weights.items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            named |= {f"optimizer/{index}/{name}": one for name, one in values.items()}
        return named

    def load(self, path: Path) -> None:
        self.network.load_state_dict(load_checkpoint(path, prefix="model/").tensors)
        for name, weights in load_checkpoint(path, prefix="average/").tensors.items():
            self.average.weights[name].copy_(weights)
        moments: dict[int, dict[str, Any]] = {}
        for name, values in load_checkpoint(path, prefix="optimizer/").tensors.items():
            index, what = name.split("/")
            moments.setdefault(int(index), {})[what] = values
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _failure(folder: RunFolder, step: int, loss: float, norm: float) -> str:
    good = folder.steps()
    where = (
        f"The last good checkpoint is {str(folder.checkpoint(good[-1]))!r}."
        if good
        else "No checkpoint was written before."
    )
    return (
        f"At step {step} the loss is {loss} and the norm of its gradient {norm}. {where} Train in "
        "another folder with a smaller learning rate."
    )


def _gradient_norm(network: Any) -> float:  # noqa: ANN401
    squares = [one.grad.square().sum() for one in network.parameters() if one.grad is not None]
    return float(torch.stack(squares).sum().sqrt())


def _check(images: ImageSet, unet: UNetSettings, seed: int, labels: Labels | None) -> None:
    wanted = (unet.channels, unet.resolution, unet.resolution)
    if images.image_shape != wanted or images.dtype.name != "uint8":
        msg = (
            f"The images are {images.image_shape} {images.dtype}, the network takes {wanted} "
            "uint8: prepare the images for it, or choose another network."
        )
        raise ImageMismatchError(msg)
    if unet.dropout:
        msg = f"Training knows no dropout; the network has {unet.dropout!r}. Choose 0."
        raise OptionError(msg)
    known = None if labels is None else len(labels.names)
    if unet.classes != known:
        msg = f"The network has classes {unet.classes!r}, the labels have {known!r}: give equal."
        raise OptionError(msg)
    if labels is not None and len(labels.codes) != len(images):
        msg = f"There are {len(labels.codes)} labels for {len(images)} images."
        raise OptionError(msg)
    if seed < 0:
        msg = f"The seed must not be negative; it is {seed}."
        raise OptionError(msg)


def _check_numbers(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            msg = f"{name} must be at least 1, not {value!r}."
            raise OptionError(msg)
