"""The engines that there are, and what each needs; nothing is imported to tell."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness.search.engines.numpy_engine import NumpyEngine

if TYPE_CHECKING:
    from likeness.search.engines._base import Engine

_CUDA_DRIVERS: Final = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))


@dataclass(frozen=True)
class Known:
    """One engine."""

    make: Callable[[], Engine]
    library: str | None = None
    """The module that it needs besides NumPy."""
    extra: str | None = None
    """The extra of Likeness that installs it."""
    needs_cuda: bool = False


def is_installed(known: Known) -> bool:
    """Whether the library is installed, and the driver of the GPU that it needs."""
    if known.needs_cuda and not has_cuda_driver():
        return False
    return known.library is None or has_library(known.library)


def has_library(name: str) -> bool:
    """Whether a module could be imported, as far as that can be told without doing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # what was put in its place in `sys.modules` has no origin
        return False


def has_cuda_driver() -> bool:
    """Whether this system has the driver of a CUDA GPU."""
    return any(path.exists() for path in _CUDA_DRIVERS)


def is_imported(library: str) -> bool:
    """Whether a module has been imported by someone, so that using it costs no more time."""
    return sys.modules.get(library) is not None


def _numkong() -> Engine:
    from likeness.search.engines.numkong_engine import NumkongEngine

    return NumkongEngine()


def _torch_cpu() -> Engine:
    from likeness.search.engines.torch_cpu_engine import TorchCpuEngine

    return TorchCpuEngine()


def _torch_cuda_int8() -> Engine:
    from likeness.search.engines.torch_cuda_engine import TorchCudaEngine, multiply_integers

    return TorchCudaEngine("torch-cuda-int8", multiply_integers)


def _torch_cuda_float32() -> Engine:
    from likeness.search.engines.torch_cuda_engine import TorchCudaEngine, multiply_floats

    return TorchCudaEngine("torch-cuda-float32", multiply_floats)


KNOWN: Final[dict[str, Known]] = {
    "numkong-uint8": Known(_numkong, "numkong", "fast"),
    "numpy-float32": Known(NumpyEngine),
    "torch-cpu-int8": Known(_torch_cpu, "torch", "torch"),
    "torch-cuda-int8": Known(_torch_cuda_int8, "torch", "torch", needs_cuda=True),
    "torch-cuda-float32": Known(_torch_cuda_float32, "torch", "torch", needs_cuda=True),
}
"""By name, in the order in which ``auto`` tries them."""
