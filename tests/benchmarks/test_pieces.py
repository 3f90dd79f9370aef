"""The parts of the benchmarks that could be wrong without anybody seeing it."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks import goals, growth, make_phantoms, phantom_images, processes, rivals
from benchmarks.phantom_images import Collection, Recipe
from benchmarks.recording import spread, take_turns
from benchmarks.surviving_shares import GRIDS, coarse, surviving_shares, unit_vectors
from likeness import ImageSet

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def images():
    smooth = RNG.integers(0, 256, (30, 2, 16, 16)).repeat(16, axis=2).repeat(16, axis=3)
    return np.clip(smooth + RNG.normal(0, 9, smooth.shape), 0, 255).astype(np.uint8)


def pearson(x, y):
    return float(np.corrcoef(x.ravel().astype(float), y.ravel().astype(float))[0, 1])


# --- how hard images are


def plain_bound(x, y, grid):
    total = 0.0
    size = x.shape[1] // grid
    for channel in range(len(x)):
        for row in range(0, x.shape[1], size):
            for column in range(0, x.shape[2], size):
                a = x[channel, row : row + size, column : column + size].ravel()
                b = y[channel, row : row + size, column : column + size].ravel()
                rest = np.linalg.norm(a - a.mean()) * np.linalg.norm(b - b.mean())
                total += len(a) * a.mean() * b.mean() + rest
    return total


def test_the_bound_is_that_of_cauchy_and_schwarz_block_by_block(images):
    x, y = unit_vectors(images[:2])
    pair = coarse(np.stack([x, y]))
    for grid in GRIDS[:2]:
        got = float(pair[grid][0] @ pair[grid][1])
        assert got == pytest.approx(plain_bound(x, y, grid), abs=1e-5)
        assert got >= float(x.ravel() @ y.ravel()) - 1e-5


def test_shares_count_the_references_that_reach_what_is_needed(images):
    queries, references = images[:4], images[4:]
    patients = np.arange(26) // 2
    own = np.array([-1, -1, 3, -1])
    found = surviving_shares(queries, own, [(references, patients)])
    expected = {name: [] for name in ("top 1", "top 20", "2 patients")}
    x, y = unit_vectors(queries), unit_vectors(references)
    for row in range(4):
        allowed = np.flatnonzero(patients != own[row])
        r = np.array([pearson(queries[row], references[k]) for k in allowed])
        bound = np.array([plain_bound(x[row], y[k], 16) for k in allowed])
        of_patients = sorted(
            (max(r[patients[allowed] == p]) for p in set(patients[allowed])), reverse=True
        )
        needed = (r.max(), np.sort(r)[-20], of_patients[1])
        for name, least in zip(expected, needed, strict=True):
            expected[name] += list(bound >= least - 1e-6)
    for name, flags in expected.items():
        assert found["shares"]["16"][name] == pytest.approx(np.mean(flags), abs=1.5 / len(flags))


# --- the rivals are right


@pytest.fixture(scope="module")
def sets(images):
    queries, references = images[:5], np.concatenate([images[5:], images[5:] // 2 + 9])
    truth = np.array([[pearson(q, r) for r in references] for q in queries])
    return ImageSet.from_arrays(queries), ImageSet.from_arrays(references), truth


def assert_best_20(values, places, truth, tolerance):
    expected = -np.sort(-truth, axis=1)[:, :20]
    assert np.abs(values - expected).max() < tolerance
    assert np.abs(np.take_along_axis(truth, places, axis=1) - expected).max() < tolerance


@pytest.mark.parametrize("kernel", sorted(rivals.KERNELS))
def test_plain_int8(sets, kernel):
    pytest.importorskip({"torch._int_mm": "torch", "NumKong tiles": "numkong"}[kernel])
    queries, references, truth = sets
    values, places = rivals.PlainInt8(queries, references, 1, kernel)()
    assert_best_20(values, places, truth, 1e-12)


def test_int8_products_do_not_wrap_round():
    pytest.importorskip("torch")
    worst = np.zeros((2, 1, 512, 512), np.uint8)
    worst[1] = 255
    products = rivals.TorchKernel(worst, 1).products(worst)
    assert products.tolist() == [[0, 0], [0, 255 * 255 * 512 * 512]]


def test_faiss(sets):
    pytest.importorskip("faiss")
    queries, references, truth = sets
    assert_best_20(*rivals.Faiss(queries, references, 1)(), truth, 1e-5)


def test_scikit_learn(sets):
    pytest.importorskip("sklearn")
    queries, references, truth = sets
    assert_best_20(*rivals.ScikitLearn(queries, references, 1)(), truth, 1e-9)


def test_pair_by_pair(sets, tmp_path):
    queries, references, truth = sets
    few = references.subset(np.arange(3))
    found = rivals.PairByPair(queries, few, tmp_path, 2)()
    assert np.abs(found - truth[:, :3]).max() < 1e-12


# --- artificial studies


def test_a_collection_has_the_images_and_people_it_says():
    whole = Collection()
    recipes = list(whole.recipes())
    assert sum(len(recipe.positions) for recipe in recipes) == phantom_images.PAPER_IMAGES
    assert len({recipe.name for recipe in recipes}) == phantom_images.PAPER_PATIENTS
    assert {len(recipe.positions) for recipe in recipes} == {76, 77}


def test_blur_noise_and_planting_take_effect():
    plain = Recipe(5, (80.0,), ("t1",)).draw().astype(float)
    for change in ({"blur": 1.0}, {"noise": 8.0}, {"planted": "mirrored"}):
        other = Recipe(5, (80.0,), ("t1",), **change).draw().astype(float)
        assert not np.array_equal(other, plain)
    noisy = Recipe(5, (80.0,), ("t1",), noise=8.0).draw().astype(float)
    middle = (plain > 60) & (plain < 190)
    assert 7 < (noisy - plain)[middle].std() < 9


def test_a_study_is_the_same_however_it_is_made(tmp_path):
    kind = Collection(num_images=14, slices_per_patient=7, sequences=("t1",))
    for name, jobs in (("one", 1), ("two", 2)):
        make_phantoms.make_study(
            tmp_path / name, kind, test_images=4, synthetic_images=6, copies=2, jobs=jobs
        )
    first, second = (
        [ImageSet.open(tmp_path / name / part).fingerprint for part in make_phantoms.SETS]
        for name in ("one", "two")
    )
    assert first == second
    train = ImageSet.open(tmp_path / "one" / "train")
    assert (len(train), train.num_patients) == (14, 2)
    make_phantoms.remove_study(tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_full_disk_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(SystemExit, match="GiB free"):
        make_phantoms.check_room(tmp_path, 10**12)


# --- what is counted


def test_sides_take_turns_in_both_orders():
    seen = []
    sides = {name: (lambda name=name: seen.append(name)) for name in "ab"}
    seconds, busy, _ = take_turns(sides, 3)
    assert "".join(seen) == "abbaab"
    assert [len(values) for kind in (seconds, busy) for values in kind.values()] == [3] * 4


def test_warmed_sides_run_once_more_before_they_are_timed():
    seen = []
    sides = {name: (lambda name=name: seen.append(name)) for name in "ab"}
    seconds, _, _ = take_turns(sides, 2, warmed=True)
    assert "".join(seen) == "aabbbbaa"
    assert [len(values) for values in seconds.values()] == [2, 2]


def test_exponent_of_a_power_law():
    sizes = np.array([3000, 9000, 91_271])
    assert growth.exponent(sizes, 0.1 * sizes**0.7) == pytest.approx(0.7)


def test_the_middle_of_rounds():
    assert spread([3.0, 1.0, 2.0]) == {
        "median": 2.0, "least": 1.0, "greatest": 3.0, "rounds": [3.0, 1.0, 2.0],
    }  # fmt: skip


CHILD = """
import subprocess, sys
block = bytearray(90 << 20)
print("stage one             10 %  3 s, about 9 s left", file=sys.stderr, flush=True)
subprocess.run([sys.executable, "-c", "import time; b = bytearray(90 << 20); time.sleep(1.2)"])
print("done")
"""


def test_memory_counts_the_children_too():
    with processes.Watched([sys.executable, "-c", CHILD]) as run:
        assert run.wait() == 0
    assert run.output == "done\n"
    assert 90 << 20 < run.peak_main_bytes < 150 << 20
    assert run.peak_tree_bytes > 180 << 20
    assert list(run.stages()) == ["stage one", "the rest"]
    assert sum(run.stages().values()) == pytest.approx(run.seconds)


def test_a_killed_command_is_gone_with_its_children():
    child = "import time; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with processes.Watched([sys.executable, "-c", code]) as run:
        deadline = time.monotonic() + 20
        while len(pids := processes.tree(run.process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(pids) == 2
        assert run.wait(0.0) is None
    time.sleep(0.1)
    for pid in pids:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()  # fmt: skip
        assert state in {"", "Z"} or state.startswith("Z"), os.getpid()


# --- goals


def test_goals_do_not_count_at_smaller_sizes():
    side = {"pairs": 10**7, "ours_is_faster": {"median": 25.0}}
    entry = {"references": 23_478, "queries": 1000, "noise": 0.0,
             "sides": {"faiss.IndexFlatIP": side}}  # fmt: skip
    assert goals.than_faiss({"search-main": entry}) == 25.0
    for change in ({"references": 12_000}, {"queries": 100}):
        with pytest.raises(KeyError):
            goals.than_faiss({"search-main": {**entry, **change}})
    with pytest.raises(KeyError):
        goals.than_faiss(
            {"search-main": {**entry, "sides": {"faiss.IndexFlatIP": {**side, "pairs": 10**6}}}}
        )
