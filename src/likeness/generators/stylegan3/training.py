"""Training: two networks against each other in one loop, which a kill at any moment cannot spoil.

A step of the generator, one of the discriminator, and now and then one of its penalty, each with
vectors of its own. The images, vectors and transforms of a step follow from the seed and the step
alone, so networks, running mean, optimisers and the strength of the transforms are the whole state.
On a processor a run that was interrupted ends with the weights of one that was not, bit for bit.

The images that the discriminator's step judges are made of the whole batch at once, without
gradients: so the running statistics of the generator see what they would see without micro-batches,
and several processes need not exchange them.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

import torch
from torch import nn

from likeness._files import folder_lock
from likeness._progress import SILENT, Progress
from likeness.datasets import ImageSet
from likeness.errors import OptionError
from likeness.generators.stylegan3.adaptive import Adaptive
from likeness.generators.stylegan3.loss import (
    default_half_life,
    discriminator_loss,
    generator_loss,
    mean_decay,
    r1_loss,
    squared_gradients,
    update_mean,
)
from likeness.generators.stylegan3.plan import NetworkSettings
from likeness.generators.stylegan3.presets import TrainingSettings
from likeness.generators.stylegan3.step_inputs import StepDraws, StepTransforms, parts_of_batch
from likeness.generators.stylegan3.training_checks import (
    check_finite,
    check_groups,
    check_images_and_seed,
    check_numbers,
)
from likeness.generators.stylegan3.training_state import TrainingState
from likeness.generators.training.data import describe_images
from likeness.generators.training.data_order import DataOrder
from likeness.generators.training.outcome import CheckpointCallback, Trained
from likeness.generators.training.run_folder import RunFolder
from likeness.generators.training.stopping import stop_on_signals
from likeness.generators.training.workers import Workers

ADJUST_EVERY: Final = 4
"""Steps between two changes of the transforms' probability."""


