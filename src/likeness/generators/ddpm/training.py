"""Training: one loop, which a kill at any moment cannot spoil.

The images, times and noise of a step follow from the seed and the step alone, so weights, running
mean and optimiser are the whole state. On a processor a run that was interrupted ends with the
weights of one that was not, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from likeness._files import folder_lock
from likeness._progress import SILENT, Progress
from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.generators.checkpoints import load_checkpoint
from likeness.generators.ddpm.loss import NoiseLevels, draw_times, noise_loss, scaled
from likeness.generators.ddpm.network import build_unet
from likeness.generators.ddpm.settings import Diffusion, Training, UNetSettings
from likeness.generators.training.averages import WeightAverage, averaging_rate
from likeness.generators.training.data_order import DataOrder, noise_seed
from likeness.generators.training.outcome import CheckpointCallback, Trained
from likeness.generators.training.run_folder import RunFolder
from likeness.generators.training.stopping import stop_on_signals


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
    save_every: int = 1000,
    keep_last: int = 2,
    milestone_every: int | None = None,
    log_every: int = 50,
    progress: Progress = SILENT,
    callbacks: Sequence[CheckpointCallback] = (),
) -> Trained:
    """Train a network, or go on with a run of the same settings in the same folder.

    A step sees ``training.batch`` images; the last one may exceed ``training.images``. SIGTERM or
    Ctrl-C saves a checkpoint after the running step and returns.

    Parameters
    ----------
    images
        8 bits, (C, H, W) as the network's.
    out
        Folder of the run (`likeness.generators.training.run_folder`).
    unet, diffusion, training
        Neither classes nor dropout are supported here.
    seed
        Of first weights, data order, times and noise; not negative.
    device
        To compute on.
    bfloat16
        Compute the network in bfloat16 where torch's autocast thinks it safe.
    micro_batch
        Images computed at once; the gradients of a batch are added up. None: the whole batch.
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
    LockedError, OutputError
        If another run is at work there, or the folder cannot be written.
    """
    _check(images, unet, seed)
    micro_batch = training.batch if micro_batch is None else micro_batch
    _check_numbers(
        micro_batch=micro_batch,
        save_every=save_every,
        keep_last=keep_last,
        milestone_every=1 if milestone_every is None else milestone_every,
        log_every=log_every,
    )
    about = {
        "model": "ddpm",
        "unet": unet.to_json(),
        "diffusion": diffusion.to_json(),
        "training": training.to_json(),
        "seed": seed,
        "bfloat16": bfloat16,
        "micro_batch": micro_batch,
        "images": {"fingerprint": images.fingerprint, "count": len(images)},
    }
    folder = RunFolder(out)
    steps = -(-training.images // training.batch)
    with folder_lock(out):
        folder.claim(about)
        saved = folder.steps()
        done = saved[-1] if saved else 0
        if done >= steps:
            return Trained(done, done * training.batch, folder.checkpoint(done), True, None)  # noqa: FBT003
        state = _State(unet, training, seed, device)
        if saved:
            state.load(folder.checkpoint(done))
        folder.cut_metrics(done)
        order = DataOrder(seed, len(images), training.batch)
        levels = NoiseLevels(diffusion, device)
        losses: list[float] = []
        norms: list[float] = []
        since = time.perf_counter()
        with progress.task("train", steps * training.batch) as task, stop_on_signals() as wish:
            task.advance(done * training.batch)
            while True:
                pixels = torch.from_numpy(images.take(order.rows(done)))
                generator = torch.Generator().manual_seed(noise_seed(seed, done))
                times = draw_times(training.batch, diffusion, generator)
                noise = torch.randn(pixels.shape, generator=generator)
                loss = 0.0
                state.optimizer.zero_grad()
                for start in range(0, training.batch, micro_batch):
                    part = slice(start, start + micro_batch)
                    with torch.autocast(
                        torch.device(device).type, dtype=torch.bfloat16, enabled=bfloat16
                    ):
                        each = noise_loss(
                            state.network,
                            levels,
                            diffusion,
                            scaled(pixels[part].to(device)),
                            times[part].to(device),
                            noise[part].to(device),
                        )
                    share = each.sum() / training.batch
                    share.backward()
                    loss += share.item()
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
                    folder.log(
                        {
                            "step": done,
                            "images": done * training.batch,
                            "loss": math.fsum(losses) / len(losses),
                            "gradient_norm": math.fsum(norms) / len(norms),
                            "images_per_second": len(losses) * training.batch / (now - since),
                            "over": len(losses),
                        }
                    )
                    task.note(f"loss {math.fsum(losses) / len(losses):.4f}")
                    losses, norms, since = [], [], now
                if done % save_every == 0 or done == steps or wish.signal:
                    path = folder.save(
                        done,
                        state.tensors(),
                        {**about, "step": done, "images_seen": done * training.batch},
                        keep_last=keep_last,
                        milestone_every=milestone_every,
                    )
                    wishes = [one.on_checkpoint(done, path) for one in callbacks]
                    stopped = wish.signal or ("callback" if any(wishes) else None)
                    if done == steps or stopped:
                        finished = done == steps
                        return Trained(
                            done,
                            done * training.batch,
                            path,
                            finished,
                            None if finished else stopped,
                        )


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


def _check(images: ImageSet, unet: UNetSettings, seed: int) -> None:
    wanted = (unet.channels, unet.resolution, unet.resolution)
    if images.image_shape != wanted or images.dtype.name != "uint8":
        msg = (
            f"The images are {images.image_shape} {images.dtype}, the network takes {wanted} "
            "uint8: prepare the images for it, or choose another network."
        )
        raise ImageMismatchError(msg)
    if unet.classes is not None or unet.dropout:
        msg = (
            "Training knows neither classes nor dropout; the network has "
            f"classes {unet.classes!r} and dropout {unet.dropout!r}. Choose None and 0."
        )
        raise OptionError(msg)
    if seed < 0:
        msg = f"The seed must not be negative; it is {seed}."
        raise OptionError(msg)


def _check_numbers(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            msg = f"{name} must be at least 1, not {value!r}."
            raise OptionError(msg)
