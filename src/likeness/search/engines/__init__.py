"""Exact products of 8-bit matrices, by whatever is fastest on this machine.

An engine is given rows of bytes and returns their inner products as exact integers; all else
(means, norms, ranking) happens outside and is the same for every engine. So engines can be
exchanged freely: results do not change, only the time.

- `_base`: the contract, and an addition for engines far from the host's memory.
- `numpy_engine`: always there; float32 products of short, centred pieces, which are exact.
- `numkong_engine`: 8-bit multiply instructions, three times as fast; used where it is installed.
- `torch_cpu_engine`: 8-bit multiply instructions by torch, where it is installed.
- `torch_cuda_engine`: 8-bit products on a GPU; `torch_bytes`, `torch_queues` and `torch_threads`
  hold its arithmetic, its transfers, and what keeps torch from starting threads of its own.
- `_selftest`: an engine that errs on this processor is never used.
- `_known`: which engines there are, and what they need.
- `_choice`: tries and times those that are installed, takes the fastest.
"""

from likeness.search.engines._base import Engine, LoadingEngine, loaded
from likeness.search.engines._choice import EngineChoice, available_engines, choose_engine
from likeness.search.engines._known import KNOWN, Known, is_installed
from likeness.search.engines._selftest import self_test

__all__ = [
    "KNOWN",
    "Engine",
    "EngineChoice",
    "Known",
    "LoadingEngine",
    "available_engines",
    "choose_engine",
    "is_installed",
    "loaded",
    "self_test",
]
