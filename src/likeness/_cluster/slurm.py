"""The settings file of ``slurm:FILE``: a small TOML file.

::

    queue = "compute"
    cores = 16            # per job
    memory = "32GiB"      # per job
    walltime = "04:00:00"
    jobs = 10
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from likeness.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

_WALLTIME: Final = re.compile(r"(?:(\d+)-)?(\d{1,3}):(\d{2}):(\d{2})")
_MARGIN: Final = 0.05
"""Share of the walltime before its end at which workers leave."""


@dataclass(frozen=True)
class SlurmSettings:
    """What SLURM is asked for. Everything but the first five may be left out."""

    queue: str
    """Partition."""
    cores: int
    """Per job; at least 1."""
    memory: str
    """Per job, for example ``32GiB``."""
    walltime: str
    """Of a job, ``HH:MM:SS`` or ``D-HH:MM:SS``."""
    jobs: int
    """Jobs that are kept running; at least 1."""
    processes: int | None = None
    """Worker processes per job; None for one per core."""
    account: str | None = None
    interface: str | None = None
    """Network interface of the workers, for example ``ib0``."""
    python: str | None = None
    """Interpreter of the workers; None for the one that runs here."""
    log_folder: str | None = None
    local_folder: str | None = None
    """On the node, for what Dask keeps beside the work; None for the working folder."""
    prologue: tuple[str, ...] = ()
    """Lines of shell before a worker starts, for example ``module load python``."""
    directives: tuple[str, ...] = ()
    """Further lines after ``#SBATCH``, for example ``--qos=long``."""
    waiting: float = 24 * 3600.0
    """Seconds to wait for the first job to start."""
    scheduler: dict[str, Any] = field(default_factory=dict)
    """Of the scheduler that runs beside this command: host, port, interface."""

    def __post_init__(self) -> None:
        for name, low in (("cores", 1), ("jobs", 1)):
            _require(getattr(self, name) >= low, name, getattr(self, name), f"at least {low}")
        _require(self.waiting > 0, "waiting", self.waiting, "more than 0 seconds")
        _require(
            self.processes is None or 1 <= self.processes <= self.cores,
            "processes",
            self.processes,
            "from 1 to the cores",
        )
        _require(
            _WALLTIME.fullmatch(self.walltime) is not None,
            "walltime",
            self.walltime,
            "HH:MM:SS or D-HH:MM:SS",
        )

    @property
    def lifetime_seconds(self) -> int:
        """When a worker leaves by itself."""
        match = _WALLTIME.fullmatch(self.walltime)
        assert match is not None
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        return max(1, int(whole * (1 - _MARGIN)) - 30)


def read_slurm_settings(path: Path) -> SlurmSettings:
    """Read and check the settings file.

    Raises
    ------
    OptionError
        If it is not there, is not TOML, or a value is missing, unknown or out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"--cluster slurm:{path}: the file cannot be read ({error.strerror})."
        raise OptionError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"--cluster slurm:{path}: not a TOML file ({error})."
        raise OptionError(msg) from error
    known = {one.name: str(one.type) for one in fields(SlurmSettings)}
    unknown = sorted(set(values) - set(known))
    missing = sorted({"queue", "cores", "memory", "walltime", "jobs"} - set(values))
    if unknown or missing:
        msg = (
            f"--cluster slurm:{path}: "
            + (f"unknown {', '.join(unknown)}. " if unknown else "")
            + (f"missing {', '.join(missing)}. " if missing else "")
            + f"It may hold {', '.join(known)}."
        )
        raise OptionError(msg)
    for name, value in values.items():
        _require(_fits(value, known[name]), name, value, known[name])
        if isinstance(value, list):
            values[name] = tuple(value)
    return SlurmSettings(**values)


def _fits(value: object, kind: str) -> bool:
    if kind.startswith("tuple"):
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind.startswith("dict"):
        return isinstance(value, dict)
    if kind.startswith("float"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    wanted = int if kind.startswith("int") else str
    return isinstance(value, wanted) and not isinstance(value, bool)


def _require(condition: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001
    if not condition:
        msg = f"{name} in the settings of slurm is {value!r}; expected {expected}."
        raise OptionError(msg)
