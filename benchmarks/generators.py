"""Speed and memory of training the generators, and what their networks cost.

Three questions, each with a table:

- Training: every case runs in a process of its own, on noise, for a few steps of the real loop; the
  first step is left out of the median. The peak memory is that process's largest resident set.
- The diffusion model's network: floating point operations of one forward pass, counted by torch's
  FlopCounterMode on tensors without content, beside the same count of guided-diffusion's network as
  the tests write it down from its published architecture. The counts must be equal.
- StyleGAN3's generator, forward and backward: the filtered activation of the product beside the
  plain one, which puts zeros between the samples and convolves. Outputs must agree.

Run: python -m benchmarks.generators [--steps 6] [--quick]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.recording import (
    ROOT,
    add_common_arguments,
    arguments_of,
    ending_tidily,
    spread,
    take_turns,
    write_result,
)
from likeness.generators.presets import find_preset

TITLE = "Training the generators"


@dataclass(frozen=True)
class Case:
    """One training run."""

    kind: str
    preset: str
    side: int
    batch: int
    steps: int | None = None
    """Where fewer than asked for are enough."""


CASES = (
    Case("ddpm", "tiny", 32, 32),
    Case("stylegan3", "tiny", 32, 16),
    Case("ddpm", "paper-text-cxr-small", 64, 4, 3),
    Case("ddpm", "paper-text-cxr-small", 256, 2, 3),
    Case("ddpm", "paper-text-brats-small", 256, 2, 3),
    Case("ddpm", "paper-text-cxr-medium", 256, 1, 3),
    Case("ddpm", "paper-text-cxr-large", 256, 1, 3),
    # At 256 pixels a step of StyleGAN3 takes minutes on a processor.
    Case("stylegan3", "paper-text-cxr-small", 64, 4, 3),
)
COUNTED = (
    ("tiny", 32),
    *((f"paper-text-cxr-{size}", 256) for size in ("small", "medium", "large")),
)


def train(case, steps):
    """Train a few steps in this process; return seconds of each, the peak memory, and settings."""
    from likeness.datasets import ImageSet

    rng = np.random.default_rng(0)
    preset = find_preset(case.kind, case.preset)
    network = (
        preset.resized(resolution=case.side)
        if case.kind == "ddpm"
        else replace(preset.network, resolution=case.side)
    )
    shape = max(64, case.batch), network.channels, case.side, case.side
    images = ImageSet.from_arrays(rng.integers(0, 256, shape, dtype=np.uint8))
    training = replace(preset.training, batch=case.batch, images=steps * case.batch)
    options = {"seed": 0, "log_every": 1, "save_every": steps}
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        out = Path(folder)
        if case.kind == "ddpm":
            from likeness.generators.ddpm.training import train_ddpm

            train_ddpm(images, out, network, preset.diffusion, training, **options)
        else:
            from likeness.generators.stylegan3.training import train_stylegan3

            train_stylegan3(images, out, network, training, **options)
        lines = (out / "metrics.jsonl").read_text().splitlines()
    speeds = [json.loads(line)["images_per_second"] for line in lines]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"images_per_second": speeds[1:], "peak_bytes": peak}


def measured(case, steps):
    """Train in a process of its own; return a row of the table."""
    own = {**vars(case), "steps": min(steps, case.steps or steps)}
    command = [sys.executable, "-m", "benchmarks.generators", "--case", json.dumps(own)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout)
    speed = spread(found["images_per_second"])
    print(
        f"  {case.kind} {case.preset}, {case.side} px: {speed['median']:.2f} images/s", flush=True
    )
    return {
        "model": case.kind,
        "preset": case.preset,
        "pixels": case.side,
        "batch": case.batch,
        "images_per_second": speed,
        "seconds_per_thousand": 1000 / speed["median"],
        "peak_memory_gb": found["peak_bytes"] / 1e9,
    }


def costs(preset, side):
    """Count the operations of our network and of guided-diffusion's; return a row."""
    import torch
    from tests.generators.ddpm.guided_network import Weights, guided_network
    from torch.utils.flop_counter import FlopCounterMode

    from likeness.generators.ddpm.network import build_unet

    class Shapes(Weights):
        """Weights without content."""

        def get_or_make(self, name, *shape):
            return torch.empty(shape, device="meta")

    unet = find_preset("ddpm", preset).resized(resolution=side)
    names = ("width", "blocks", "multipliers", "attention_levels", "heads", "groups")
    with torch.device("meta"), torch.no_grad():
        image, time = torch.empty(1, unet.channels, side, side), torch.zeros(1)
        network = build_unet(unet)
        with FlopCounterMode(display=False) as own:
            network(image, time)
        with FlopCounterMode(display=False) as published:
            guided_network(Shapes(), image, time, **{name: getattr(unet, name) for name in names})
    if own.get_total_flops() != published.get_total_flops():
        msg = f"{preset}: {own.get_total_flops()} operations, {published.get_total_flops()} there"
        raise AssertionError(msg)
    return {
        "preset": preset,
        "pixels": side,
        "parameters": sum(one.numel() for one in network.parameters()),
        "forward_gflop": own.get_total_flops() / 1e9,
        "guided_diffusion_gflop": published.get_total_flops() / 1e9,
    }