def train_stylegan3(
    images: ImageSet,
    out: Path,
    network: NetworkSettings,
    training: TrainingSettings,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    bfloat16: bool = False,
    micro_batch: int | None = None,
    ada: Adaptive | None = None,
    save_every: int = 1000,
    keep_last: int = 2,
    milestone_every: int | None = None,
    log_every: int = 50,
    progress: Progress = SILENT,
    callbacks: Sequence[CheckpointCallback] = (),
) -> Trained:
    """Train both networks, or go on with a run of the same settings in the same folder.

    A step sees ``training.batch`` images; the last one may exceed ``training.images``, the one
    setting that may be another when a run goes on. SIGTERM or Ctrl-C saves a checkpoint after the
    running step and returns. Under ``accelerate launch`` the processes share each step, and the
    first one writes, shows progress and calls the callbacks.

    Parameters
    ----------
    images
        8 bits, (C, H, W) as the networks'.
    out
        Folder of the run (`likeness.generators.training.run_folder`).
    network, training
        Shapes of both networks, and how they are trained.
    seed
        Of first weights, data order, vectors and transforms; not negative.
    device
        To compute on.
    bfloat16
        Compute the finer layers in bfloat16; the penalty stays in float32.
    micro_batch
        Images computed at once, a multiple of the images that the discriminator compares with each
        other; the gradients of a batch are added up. None: the whole batch.
    ada
        Random transforms before the discriminator. None: none.
    save_every, keep_last, milestone_every
        Steps between checkpoints, how many recent ones stay, and multiples of which step stay
        besides.
    log_every
        Steps between lines of ``metrics.jsonl``: ``d_loss``, ``g_loss``, ``real_sign`` (mean sign
        of the logits of real images) and ``r1`` (the penalty, where there was one) are means over
        the last ``over`` steps.
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
        If a loss or its gradient is no longer finite; the message names the last checkpoint.
    MissingExtraError
        If accelerate is needed and absent.
    LockedError, OutputError
        If another run is at work there, or the folder cannot be written.
    """
    batch = training.batch
    group = min(network.minibatch_group, batch)
    micro_batch = batch if micro_batch is None else micro_batch
    check_images_and_seed(images, network, seed)
    check_numbers(
        save_every=save_every,
        keep_last=keep_last,
        milestone_every=1 if milestone_every is None else milestone_every,
        log_every=log_every,
        images=training.images,
        batch=batch,
        micro_batch=micro_batch,
        r1_interval=training.r1_interval,
    )
    check_groups(batch, micro_batch, group)
    workers = Workers(device)
    if workers.count > batch // group:
        msg = (
            f"{workers.count} processes cannot share {batch // group} groups of {group} images "
            "that the discriminator compares with each other: choose a larger batch."
        )
        raise OptionError(msg)
    parts = parts_of_batch(batch, group, micro_batch, workers.share(batch // group))
    about = {
        "model": "stylegan3",
        "network": network.to_json(),
        "training": training.to_json(),
        "seed": seed,
        "bfloat16": bfloat16,
        "micro_batch": micro_batch,
        "ada": None if ada is None else ada.to_json(),
        "images": describe_images(images),
    }
    # A longer run of the same settings begins like a shorter one.
    identity = about | {"training": {k: v for k, v in training.to_json().items() if k != "images"}}
    folder = RunFolder(out)
    steps = -(-training.images // batch)
    with ExitStack() as stack:

        def begin() -> int:
            stack.enter_context(folder_lock(out))
            folder.claim(identity)
            return max(folder.steps(), default=0)

        done = workers.by_first(begin)
        if done >= steps:
            return Trained(done, done * batch, folder.checkpoint(done), True, None)  # noqa: FBT003
        state = TrainingState(network, training, ada, seed, workers.device)
        if done:
            state.load(folder.checkpoint(done))
        if workers.is_first:
            folder.cut_metrics(done)
        order = DataOrder(seed, len(images), batch)
        marked = [images.channels.index(name) for name in images.annotation_channels]
        means = _Means()
        since = time.perf_counter()
        shown = progress if workers.is_first else SILENT
        generator, discriminator, strength = state.generator, state.discriminator, state.strength
        with shown.task("train", steps * batch) as task, stop_on_signals() as wish:
            task.advance(done * batch)
            while True:
                pixels = torch.from_numpy(images.take(order.rows(done))).to(workers.device)
                real = pixels.float() / 127.5 - 1
                draws = StepDraws(seed, done, batch, network.latent_size, workers.device)
                transforms = StepTransforms(ada, strength.p, marked, batch, draws.seeds)
                autocast = torch.autocast(
                    workers.device.type, dtype=torch.bfloat16, enabled=bfloat16
                )

                # The generator's step. The discriminator only passes gradients on.
                discriminator.requires_grad_(False)  # noqa: FBT003
                state.generator_optimizer.zero_grad()
                g_loss = 0.0
                for rows in parts:
                    with autocast:
                        made = generator(draws.for_generator[rows])
                        logits = discriminator(transforms.of_generator(made, rows))
                    share = generator_loss(logits) * (len(rows) / batch)
                    share.backward()
                    g_loss += share.item()
                g_norm = _norm_of_sum(generator, workers)

                # The discriminator's step, which also moves the generator's running statistics.
                discriminator.requires_grad_(True)  # noqa: FBT003
                (g_loss,) = workers.total(g_loss)
                check_finite(folder, done + 1, "generator", g_loss, g_norm)
                state.generator_optimizer.step()
                state.discriminator_optimizer.zero_grad()
                with torch.no_grad(), autocast:
                    made = generator(draws.for_discriminator, statistics_images=batch)
                d_loss, sign_sum = 0.0, 0.0
                for rows in parts:
                    with autocast:
                        on_made = discriminator(transforms.of_made(made[rows], rows))
                        on_real = discriminator(transforms.of_real(real[rows], rows))
                    share = discriminator_loss(on_real, on_made) * (len(rows) / batch)
                    share.backward()
                    d_loss += share.item()
                    sign_sum += float(on_real.detach().sign().sum())
                d_norm = _norm_of_sum(discriminator, workers)
                d_loss, sign_sum = workers.total(d_loss, sign_sum)
                check_finite(folder, done + 1, "discriminator", d_loss, d_norm)
                state.discriminator_optimizer.step()
                means.add(d_loss=d_loss, g_loss=g_loss, real_sign=sign_sum / batch)

                if done % training.r1_interval == 0:
                    state.discriminator_optimizer.zero_grad()
                    r1 = 0.0
                    for rows in parts:
                        penalised = functools.partial(transforms.of_penalised, rows=rows)
                        squared = squared_gradients(discriminator, real[rows], penalised)
                        share = r1_loss(squared, training.gamma) * (len(rows) / batch)
                        (share * training.r1_interval).backward()
                        r1 += share.item()
                    r1_norm = _norm_of_sum(discriminator, workers)
                    (r1,) = workers.total(r1)
                    check_finite(folder, done + 1, "R1 penalty", r1, r1_norm)
                    state.discriminator_optimizer.step()
                    means.add(r1=r1)

                done += 1
                half_life = default_half_life(batch)
                decay = mean_decay(batch, half_life=half_life, images_seen=done * batch)
                update_mean(state.average, generator, decay)
                if ada is not None:
                    strength.observe(sign_sum, batch)
                    if done % ADJUST_EVERY == 0:
                        strength.adjust()
                task.advance(batch)
                _, asked = workers.total(0.0, float(wish.signal is not None))
                if done % log_every == 0 or done == steps:
                    now = time.perf_counter()
                    speed = means.count * batch / (now - since)
                    if workers.is_first:
                        line = {
                            "step": done,
                            "images": done * batch,
                            **means.values(),
                            "ada_p": strength.p,
                            "images_per_second": speed,
                            "over": means.count,
                        }
                        folder.log(line)
                        task.note(
                            f"D {line['d_loss']:.3f}, G {line['g_loss']:.3f}, {speed:,.1f} images/s"
                        )
                    means, since = _Means(), now
                if done % save_every == 0 or done == steps or asked:

                    def keep(step: int = done) -> int:
                        path = folder.save(
                            step,
                            state.tensors(),
                            {
                                **about,
                                "step": step,
                                "images_seen": step * batch,
                                "strength": asdict(strength),
                            },
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
                            done * batch,
                            folder.checkpoint(done),
                            finished,
                            None if finished else stopped,
                        )


class _Means:
    """Means of named numbers."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self._values.setdefault(name, []).append(value)

    @property
    def count(self) -> int:
        return len(self._values["d_loss"])

    def values(self) -> dict[str, float]:
        return {name: math.fsum(each) / len(each) for name, each in self._values.items()}


def _norm_of_sum(network: nn.Module, workers: Workers) -> float:
    """Add the gradients of all processes up, and return their norm."""
    gradients = [one.grad for one in network.parameters() if one.grad is not None]
    workers.add_up(gradients)
    return float(torch.stack([one.square().sum() for one in gradients]).sum().sqrt())
