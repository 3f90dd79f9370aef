"""What one step of the training works on: parts of a batch, random vectors, random transforms.

The vectors, and the seeds of the transforms, follow from the seed of the run and the step alone: so
a run can go on after any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from likeness.generators.stylegan3.adaptive import Adaptive
from likeness.generators.stylegan3.augmentation import augment
from likeness.generators.training.data_order import noise_seed


def parts_of_batch(batch: int, group: int, most: int, groups: slice) -> list[torch.Tensor]:
    """Cut a batch into parts that the discriminator judges as it would within the whole batch.

    Image i belongs to group ``i mod (batch / group)`` (`discriminator.with_differences`), and no
    group is torn, neither is any in a part other than in the batch.

    Parameters
    ----------
    batch, group
        Images, and images of a group.
    most
        Images of a part at most; a multiple of `group`.
    groups
        Which groups.

    Returns
    -------
    list of Tensor
        (n,) places in the batch, for each part.
    """
    table = torch.arange(batch).reshape(group, batch // group)  # a column is a group
    step = most // group
    return [
        table[:, start : min(start + step, groups.stop)].reshape(-1)
        for start in range(groups.start, groups.stop, step)
    ]


class StepDraws:
    """The random vectors of a step, and seeds for its transforms."""

    def __init__(
        self, seed: int, step: int, batch: int, size: int, device: torch.device | str
    ) -> None:
        random = torch.Generator().manual_seed(noise_seed(seed, step))
        self.for_generator = torch.randn(batch, size, generator=random).to(device)
        self.for_discriminator = torch.randn(batch, size, generator=random).to(device)
        self.seeds: list[int] = torch.randint(2**32, (4,), generator=random).tolist()


@dataclass(frozen=True)
class StepTransforms:
    """The random transforms of one step, each of its four uses with draws of its own."""

    ada: Adaptive | None
    p: float
    annotations: Sequence[int]
    batch: int
    seeds: Sequence[int]

    def of_generator(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Transform images that the generator is trained on."""
        return self._altered(images, rows, 0)

    def of_made(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Transform made images that the discriminator is trained on."""
        return self._altered(images, rows, 1)

    def of_real(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Transform real images that the discriminator is trained on."""
        return self._altered(images, rows, 2)

    def of_penalised(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Transform real images that the penalty looks at."""
        return self._altered(images, rows, 3)

    def _altered(self, images: torch.Tensor, rows: torch.Tensor, use: int) -> torch.Tensor:
        if self.ada is None or not self.p:
            return images
        with torch.autocast(images.device.type, enabled=False):  # places need all their digits
            return augment(
                images,
                self.p,
                self.ada.chosen(),
                annotations=self.annotations,
                random=torch.Generator().manual_seed(self.seeds[use]),
                among=(self.batch, rows),
            )
