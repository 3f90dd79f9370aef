from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch

from likeness.errors import InputError, OptionError
from likeness.generators.training.averages import WeightAverage, averaging_rate
from likeness.generators.training.data_order import DataOrder, noise_seed
from likeness.generators.training.run_folder import RunFolder
from likeness.generators.training.stopping import stop_on_signals


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (7, 7), (3, 8)])
def test_every_epoch_visits_each_image_once(count, batch):
    order = DataOrder(5, count, batch)
    seen = np.concatenate([order.rows(step) for step in range(count)])
    epochs = seen.reshape(-1, count)
    assert (np.sort(epochs, axis=1) == np.arange(count)).all()
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_order_is_a_function_of_the_seed_and_the_step():
    forth = [DataOrder(1, 10, 4).rows(step) for step in range(9)]
    order = DataOrder(1, 10, 4)
    back = [order.rows(step) for step in reversed(range(9))][::-1]
    np.testing.assert_array_equal(forth, back)
    assert not np.array_equal(forth, [DataOrder(2, 10, 4).rows(step) for step in range(9)])


def test_each_step_has_noise_of_its_own():
    assert len({noise_seed(3, step) for step in range(1000)}) == 1000
    assert noise_seed(3, 0) != noise_seed(4, 0)


def test_the_mean_of_weights_is_as_computed_by_hand():
    network = torch.nn.Linear(1, 1, bias=False)
    values = [1.0, 3.0, -2.0]
    with torch.no_grad():
        network.weight.fill_(values[0])
        mean, expected = WeightAverage(network), values[0]
        for step, value in enumerate(values[1:], 1):
            network.weight.fill_(value)
            rate = averaging_rate(step, 0.9999)
            mean.update(network, rate)
            expected = rate * expected + (1 - rate) * value
    assert mean.weights["weight"].item() == pytest.approx(expected, rel=1e-6)
    assert averaging_rate(1, 0.9999) == 2 / 11
    assert averaging_rate(10**6, 0.9999) == 0.9999


def test_a_signal_becomes_a_wish_and_the_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop_on_signals() as wish:
        assert wish.signal is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert wish.signal == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_recent_checkpoints_and_milestones_stay(tmp_path):
    folder = RunFolder(tmp_path)
    for step in range(1, 8):
        folder.save(step, {"a": torch.zeros(1)}, {}, keep_last=2, milestone_every=3)
    assert folder.steps() == [3, 6, 7]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3


def test_metrics_are_cut_back_to_a_step(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (2, 4, 6):
        folder.log({"step": step})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"ste')
    folder.cut_metrics(4)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 2}, {"step": 4}]


def test_another_run_is_refused_and_what_differs_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim({"seed": 1, "training": {"batch": 4, "betas": (0.9, 0.99)}})
    folder.claim({"seed": 1, "training": {"batch": 4, "betas": (0.9, 0.99)}})
    with pytest.raises(OptionError, match=r"training\.batch is 8, was 4\. Give"):
        folder.claim({"seed": 1, "training": {"batch": 8, "betas": (0.9, 0.99)}})
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        folder.claim({"seed": 1})
