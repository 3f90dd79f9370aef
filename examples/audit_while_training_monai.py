"""Audit while training, in a loop of one's own around MONAI.

A small VarAutoEncoder in a loop of one's own. With ignite, call `check` in a handler of
`Events.ITERATION_COMPLETED(every=...)`, and end the engine with `engine.terminate()`.

    python examples/audit_while_training_monai.py --quick --out /tmp/audits

Needs torch and monai. The images are artificial: radiographs of phantoms at 32 x 32 pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import VarAutoEncoder

from likeness import AuditOptions, ImageSet
from likeness.datasets.phantoms import chest_image
from likeness.monitoring import TrainingAudit, to_8_bit

LATENT = 32


def radiographs(patients: range) -> ImageSet:
    """One picture of each patient; with real images this is `ImageSet.open(folder)`."""
    pictures = [chest_image(0, number, size=(32, 32))[None] for number in patients]
    return ImageSet.from_arrays(np.stack(pictures), patient_ids=[f"p{n}" for n in patients])


@torch.no_grad()
def draw(model: VarAutoEncoder, count: int) -> torch.Tensor:
    """Return images about from -1 to 1, always of the same noise."""
    noise = torch.randn(count, LATENT, generator=torch.Generator().manual_seed(0))
    model.eval()
    drawn = model.decode_forward(noise, use_sigmoid=False)
    model.train()
    return drawn


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
    model = VarAutoEncoder(
        spatial_dims=2,
        in_shape=(1, 32, 32),
        out_channels=1,
        latent_size=LATENT,
        channels=(16, 32, 64),
        strides=(2, 2, 2),
        use_sigmoid=False,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(1, given.steps + 1):
        batch = images[torch.randint(len(images), (16,))]
        found, mean, log_variance, _ = model(batch)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
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