def plain_activation(x, bias, up_filter, down_filter, *, up, down, padding, slope=0.2,
                     gain=2**0.5, method=None):  # fmt: skip
    """The filtered activation as it is defined: zeros between samples, pad, convolve, skip."""
    import torch
    from torch.nn import functional

    del method

    def convolved(values, taps):
        for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
            kernel = taps.flip(0).reshape(shape).expand(values.shape[1], -1, -1, -1)
            values = functional.conv2d(values, kernel, groups=values.shape[1])
        return values

    x = x + bias[:, None, None]
    count, channels, height, width = x.shape
    stuffed = x.reshape(count, channels, height, 1, width, 1)
    stuffed = functional.pad(stuffed, (0, up - 1, 0, 0, 0, up - 1))
    stuffed = stuffed.reshape(count, channels, height * up, width * up) * up**2
    raised = convolved(functional.pad(stuffed, (*padding, *padding)), up_filter)
    active = functional.leaky_relu(raised, slope) * gain
    lowered = convolved(active, down_filter)[..., ::down, ::down]
    return torch.Tensor.contiguous(lowered)


def activations(preset, side, batch, rounds):
    """Time forward and backward of the generator with both activations; return the rows."""
    import torch

    from likeness.generators.stylegan3 import generator as module

    settings = replace(find_preset("stylegan3", preset).network, resolution=side, channels=1)
    torch.manual_seed(0)
    network = module.Generator(settings)
    latent = torch.randn(batch, settings.latent_size)
    own = module.filtered_leaky_relu

    def run(activation):
        module.filtered_leaky_relu = activation
        try:
            network.zero_grad()
            images = network(latent)
            images.square().mean().backward()
        finally:
            module.filtered_leaky_relu = own
        gradients = [one.grad.flatten() for one in network.parameters() if one.grad is not None]
        return images.detach(), torch.cat(gradients)

    sides = {"product": lambda: run(own), "zeros between samples": lambda: run(plain_activation)}
    for side_name in sides:
        sides[side_name]()  # memory is taken once
    seconds, _, found = take_turns(sides, rounds)
    for one, other in zip(*found.values(), strict=True):
        if (one - other).abs().max() > 1e-3 * other.abs().max():
            msg = f"The two activations differ by {(one - other).abs().max()}"
            raise AssertionError(msg)
    return [
        {
            "activation": name,
            "preset": preset,
            "pixels": side,
            "batch": batch,
            "seconds_forward_and_backward": spread(values),
        }
        for name, values in seconds.items()
    ]


def main():
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser)
    parser.add_argument("--steps", type=int, default=6, help="steps of each run")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = arguments_of(parser, steps=3)
    if given.case:
        case = Case(**json.loads(given.case))
        print(json.dumps(train(case, case.steps)))
        return
    cases, counted, rounds = CASES, COUNTED, 5
    if given.quick:
        cases = [replace(case, batch=4) for case in CASES[:2]]
        counted, rounds = COUNTED[:1], 1
    with ending_tidily():
        rows = [measured(case, given.steps) for case in cases]
        counts = [costs(*one) for one in counted]
        sides = activations("tiny", 32, 4 if given.quick else 16, rounds)
    ratio = statistics.median(sides[1]["seconds_forward_and_backward"]["rounds"]) / (
        statistics.median(sides[0]["seconds_forward_and_backward"]["rounds"])
    )
    content = {"training": rows, "costs": counts, "activations": sides, "times_faster": ratio}
    del given.case
    write_result(given, "generators", content)


if __name__ == "__main__":
    main()
