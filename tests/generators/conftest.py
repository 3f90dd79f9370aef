"""Torch on one thread. Without the extra ``generate``, only what needs none of it is tested."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

collect_ignore_glob = []
if not all(find_spec(name) for name in ("torch", "diffusers", "safetensors")):
    collect_ignore_glob = ["ddpm/*", "stylegan3/*", "training/*"]
    collect_ignore_glob += [f"test_{name}.py" for name in ("checkpoints", "models", "samples")]


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    if find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
