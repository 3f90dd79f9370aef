"""Exact products of 8-bit matrices, by whatever is fastest on this machine.

An engine is given rows of bytes and returns their inner products as exact integers; all else
(means, norms, ranking) happens outside and is the same for every engine. So engines can be
exchanged freely: results do not change, only the time.

- `_base`: the contract.
- `numpy_engine`: always there; float32 products of short, centred pieces, which are exact.
- `numkong_engine`: 8-bit multiply instructions, three times as fast; used where it is installed.
- `_selftest`: an engine that errs on this processor is never used.
- `_choice`: finds the engines, tries and times them, takes the fastest.
"""

from likeness.search.engines._base import Engine
from likeness.search.engines._choice import EngineChoice, available_engines, choose_engine
from likeness.search.engines._selftest import self_test

__all__ = ["Engine", "EngineChoice", "available_engines", "choose_engine", "self_test"]
