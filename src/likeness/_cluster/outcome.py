"""What a cluster could not compute, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN = 3
"""Parts that a sentence names."""


@dataclass(frozen=True)
class Quarantined:
    """A task that failed twice and was set aside."""

    task: str
    """Its key."""
    what: str
    """What it would have compared, in words."""
    files: tuple[str, ...]
    """Shards that it reads: one of them may be what breaks it."""
    reason: str
    """What it raised, or that it killed its workers."""


@dataclass(frozen=True)
class ClusterOutcome:
    """The account of all that one cluster did for one audit."""

    num_tasks: int
    """Tasks of all searches and scorings, those found finished included."""
    num_computed: int
    """Of these, computed in this run."""
    num_repeated: int
    """Times that a task ended without a result: it raised, or its worker or scheduler was lost."""
    machines: tuple[str, ...]
    """Names of the machines that computed."""
    quarantined: tuple[Quarantined, ...]

    @property
    def complete(self) -> bool:
        """Whether everything was compared."""
        return not self.quarantined

    def obstacles(self) -> list[str]:
        """Return what forbids a clearance, in sentences; empty if everything was compared."""
        if not self.quarantined:
            return []
        number = len(self.quarantined)
        shown = "; ".join(f"{one.what}: {one.reason}" for one in self.quarantined[:SHOWN])
        more = f"; and {number - SHOWN} more" if number > SHOWN else ""
        return [
            f"{number} of {self.num_tasks} parts of the work failed twice and were left out, so "
            f"not every pair was compared ({shown}{more}). Mend what is named and run the same "
            "command again: it computes these parts only."
        ]

    def describe(self) -> list[str]:
        """Return the account as lines, every part that was set aside with its files."""
        lines = [
            f"cluster    {self.num_computed} of {self.num_tasks} parts computed in this run on "
            f"{len(self.machines)} machines, {self.num_repeated} begun more than once"
        ]
        for one in self.quarantined:
            lines.append(f"set aside  {one.what}: {one.reason}")
            lines += [f"           {name}" for name in one.files]
        return lines

    def rows(self) -> list[dict[str, object]]:
        """Return what was set aside as JSON values."""
        return [
            {"task": one.task, "what": one.what, "files": list(one.files), "reason": one.reason}
            for one in self.quarantined
        ]
