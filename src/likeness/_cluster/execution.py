"""Give tasks to workers until every one is done or set aside.

The files in the shared folder say what is done; the scheduler is told only what is at work. So a
scheduler that comes back empty is no loss: what it had is given out again. A few tasks per core are
out at a time, which keeps a scheduler small however many there are.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter, deque
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from likeness import errors
from likeness._cluster import attempts
from likeness._cluster.checks import check_sources, check_workers
from likeness._cluster.links import quiet
from likeness._cluster.outcome import Quarantined
from likeness._cluster.tasks import MOST_FAILURES, Report, Task, run_task
from likeness._versions import package_version
from likeness.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likeness._cluster.links import Link
    from likeness._cluster.sources import SourcePlace
    from likeness._progress import Progress
    from likeness._progress import Task as ShownTask

_POLL_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 2.0
"""Between questions who is there."""
_MOST_LOSSES: Final = 25
"""A task that was never at work when its worker died is given out again so often."""


_ANSWER_SECONDS: Final = 30.0
_LOST_SECONDS: Final = 120.0
_MOST_DISCONNECTIONS: Final = 10
"""In a row, without a task finished between them."""


class _LostError(Exception):
    """The scheduler is gone."""


class Execution:
    """Runs the tasks of one search or scoring after another on one cluster.

    Parameters
    ----------
    link
        The way to the scheduler.
    shared
        Folder that all workers must see.
    """

    def __init__(self, link: Link, shared: Path, progress: Progress) -> None:
        self._link, self._shared, self._progress = link, shared, progress
        self._client: Any = None
        self._run = uuid.uuid4().hex[:8]  # another command may use the same scheduler
        self._answered = False
        self.machines: set[str] = set()
        """That have done something."""
        self.num_repeated = 0

    def close(self) -> None:
        """Leave the scheduler, and stop it if it is ours."""
        self._drop()
        self._link.close()

    def run(
        self, tasks: Sequence[Task], *, name: str, unit: str, places: Sequence[SourcePlace] = ()
    ) -> list[Quarantined]:
        """Do the tasks that are not done.

        Parameters
        ----------
        name, unit
            For the progress.
        places
            Image sets that every worker must be able to open.

        Returns
        -------
        list of Quarantined
            Those that failed twice, or that waited for one that did.

        Raises
        ------
        ClusterError
            If nobody answers, or a worker does not see what it must see.
        LikenessError
            If the settings or the storage would stop every task; in the worker's words.
        """
        state = _State(tasks)
        if not state.waiting:
            return []
        total = sum(task.weight for task in state.waiting.values())
        in_a_row, left = 0, len(state.waiting)
        with self._progress.task(name, total, unit=unit) as shown:
            while state.waiting:
                client = self._connected()
                for marks in {task.marks for task in tasks}:
                    # Whoever stopped a whole run, or a scheduler, stopped innocent tasks.
                    self.num_repeated += attempts.forget(Path(marks))
                try:
                    check_sources(client, places)
                    self._session(client, state, shown)
                except (_LostError, OSError, TimeoutError, CancelledError) as error:
                    # Dask's errors of a lost connection are errors of the system.
                    in_a_row = in_a_row + 1 if left == len(state.waiting) else 1
                    left = len(state.waiting)
                    if in_a_row >= _MOST_DISCONNECTIONS:
                        msg = f"--cluster {self._link.name} is lost again and again: {error!r}"
                        raise ClusterError(msg) from error
                    shown.note("scheduler lost, waiting for it")
                    self._drop()
                    state.give_back()
                except BaseException:
                    self._abandon(state)
                    raise
        for marks in {task.marks for task in tasks}:
            self.num_repeated += attempts.forget(Path(marks))
        return state.aside

    def _connected(self) -> Any:  # noqa: ANN401
        if self._client is not None and self._client.status == "running":
            return self._client
        self._drop()
        patience = self._link.patience
        end = time.monotonic() + (patience.scheduler if self._answered else patience.answer)
        while True:
            client = self._link.connect(max(1.0, end - time.monotonic()))
            try:
                self._wait_for_workers(client)
                check_workers(client, self._shared)
            except (OSError, TimeoutError) as error:
                _close(client)
                if time.monotonic() >= end:
                    msg = f"The scheduler of --cluster {self._link.name} went away: {error}"
                    raise ClusterError(msg) from error
                continue
            except BaseException:
                _close(client)
                raise
            self._client, self._answered = client, True
            return client

    def _wait_for_workers(self, client: Any) -> None:  # noqa: ANN401
        end = time.monotonic() + self._link.patience.workers
        said = False
        while not client.nthreads():
            if time.monotonic() >= end:
                msg = (
                    f"--cluster {self._link.name} has a scheduler and no worker, after "
                    f"{self._link.patience.workers:.0f} s. Start workers: `dask worker ADDRESS`."
                )
                raise ClusterError(msg)
            if not said:
                self._progress.say("cluster: waiting for a worker")
                said = True
            time.sleep(0.2)

    def _session(self, client: Any, state: _State, shown: ShownTask) -> None:  # noqa: ANN401
        looked, last_seen, cores = 0.0, time.monotonic(), 0
        lost: dict[str, float] = {}
        while state.waiting:
            now = time.monotonic()
            if now - looked >= _LOOK_SECONDS:
                threads = client.nthreads()
                looked, cores = now, sum(threads.values())
                if threads:
                    last_seen = now
                elif now - last_seen > self._link.patience.workers:
                    msg = (
                        f"All workers of --cluster {self._link.name} are gone. What is finished is "
                        "kept; start workers and run the same command again."
                    )
                    raise ClusterError(msg)
                shown.note(f"{len(threads)} workers, {len(state.waiting)} parts left")
            for task in state.ready(2 * cores + 2):
                state.at_work[task.key] = client.submit(
                    run_task,
                    task.to_json(),
                    state.failures[task.key],
                    package_version("likeness"),
                    key=f"likeness-{self._run}-{task.key}-{state.begin(task.key)}",
                    pure=False,
                )
            time.sleep(_POLL_SECONDS)
            if client.status != "running":
                raise _LostError
            for key, future in list(state.at_work.items()):
                if future.status in {"finished", "error", "cancelled"}:
                    self._settle(state, state.waiting[key], future, shown)
                    lost.pop(key, None)
                elif future.status == "lost" and now - lost.setdefault(key, now) > _LOST_SECONDS:
                    # Its worker died with the answer, and nobody has asked for it again.
                    raise _LostError

    def _settle(self, state: _State, task: Task, future: Any, shown: ShownTask) -> None:  # noqa: ANN401
        """Take the end of a task: done, once more, or set aside."""
        if future.status == "finished":
            try:
                report: Report = future.result(timeout=_ANSWER_SECONDS)
            except (OSError, TimeoutError):
                return  # its worker died with the answer: its status says how it goes on
            del state.at_work[task.key]
            self._follow(state, task, report, shown)
        elif future.status == "error":
            error = future.exception(timeout=_ANSWER_SECONDS)
            del state.at_work[task.key]
            died = attempts.count(Path(task.marks), task.key)
            if type(error).__name__ != "KilledWorker":
                msg = f"A worker of --cluster {self._link.name} cannot run Likeness: {error!r}"
                raise ClusterError(msg)
            state.losses[task.key] += 1
            if died + state.failures[task.key] >= MOST_FAILURES:
                state.set_aside(task, f"killed its worker {died} times")
            elif state.losses[task.key] > _MOST_LOSSES:
                state.set_aside(task, "its workers were lost again and again before it began")
            else:
                self._again(state, task)
        else:  # a scheduler that has forgotten us
            raise _LostError

    def _follow(self, state: _State, task: Task, report: Report, shown: ShownTask) -> None:
        reason = f"{report['error']}: {report['reason']}"
        if report["state"] == "done":
            self.machines.add(report["machine"])
            state.finish(task)
            shown.advance(task.weight)
        elif report["state"] == "killed":
            state.set_aside(task, report["reason"])
        else:
            state.failures[task.key] += 1
            died = attempts.count(Path(task.marks), task.key)
            if state.failures[task.key] + died < MOST_FAILURES:
                self._again(state, task)
            elif report["state"] == "stopped":
                kind = getattr(errors, report["error"], ClusterError)
                msg = f"On {report['machine']}: {report['reason']}"
                raise kind(msg)
            else:
                state.set_aside(task, reason)

    def _again(self, state: _State, task: Task) -> None:
        self.num_repeated += 1
        state.queue.append(task.key)

    def _abandon(self, state: _State) -> None:
        """Take back what is at work: nobody waits for it any more."""
        futures = list(state.at_work.values())
        if self._client is not None and futures:
            with quiet(), contextlib.suppress(Exception):
                self._client.cancel(futures, force=True)

    def _drop(self) -> None:
        if self._client is not None:
            _close(self._client)
            self._client = None


class _State:
    """Which tasks wait, are at work, have failed."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.waiting = {task.key: task for task in tasks if not task.is_done()}
        """Not done and not set aside, those at work included."""
        self.queue = deque(self.waiting)
        """Of these, those not at work."""
        self.at_work: dict[str, Any] = {}
        self.failures: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.aside: list[Quarantined] = []
        self._begun: Counter[str] = Counter()
        self._gone: set[str] = set()

    def ready(self, most: int) -> Iterator[Task]:
        """Yield tasks that can begin, so that at most `most` are at work."""
        for _ in range(len(self.queue)):
            if len(self.at_work) >= most:
                return
            task = self.waiting[self.queue.popleft()]
            lacking = next((key for key in task.after if key in self._gone), None)
            if lacking is not None:
                self.set_aside(task, f"it needs {lacking}, which failed")
            elif any(key in self.waiting for key in task.after):
                self.queue.append(task.key)
            else:
                yield task

    def begin(self, key: str) -> int:
        """Return a number for this try: a scheduler remembers names."""
        self._begun[key] += 1
        return self._begun[key]

    def finish(self, task: Task) -> None:
        """Take a task off the list."""
        del self.waiting[task.key]

    def set_aside(self, task: Task, reason: str) -> None:
        """Give a task up."""
        del self.waiting[task.key]
        self._gone.add(task.key)
        work = task.work
        self.aside.append(
            Quarantined(task.key, work.describe(task.payload), work.files(task.payload), reason)
        )

    def give_back(self) -> None:
        """Let what is at work wait again, and drop what is finished."""
        self.at_work.clear()
        self.waiting = {key: task for key, task in self.waiting.items() if not task.is_done()}
        self.queue = deque(self.waiting)


def _close(client: Any) -> None:  # noqa: ANN401
    with quiet(), contextlib.suppress(Exception):
        client.close(timeout=2)
