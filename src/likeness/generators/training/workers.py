"""Several processes that train one network together, started by torchrun or ``accelerate launch``.

Every process holds the whole state and computes its share of a step's images; the gradients are
added up, so that all make the same step. Only the first writes.

Of accelerate only what starts the processes is used, not its ``Accelerator``: that one wraps model,
optimiser and data in its own, of which one process and setting can exist at a time, shards the data
in its order, and averages gradients over processes whose shares may differ. Here a step's images
follow from the seed and the step alone, so that one process computes what it computed before, bit
for bit.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final

import torch
from torch import distributed

from likeness.errors import InputError, LikenessError, MissingExtraError, OptionError

_WAIT_HOURS: Final = 12


class Workers:
    """The processes of one run; without a launcher it is this one alone.

    Parameters
    ----------
    device
        ``cpu``, or ``cuda``, of which each process then takes its own.

    Raises
    ------
    MissingExtraError
        If there is a launcher, but no accelerate.
    """

    def __init__(self, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self.count, self.rank = int(os.environ.get("WORLD_SIZE", "1")), 0
        if self.count > 1:
            state = _process_state(cpu=self.device.type == "cpu")
            self.count, self.rank = state.num_processes, state.process_index
            self.device = state.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """Return which images of a step this process computes; the shares differ by one at most.

        Raises
        ------
        OptionError
            If there are more processes than images.
        """
        if batch < self.count:
            msg = f"{self.count} processes cannot share {batch} images: choose a larger batch."
            raise OptionError(msg)
        return slice(batch * self.rank // self.count, batch * (self.rank + 1) // self.count)

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace tensors by their sum over all processes, in place."""
        if self.count == 1:
            return
        each = list(tensors)
        flat = torch.cat([one.reshape(-1) for one in each])
        distributed.all_reduce(flat)
        start = 0
        for one in each:
            one.copy_(flat[start : start + one.numel()].view_as(one))
            start += one.numel()

    def total(self, *numbers: float) -> list[float]:
        """Return the sums of numbers over all processes."""
        if self.count == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64)
        if self.device.type == "mps":  # knows no float64
            values = values.float()
        values = values.to(self.device)
        distributed.all_reduce(values)
        return [float(value) for value in values]

    def by_first(self, work: Callable[[], int]) -> int:
        """Let the first process do something, and tell all what whole number came of it.

        Raises
        ------
        InputError
            In the other processes, if the first one failed; there its own error is raised.
        """
        if self.count == 1:
            return work()
        found, error = torch.zeros(2, dtype=torch.int64, device=self.device), None
        if self.is_first:
            try:
                found[0] = work()
            except BaseException as caught:  # noqa: BLE001 - the others must not wait for ever
                found[1], error = 1, caught
        distributed.broadcast(found, 0)
        if error is not None:
            raise error
        if int(found[1]):
            msg = "The first process stopped with an error; its message says why."
            raise InputError(msg)
        return int(found[0])


def _process_state(*, cpu: bool) -> Any:  # noqa: ANN401
    try:
        from accelerate import PartialState
    except ImportError as error:
        msg = "Several processes need accelerate: pip install 'likeness[generate]'"
        raise MissingExtraError(msg) from error
    try:
        # The others wait while the first one audits a checkpoint.
        state = PartialState(cpu=cpu, timeout=timedelta(hours=_WAIT_HOURS))
    except (ValueError, RuntimeError) as error:
        msg = f"The processes of this launch did not find each other: {error}"
        raise LikenessError(msg) from error
    # Left to the end of the process, a thread of the group that still runs aborts it (gloo).
    atexit.register(state.destroy_process_group)
    return state
