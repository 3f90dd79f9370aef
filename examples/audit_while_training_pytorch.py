"""Audit while training, in a plain PyTorch loop.

A small variational autoencoder; any model that can draw images will do.

    python examples/audit_while_training_pytorch.py --quick --out /tmp/audits

Needs torch. The images are artificial: radiographs of phantoms at 32 x 32 pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from likeness import AuditOptions, ImageSet
from likeness.datasets.phantoms import chest_image
from likeness.monitoring import TrainingAudit, to_8_bit


def radiographs(patients: range) -> ImageSet:
    """One picture of each patient; with real images this is `ImageSet.open(folder)`."""
    pictures = [chest_image(0, number, size=(32, 32))[None] for number in patients]
    return ImageSet.from_arrays(np.stack(pictures), patient_ids=[f"p{n}" for n in patients])


class Autoencoder(nn.Module):
    """32 x 32 pixels to 32 numbers and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Flatten(), nn.Linear(1024, 256), nn.SiLU(), nn.Linear(256, 64)
        )
        self.decode = nn.Sequential(nn.Linear(32, 256), nn.SiLU(), nn.Linear(256, 1024), nn.Tanh())

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images again, and the divergence of their code from a normal distribution."""
        mean, log_variance = self.encode(images).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        return self.decode(code).view_as(images), divergence


@torch.no_grad()
def draw(model: Autoencoder, count: int) -> torch.Tensor:
    """Return images from -1 to 1, always of the same noise."""
    noise = torch.randn(count, 32, generator=torch.Generator().manual_seed(0))
    return model.decode(noise).view(count, 1, 32, 32)


def main() -> None:
    """Train, look, and stop when copies are found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="private folder of the checks")
    parser.add_argument("--steps", type=int, default=3000)
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
    model = Autoencoder()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(1, given.steps + 1):
        batch = images[torch.randint(len(images), (16,))]
        found, divergence = model(batch)
        loss = ((found - batch) ** 2).sum(dim=(1, 2, 3)).mean() + divergence
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % given.every == 0:
            check = audit.check(to_8_bit(draw(model, given.samples)), step, loss.item())
            print(check.summary())
            if check.should_stop:
                print("Copies were found; the checkpoint of the check before is the last without.")
                break


if __name__ == "__main__":
    main()
