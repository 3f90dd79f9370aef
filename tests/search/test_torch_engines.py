"""Torch multiplies exactly on the processor, and on a GPU as far as that can be told without."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from tests.search.sources import Source, assert_same, some_images

from likeness.errors import MemoryBudgetError, OptionError
from likeness.search import choose_engine, search
from likeness.search.engines import self_test, torch_queues
from likeness.search.engines.torch_bytes import LONGEST_PIECE, padded, pieces
from likeness.testing.engines import EngineTests, exact_products

torch = pytest.importorskip("torch")

from likeness.search.engines.torch_cpu_engine import TorchCpuEngine  # noqa: E402
from likeness.search.engines.torch_cuda_engine import (  # noqa: E402
    TorchCudaEngine,
    multiply_floats,
    multiply_integers,
)

RIGHT_HERE = self_test(TorchCpuEngine()) is None
"""Whether this processor has the instructions."""
on_this_processor = pytest.mark.skipif(not RIGHT_HERE, reason="no 8-bit dot products here")
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")


@on_this_processor
class TestCpuEngine(EngineTests):
    def make_engine(self):
        return TorchCpuEngine()


@on_this_processor
def test_a_search_gives_the_same_bits():
    images = some_images(np.random.default_rng(0), 14, (2, 9, 9), "uint8")
    found, expected = (
        search(Source(images), Source(images[::-1]), engine=engine, threads=2)
        for engine in ("torch-cpu", "numpy")
    )
    assert found.engine == "torch-cpu-int8"
    assert_same(found, expected)


@on_this_processor
@pytest.mark.parametrize("shape", [(150, 1), (1, 300), (64, 40)])
def test_steps_of_any_size(shape):
    """Torch multiplies wrongly where an array has steps of 0, which NumPy gives to new axes."""
    values = np.random.default_rng(4).integers(0, 256, (200, 400), dtype=np.uint8)
    engine = TorchCpuEngine()
    length = shape[1]
    for strides in [(0, 1), (1, 0), (0, 0), (1, 1), (400, 1), (7, 1)]:
        if strides[1] != 1 and length > 1:
            continue  # such rows are not contiguous
        rows = np.lib.stride_tricks.as_strided(values, shape, strides)
        expected = exact_products(rows, rows)
        assert (engine.products(rows, engine.pack(rows)) == expected).all(), strides


def test_packed_rows_stay_small():
    """At most a tenth more than the bytes themselves, whether ones are added or not."""
    for count in (1, 9, 10, 96):
        packed = TorchCpuEngine().pack(np.zeros((count, 20_000), dtype=np.uint8))
        assert sum(part.numel() for part in packed.parts) <= 1.1 * count * 20_000


def test_the_threads_of_others_are_left_alone():
    """An engine uses one thread per caller, and leaves torch as it was in every thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        engine = TorchCpuEngine()
        inside = []
        multiply = torch._int_mm

        def watched(left, right):
            inside.append(torch.get_num_threads())
            return multiply(left, right)

        engine._torch = SimpleNamespace(**vars(torch) | {"_int_mm": watched})
        rows = np.ones((20, 300), dtype=np.uint8)

        def use(_):
            engine.products(rows, engine.pack(rows))
            return torch.get_num_threads()

        with ThreadPoolExecutor(4) as pool:
            after = list(pool.map(use, range(16)))
        assert set(inside) == {1}
        assert set(after) == {3}
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:  # and in a thread that is new
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def run_held_to(instructions, code):
    """Run code in a process whose torch uses no newer instructions."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": instructions},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_processor_without_the_instructions_is_noticed():
    """Held to AVX2, torch 2.13 saturates in silence. Either that is noticed, or all is right."""
    code = """
from likeness.errors import OptionError
from likeness.search import choose_engine
import numpy as np
try:
    engine = choose_engine("torch-cpu", 1).engine
except OptionError as error:
    assert "fails its self-test" in str(error), error
    print("refused; instead", choose_engine("auto", 1).name)
else:
    rows = np.full((40, 999), 255, dtype=np.uint8)
    assert (engine.products(rows, engine.pack(rows)) == 999 * 255 * 255).all()
    print("right")
