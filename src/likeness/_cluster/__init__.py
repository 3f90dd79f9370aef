"""The long parts of an audit on many machines: the same bits, computed somewhere else.

In: a search or a scoring that one process could do alone. Out: its result, and an account of what
could not be computed.

    search or scores --cut--> tasks (plain data) --scheduler--> workers --write--> shared folder
                                                                                       |
    result <------------------------ read and merge, in this process <----------------+

A task says in JSON values where the image sets lie, which rows of them it compares, with what
options, and which file it writes. `run_task` does it, here or in a worker; it returns a few
numbers. So neither images nor results pass the scheduler, the files in the shared folder are the
only truth about what is done, and everything may be killed at any time: workers, the scheduler,
this process. The same command goes on from the files.

A task that raises, or kills its worker, is tried once more; after the second time it is set aside,
with the files it reads, and the rest goes on. What was set aside was compared with nothing:
`ClusterOutcome` says so, and an audit with such an outcome must not clear anybody.

Dask distributes (extra ``cluster``); it is imported only when a cluster is asked for. What this
package does not do: it decides nothing, moves no image, and does not start machines, except through
SLURM where `open_cluster` is told to.
"""

from likeness._cluster.cluster import Cluster
from likeness._cluster.connecting import open_cluster
from likeness._cluster.cutting import count_parts
from likeness._cluster.locations import open_set
from likeness._cluster.outcome import ClusterOutcome, Quarantined
from likeness._cluster.tasks import Task, run_task

__all__ = [
    "Cluster",
    "ClusterOutcome",
    "Quarantined",
    "Task",
    "count_parts",
    "open_cluster",
    "open_set",
    "run_task",
]
