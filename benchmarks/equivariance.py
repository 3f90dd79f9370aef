"""How far the images of a trained StyleGAN3 move as a whole when its input is moved.

    python -m benchmarks.equivariance --checkpoint RUN

RUN is the folder of a run (its last checkpoint is taken) or one checkpoint. The mean generator is
measured, over shifts of up to an eighth of the width in whole pixels, drawn from a fixed seed; a
new generator of the same settings is measured beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.recording import add_common_arguments, arguments_of, write_result
from likeness.generators.checkpoints import RECORD_NAME, load_checkpoint
from likeness.generators.stylegan3.equivariance import translation_equivariance
from likeness.generators.stylegan3.generator import Generator
from likeness.generators.stylegan3.plan import NetworkSettings
from likeness.generators.training.run_folder import RunFolder

SEED = 0


def checkpoint_of(path):
    """Return a checkpoint, of a run the last."""
    if (path / RECORD_NAME).is_file() or path.name == RECORD_NAME:
        return path
    folder = RunFolder(path)
    steps = folder.steps()
    if not steps:
        sys.exit(f"{str(path)!r} has no checkpoint.")
    return folder.checkpoint(steps[-1])


def drawn_shifts(count, resolution):
    """Return shifts by whole pixels, none of them nothing."""
    random = torch.Generator().manual_seed(SEED)
    most = max(resolution // 8, 1)
    found = []
    while len(found) < count:
        right, down = torch.randint(-most, most + 1, (2,), generator=random).tolist()
        if right or down:
            found.append((right, down))
    return found


def measured(generator, given):
    """Return decibels."""
    random = torch.Generator().manual_seed(SEED)
    z = torch.randn(given.images, generator.settings.latent_size, generator=random)
    return translation_equivariance(
        generator, z, drawn_shifts(given.shifts, generator.settings.resolution)
    )


def main():
    """Load, measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a run or a checkpoint")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--shifts", type=int, default=8)
    add_common_arguments(parser)
    given = arguments_of(parser, images=4, shifts=2)
    found = load_checkpoint(checkpoint_of(given.checkpoint), prefix="average/")
    if found.record.get("model") != "stylegan3":
        sys.exit(f"{str(given.checkpoint)!r} is no checkpoint of a StyleGAN3.")
    settings = NetworkSettings.from_json(found.record["network"])
    torch.manual_seed(SEED)
    generator = Generator(settings)
    new = measured(generator, given)
    generator.load_state_dict(found.tensors)
    trained = measured(generator, given)
    del given.checkpoint  # where it lies is nobody's business; what it is follows
    print(f"trained: {trained:.1f} dB; new, untrained: {new:.1f} dB")
    rows = [
        {
            "network": name,
            "translation_equivariance_decibels": value,
            "images_seen": seen,
            "resolution": settings.resolution,
            "layers": settings.layers,
        }
        for name, value, seen in (
            ("trained", trained, found.record["images_seen"]),
            ("new", new, 0),
        )
    ]
    about = {"checkpoint_sha256": found.sha256, "training_images": found.record["images"]["count"]}
    title = "How far images of StyleGAN3 move as a whole"
    write_result(given, "stylegan3-equivariance", {"title": title, **about, "networks": rows})


if __name__ == "__main__":
    main()
