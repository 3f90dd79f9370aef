"""Every benchmark runs through at a small size, agrees with itself, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def start(script, *arguments, **options):
    command = [sys.executable, "-m", f"benchmarks.{script}", "--quick", *map(str, arguments)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


def finish(script, *arguments):
    process = start(script, *arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def study(tmp_path):
    return tmp_path / "study"


def record(results, name):
    entry = json.loads((results / f"{name}.json").read_text())
    assert entry["machine"]["cores"] >= 1
    assert entry["versions"]["numpy"]
    assert entry["commit"]
    assert entry["settings"]["quick"]
    return entry


def test_surviving_shares(results):
    finish("surviving_shares", "--results", results)
    sharp, blurred = record(results, "surviving_shares")["sets"]
    for found in (sharp, blurred):
        coarse, *_, fine = (found["shares"][grid] for grid in ("16", "32", "64", "128"))
        assert all(0 < fine[name] < coarse[name] <= 1 for name in coarse)
        assert found["references"] == 160
    assert sharp["name"] != blurred["name"]


def test_search_vs_others_ends_only_if_all_sides_agree(results, tmp_path):
    pytest.importorskip("faiss")
    pytest.importorskip("sklearn")
    folder = tmp_path / "here"
    folder.mkdir()
    finish("search_vs_others", "--cases", "main", "--results", results, "--folder", folder)
    entry = record(results, "search-main")
    assert entry["sides"]["likeness"]["ours_is_faster"]["median"] == 1
    assert set(entry["sides"]) == {"likeness", "likeness, brute force", "faiss.IndexFlatIP"}
    assert entry["sides"]["faiss.IndexFlatIP"]["pairs"] == 8 * 40
    assert entry["checks"]["faiss"]["largest_error_of_r"] < 1e-4
    assert entry["others"]["checks"]["plain_int8_same_20"] == 8
    assert not list(folder.iterdir())


def test_a_benchmark_that_is_stopped_removes_what_it_made(tmp_path):
    pytest.importorskip("faiss")
    process = start("search_vs_others", "--cases", "small", "--folder", tmp_path)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "filling" in line:
            break
    assert list(tmp_path.iterdir()), lines
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(lines) + rest
    assert not list(tmp_path.iterdir())


def test_growth(results, study):
    finish("growth", "--folder", study, "--results", results)
    entry = record(results, "growth")
    assert entry["sizes"] == [20, 40, 80]
    assert len(entry["exponent_step_by_step"]) == 2
    assert not study.exists()


def test_audit_at_paper_size(results, study):
    finish("audit_at_paper_size", "--folder", study, "--results", results)
    entry = record(results, "audit-at-paper-size")
    assert entry["copies"]["planted"] == 2
    assert entry["peak_tree_bytes"] >= entry["peak_process_bytes"] > 2**26
    assert abs(sum(entry["stages"].values()) - entry["seconds"]) < 1e-6
    assert not study.exists()


def test_restart(results, study):
    finish("restart", "--folder", study, "--results", results)
    row = record(results, "restart")["what"]["search"]
    assert row["tables_compared"] == ["matches.parquet"]
    assert row["share"]["median"] > 0
    assert not study.exists()


def test_generators(results):
    pytest.importorskip("diffusers")
    finish("generators", "--results", results)
    entry = record(results, "generators")
    assert [row["model"] for row in entry["training"]] == ["ddpm", "stylegan3"]
    for row in entry["training"]:
        speed = row["images_per_second"]
        assert 0 < speed["least"] <= speed["median"] <= speed["greatest"]
        assert row["seconds_per_thousand"] == pytest.approx(1000 / speed["median"])
        assert row["peak_memory_gb"] > 0.1
    (cost,) = entry["costs"]
    assert cost["forward_gflop"] == cost["guided_diffusion_gflop"] > 0.1
    assert len(entry["activations"]) == 2


def test_a_quick_run_is_no_measurement(tmp_path):
    """Without a folder of its own it writes nothing; the page refuses its files."""
    before = sorted((ROOT / "benchmarks" / "results").iterdir())
    assert "nothing was recorded" in finish("surviving_shares")
    assert sorted((ROOT / "benchmarks" / "results").iterdir()) == before
