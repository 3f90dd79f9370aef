"""One thread's way to a GPU: a stream that copies, a stream that computes, two pinned buffers.

The copy engine of a GPU works beside its multipliers, but only from memory that the system cannot
move. So rows go through two pinned buffers in turn: while one is on its way the other is filled,
and what has arrived is multiplied. Three things can go wrong in silence, and are kept from it here:

- a buffer is filled again before it was sent: `room` waits for its last copy;
- a product starts before its rows have arrived: `computing` waits for all that was sent;
- memory is given to the next tensor while another stream still works on it: tensors that are sent
  come from `empty`, and callers keep them until `finish`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGING_BYTES: Final = 4 << 20
"""Of one pinned buffer: 64 rows of 65,536 pixels."""


class Queues(Protocol):
    """What an engine needs of a device."""

    def empty(self, rows: int, columns: int) -> Any:  # noqa: ANN401
        """Return a tensor of unsigned bytes on the device, to be sent to."""
        ...

    def room(self, rows: int, columns: int) -> Any:  # noqa: ANN401
        """Return a tensor of unsigned bytes on the host to fill, of at most `STAGING_BYTES`."""
        ...

    def send(self, target: Any) -> None:  # noqa: ANN401
        """Copy the last `room` to a part of a tensor that came from `empty`; return at once."""
        ...

    def computing(self) -> Any:  # noqa: ANN401
        """Return a context in which work on the device waits for all that was sent."""
        ...

    def finish(self) -> None:
        """Wait until all work is done."""
        ...


class CudaQueues:
    """The queues of the current CUDA device."""

    def __init__(self, torch: Any) -> None:  # noqa: ANN401
        self._torch = torch
        self._copies = torch.cuda.Stream()
        self._work = torch.cuda.Stream()
        self._buffers = [
            torch.empty(STAGING_BYTES, dtype=torch.uint8, pin_memory=True) for _ in range(2)
        ]
        self._sent: list[Any] = [None, None]
        self._turn = 0
        self._filled: Any = None

    def empty(self, rows: int, columns: int) -> Any:  # noqa: ANN401
        """See `Queues`. From the memory of the copying stream, which writes to it first."""
        with self._torch.cuda.stream(self._copies):
            return self._torch.empty((rows, columns), dtype=self._torch.uint8, device="cuda")

    def room(self, rows: int, columns: int) -> Any:  # noqa: ANN401
        """See `Queues`."""
        self._turn = 1 - self._turn
        before = self._sent[self._turn]
        if before is not None:
            before.synchronize()
        self._filled = self._buffers[self._turn][: rows * columns].view(rows, columns)
        return self._filled

    def send(self, target: Any) -> None:  # noqa: ANN401
        """See `Queues`."""
        with self._torch.cuda.stream(self._copies):
            target.copy_(self._filled, non_blocking=True)
            event = self._torch.cuda.Event(blocking=True)
            event.record()
        self._sent[self._turn] = event

    @contextmanager
    def computing(self) -> Iterator[None]:
        """See `Queues`."""
        self._work.wait_stream(self._copies)
        with self._torch.cuda.stream(self._work):
            yield

    def finish(self) -> None:
        """See `Queues`."""
        self._copies.synchronize()
        self._work.synchronize()
