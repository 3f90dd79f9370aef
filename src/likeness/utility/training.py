"""Train one network on one source, choose its best moment, and test it."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from likeness._devices import device_named
from likeness._progress import Task as Shown
from likeness.utility.networks import loss_of, make_network
from likeness.utility.options import UtilityOptions
from likeness.utility.sets import BLOCK, split_rows
from likeness.utility.tasks import Task

_MOST_VALIDATED: Final = 512
"""Images of a source, evenly spaced, by which the best moment is chosen."""

Integers = NDArray[np.int64]


def train_unit(
    task: Task, source: str, seed: int, options: UtilityOptions, shown: Shown
) -> dict[str, Any]:
    """Train and test one network; return its counted answers and how it was trained.

    The validation images are of the source itself: of held-out training patients for real and for
    both, of synthetic images for synthetic. So a network of synthetic images sees no real one
    before its test, and no network sees a test image before.
    """
    device, start = device_named(options.device), time.monotonic()
    roles = {"real": ["train"], "synthetic": ["synthetic"], "both": ["train", "synthetic"]}[source]
    by_role = dict(task.sets.by_role())
    split = {role: split_rows(by_role[role], options.validation_share) for role in roles}
    rng = np.random.default_rng([seed, 0])
    network = make_network(task, seed=seed).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    due = {round(options.steps * (k + 1) / options.checks) for k in range(options.checks)}
    best, chosen_step, best_state = float("inf"), 0, copy.deepcopy(network.state_dict())
    for step in range(1, options.steps + 1):
        network.train()
        pixels, truth = _batch(task, roles, split, options.batch, rng, device)
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(task, network(pixels), truth)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        optimiser.step()
        shown.advance()
        if step in due:
            found = _validation_loss(task, network, roles[0], split[roles[0]][1], device)
            if found < best:
                best, chosen_step = found, step
                best_state = copy.deepcopy(network.state_dict())
    network.load_state_dict(best_state)
    network.eval()
    counted = task.count(_answers(task, network, device))
    return {
        "source": source,
        "seed": seed,
        "chosen_step": chosen_step,
        "validation_loss": best if np.isfinite(best) else None,
        "seconds": time.monotonic() - start,
        "counted": counted,
    }


def seconds_per_step(task: Task, options: UtilityOptions, *, steps: int = 4) -> float:
    """Return how long a training step takes here, measured on a few."""
    device = device_named(options.device)
    rows = {"train": split_rows(task.sets.train, options.validation_share)}
    rng = np.random.default_rng(0)
    network = make_network(task, seed=0).to(device).train()
    taken = []
    for _ in range(steps + 1):
        start = time.monotonic()
        pixels, truth = _batch(task, ["train"], rows, options.batch, rng, device)
        loss_of(task, network(pixels), truth).backward()  # type: ignore[no-untyped-call,unused-ignore]
        taken.append(time.monotonic() - start)
    return float(np.mean(taken[1:]))  # the first one prepares the device


def _batch(
    task: Task,
    roles: list[str],
    split: dict[str, tuple[Integers, Integers]],
    batch: int,
    rng: np.random.Generator,
    device: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images of a step: of two sources a half from each, whatever their sizes."""
    pixels, truth = [], []
    for role in roles:
        rows = task.draw(role, split[role][0], batch // len(roles), rng)
        pixels.append(task.pixels(role, rows))
        truth.append(task.truth(role, rows))
    return _on_device(np.concatenate(pixels), device), torch.from_numpy(np.concatenate(truth)).to(
        device
    )


def _validation_loss(
    task: Task, network: torch.nn.Module, role: str, rows: Integers, device: str
) -> float:
    """Return the mean loss over validation images, in their own mix of classes."""
    if len(rows) > _MOST_VALIDATED:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_VALIDATED).round().astype(np.int64)]
    network.eval()
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            truth = torch.from_numpy(task.truth(role, some)).to(device)
            given = network(_on_device(task.pixels(role, some), device))
            total += float(loss_of(task, given, truth)) * len(some)
    return total / len(rows)


def _answers(task: Task, network: torch.nn.Module, device: str) -> Iterator[NDArray[np.float32]]:
    with torch.no_grad():
        for start in range(0, len(task.sets.test), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(task.sets.test)))
            given = network(_on_device(task.pixels("test", rows), device))
            yield given.softmax(dim=1).cpu().numpy()


def _on_device(pixels: NDArray[Any], device: str) -> torch.Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1).to(device)
