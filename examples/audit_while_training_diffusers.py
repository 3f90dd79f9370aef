"""Audit while training, in a loop of one's own around diffusers.

A small UNet2DModel, its DDPMScheduler, and a DDPMPipeline that draws.

    python examples/audit_while_training_diffusers.py --quick --out /tmp/audits

Needs torch and diffusers. The images are artificial: radiographs of phantoms at 32 x 32 pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

from likeness import AuditOptions, ImageSet
from likeness.datasets.phantoms import chest_image
from likeness.monitoring import TrainingAudit, to_8_bit

STEPS = 50
"""Of sampling: few, for speed; the paper takes all of them."""


def radiographs(patients: range) -> ImageSet:
    """One picture of each patient; with real images this is `ImageSet.open(folder)`."""
    pictures = [chest_image(0, number, size=(32, 32))[None] for number in patients]
    return ImageSet.from_arrays(np.stack(pictures), patient_ids=[f"p{n}" for n in patients])


def draw(pipeline: DDPMPipeline, count: int) -> np.ndarray:
    """Return images (n, C, H, W) from 0 to 1, always of the same noise."""
    generator = torch.Generator().manual_seed(0)
    pipeline.unet.eval()
    drawn = pipeline(
        batch_size=count, generator=generator, num_inference_steps=STEPS, output_type="np"
    ).images
    pipeline.unet.train()
    return drawn.transpose(0, 3, 1, 2)


def main() -> None:
    """Train, look, and stop when copies are found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="private folder of the checks")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=500, help="steps between checks")
    parser.add_argument("--samples", type=int, default=300, help="images drawn per check")
    parser.add_argument("--patients", type=int, default=200, help="in training; as many in test")
    parser.add_argument("--quick", action="store_true", help="seconds; too little to conclude")
    given = parser.parse_args()
    options = AuditOptions()
    if given.quick:
        given.steps, given.every, given.samples, given.patients = 4, 2, 10, 30
        options = AuditOptions(self_check=False, permutations=999)
    train = radiographs(range(given.patients))
    test = radiographs(range(given.patients, 2 * given.patients))
    # Before the training: the baselines, and a warning of what would keep a check from concluding.
    audit = TrainingAudit(train, test, out=given.out, num_samples=given.samples, options=options)
    torch.manual_seed(0)
    images = torch.from_numpy(train.read(0, len(train))).float() / 127.5 - 1  # -1 to 1
    model = UNet2DModel(
        sample_size=32,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )
    scheduler = DDPMScheduler(num_train_timesteps=1000)
    pipeline = DDPMPipeline(model, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-4)
    for step in range(1, given.steps + 1):
        batch = images[torch.randint(len(images), (16,))]
        noise = torch.randn_like(batch)
        times = torch.randint(1000, (len(batch),))
        found = model(scheduler.add_noise(batch, noise, times), times).sample
        loss = torch.nn.functional.mse_loss(found, noise)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % given.every == 0:
            check = audit.check(to_8_bit(draw(pipeline, given.samples), low=0), step, loss.item())
            print(check.summary())
            if check.should_stop:
                print("Copies were found; the checkpoint of the check before is the last without.")
                break


if __name__ == "__main__":
    main()
