"""Torch on one thread. Without the extra ``metrics``, only what needs none of it is tested."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

collect_ignore_glob = []
if not all(find_spec(name) for name in ("torch", "torchmetrics", "onnxruntime", "onnx", "monai")):
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