"""
    told = run_held_to("AVX2", code)
    assert told.startswith(("refused", "right"))
    assert "torch" not in told


# What can be told about the GPU's engine without a GPU: it is run with queues that behave as badly
# as a GPU may, and with a multiplication that is as choosy.


class LateQueues:
    """Queues on the processor that copy as late as they may, from and to memory full of junk."""

    def __init__(self):
        self.buffers = [torch.empty(torch_queues.STAGING_BYTES, dtype=torch.uint8) for _ in "ab"]
        self.waiting = []
        self.turn = 0
        self.filled = None
        self.most_waiting = 0

    def empty(self, rows, columns):
        return torch.full((rows, columns), 77, dtype=torch.uint8)

    def room(self, rows, columns):
        self.turn = 1 - self.turn
        while any(turn == self.turn for turn, _, _ in self.waiting):
            self.copy_one()
        self.filled = self.buffers[self.turn][: rows * columns].view(rows, columns)
        self.filled.fill_(99)
        return self.filled

    def send(self, target):
        assert target.shape == self.filled.shape
        self.waiting.append((self.turn, target, self.filled))
        self.most_waiting = max(self.most_waiting, len(self.waiting))

    def copy_one(self):
        _, target, source = self.waiting.pop(0)
        target.copy_(source)

    @contextmanager
    def computing(self):
        self.finish()
        yield

    def finish(self):
        while self.waiting:
            self.copy_one()


def choosy(multiply):
    """Refuse what ``torch._int_mm`` refuses on a GPU, and what cuBLAS has got wrong."""

    def checked(library, left, right):
        for side in (left, right):
            assert side.dtype == torch.int8
            assert side.is_contiguous()
            assert len(side) >= 32
            assert len(side) % 32 == 0
            assert side.shape[1] % 32 == 0
            assert 0 < side.shape[1] <= LONGEST_PIECE
        assert left.shape[1] == right.shape[1]
        return multiply(library, left, right)

    return checked


def wide(library, left, right):
    """The multiplication of a GPU, as 64-bit integers."""
    table = left.long() @ right.long().t()
    assert table.abs().max() < 2**31
    return table.int()


def pretended(multiply=wide):
    return TorchCudaEngine("pretended", choosy(multiply), LateQueues)


class TestCudaEngineOnTheProcessor(EngineTests):
    def make_engine(self):
        return pretended()


def test_floats_pass_the_self_test():
    """The other way of multiplying is exact as well."""
    assert self_test(pretended(multiply_floats)) is None


def test_integers_are_multiplied_as_on_the_processor():
    """The order of the operands is right: the second one is turned."""
    rng = np.random.default_rng(1)
    left = torch.from_numpy(rng.integers(0, 20, (64, 96), dtype=np.int8))
    right = torch.from_numpy(rng.integers(0, 20, (32, 96), dtype=np.int8))
    assert (multiply_integers(torch, left, right) == wide(torch, left, right)).all()


def test_largest_float_pieces_are_exact():
    """1,024 products of -128 and -128 are 2**24, the last integer that float32 holds with its odd
    neighbours below."""
    for a, b in ((-128, -128), (-128, 127), (127, 127)):
        left = torch.full((32, 4096), a, dtype=torch.int8)
        left[:, ::2] += 1 if a < 0 else -1
        right = torch.full((32, 4096), b, dtype=torch.int8)
        expected = (left.long() * right.long()).sum(dim=1)
        assert (multiply_floats(torch, left, right) == expected[:, None]).all()


def test_sending_overlaps():
    """Two buffers are on their way at a time: one is filled while the other travels."""
    made = []

    def make():
        made.append(LateQueues())
        return made[-1]

    engine = TorchCudaEngine("pretended", choosy(wide), make)
    rows = np.random.default_rng(2).integers(0, 256, (200, 65_536), dtype=np.uint8)
    there = engine.load(rows)
    assert made[0].most_waiting == 2
    assert (there.parts[0].numpy().view(np.uint8) ^ 128 == rows).all()


@pytest.mark.parametrize("length", [1, 31, 32, 33, 65_535, 65_536, 65_537, 131_100])
def test_what_is_added_counts_for_nothing(length):
    """Rows are filled up with zeros, in both directions."""
    rng = np.random.default_rng(length)
    engine = pretended()
    rows = rng.integers(0, 256, (33, length), dtype=np.uint8)
    others = rng.integers(0, 256, (5, length), dtype=np.uint8)
    assert (engine.products(rows, engine.pack(others)) == exact_products(rows, others)).all()
    assert sum(part.shape[1] for part in engine.pack(others).parts) <= length + 31


class Forgetful(LateQueues):
    """Starts to compute before all has arrived."""

    @contextmanager
    def computing(self):
        yield


class Impatient(LateQueues):
    """Gives a buffer out again before it was sent."""

    def room(self, rows, columns):
        self.turn = 1 - self.turn
        self.filled = self.buffers[self.turn][: rows * columns].view(rows, columns)
        return self.filled


@pytest.mark.parametrize("queues", [Forgetful, Impatient])
def test_these_queues_would_notice(queues):
    """Queues that break one promise give wrong products, so that the tests above mean something."""
    engine = TorchCudaEngine("pretended", choosy(wide), queues)
    rows = np.random.default_rng(3).integers(0, 256, (200, 65_536), dtype=np.uint8)
    there = engine.load(rows)
    assert not (there.parts[0].numpy().view(np.uint8) ^ 128 == rows).all()


def test_a_full_gpu_says_what_to_do():
    def full(library, left, right):
        message = "CUDA out of memory."
        raise torch.OutOfMemoryError(message)

    engine = TorchCudaEngine("pretended", full, LateQueues)
    rows = np.zeros((3, 40), dtype=np.uint8)
    with pytest.raises(MemoryBudgetError, match="Lower --memory"):
        engine.products(rows, engine.pack(rows))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU here")
def test_no_gpu_is_said(monkeypatch):
    """Also where there is a driver."""
    monkeypatch.setattr("likeness.search.engines._known.has_cuda_driver", lambda: True)
    with pytest.raises(OptionError, match=r"'torch-cuda-int8' needs a CUDA GPU, and torch .* sees"):
        choose_engine("torch-cuda")
    assert not choose_engine("auto").name.startswith("torch-cuda")


class Recorded:
    """A stand-in for ``torch`` that writes down what is asked of the GPU."""

    uint8 = torch.uint8

    def __init__(self):
        self.log = log = []
        names = iter(["copies", "work"])
        current = []

        class Stream:
            def __init__(self):
                self.name = next(names)

            def wait_stream(self, other):
                log.append((self.name, "waits for", other.name))

            def synchronize(self):
                log.append(("host", "waits for", self.name))

        class Event:
            def __init__(self, *, blocking):
                assert blocking

            def record(self):
                self.number = sum(entry[1] == "copies" for entry in log)
                log.append((current[-1], "marks", self.number))

            def synchronize(self):
                log.append(("host", "waits for", self.number))

        @contextmanager
        def stream(which):
            current.append(which.name)
            yield
            current.pop()

        self.cuda = SimpleNamespace(Stream=Stream, Event=Event, stream=stream)
        self.current = current

    def empty(self, shape, *, dtype, pin_memory=False, device="cpu"):
        self.log.append((self.current[-1] if self.current else "host", "takes", device))
        assert pin_memory == (device == "cpu")
        made = torch.empty(shape, dtype=dtype)
        recorded = self

        class Target:
            def copy_(self, source, *, non_blocking):
                assert non_blocking
                made.copy_(source)
                recorded.log.append((recorded.current[-1], "copies", device))

        return made if device == "cpu" else Target()


def test_the_order_of_the_queues():
    """The real queues, against a recorded GPU: see the three dangers in `torch_queues`."""
    fake = Recorded()
    queues = torch_queues.CudaQueues(fake)
    del fake.log[:]
    target = queues.empty(2, 4)
    for _ in range(4):
        queues.room(2, 4)
        queues.send(target)
    with queues.computing():
        fake.log.append((fake.current[-1], "multiplies", ""))
    queues.finish()
    sent = [("copies", "copies", "cuda")]
    assert fake.log == [
        ("copies", "takes", "cuda"),
        *sent, ("copies", "marks", 1),
        *sent, ("copies", "marks", 2),
        ("host", "waits for", 1), *sent, ("copies", "marks", 3),
        ("host", "waits for", 2), *sent, ("copies", "marks", 4),
        ("work", "waits for", "copies"),
        ("work", "multiplies", ""),
        ("host", "waits for", "copies"),
        ("host", "waits for", "work"),
    ]  # fmt: skip


@on_a_gpu
class TestCudaIntegers(EngineTests):
    def make_engine(self):
        return TorchCudaEngine("torch-cuda-int8", multiply_integers)


@on_a_gpu
class TestCudaFloats(EngineTests):
    def make_engine(self):
        return TorchCudaEngine("torch-cuda-float32", multiply_floats)


@on_a_gpu
def test_a_search_on_the_gpu_gives_the_same_bits():
    images = some_images(np.random.default_rng(0), 50, (2, 33, 33), "uint8")
    found, expected = (
        search(Source(images), Source(images[::-1]), engine=engine, threads=4)
        for engine in ("torch-cuda", "numpy")
    )
    assert_same(found, expected)


def test_pieces():
    """Cut and rounded as they are named."""
    assert pieces(10, 4) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert pieces(4, 4) == [slice(0, 4)]
    assert [padded(n, 32) for n in (1, 31, 32, 33)] == [32, 32, 32, 64]
    assert LONGEST_PIECE * 255 * 128 < 2**31
    assert LONGEST_PIECE * 128 * 128 < 2**31
