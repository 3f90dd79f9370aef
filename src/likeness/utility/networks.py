"""The two small networks, from MONAI."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from likeness.utility.tasks import Task


def make_network(task: Task, *, seed: int) -> nn.Module:
    """Return the network of a task, its weights drawn with a seed of their own.

    A residual U-Net of two or three halvings (Ronneberger et al. 2015), or a DenseNet (Huang et al.
    2017) of three blocks.
    """
    from monai.networks.nets import DenseNet, UNet

    rows, columns = task.sets.train.image_shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if task.name == "classification":
            network: nn.Module = DenseNet(
                spatial_dims=2,
                in_channels=len(task.channels),
                out_channels=task.labels,
                init_features=16,
                growth_rate=8,
                block_config=(2, 2, 2),
            )
            return network
        widths = (16, 32, 64) if min(rows, columns) < 64 else (16, 32, 64, 128)
        return _Padded(
            UNet(
                spatial_dims=2,
                in_channels=len(task.channels),
                out_channels=task.labels,
                channels=widths,
                strides=(2,) * (len(widths) - 1),
                num_res_units=1,
            ),
            2 ** (len(widths) - 1),
        )


def loss_of(task: Task, given: Any, truth: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Return the cross entropy; for segmentation 1 - Dice of the probabilities is added.

    The Dice is of all pixels of a batch together, the mean over labels (Milletari et al. 2016, with
    plain sums). Without it a network that says "nothing" has nearly no loss where lesions are
    small.
    """
    entropy = functional.cross_entropy(given, truth)
    if task.name == "classification":
        return entropy
    shares = given.softmax(dim=1)[:, 1:]
    wanted = functional.one_hot(truth, task.labels).movedim(-1, 1)[:, 1:].to(shares.dtype)
    overlap = (shares * wanted).sum(dim=(0, 2, 3))
    sizes = shares.sum(dim=(0, 2, 3)) + wanted.sum(dim=(0, 2, 3))
    return entropy + 1 - ((2 * overlap + 1) / (sizes + 1)).mean()


class _Padded(nn.Module):  # type: ignore[misc,unused-ignore]
    """A network for sides that are multiples of a number, for any sides."""

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = x.shape[2:]
        more = [-size % self.multiple for size in (columns, rows)]
        if not any(more):
            whole: torch.Tensor = self.network(x)
            return whole
        padded = functional.pad(x, (0, more[0], 0, more[1]), value=-1.0)
        cut: torch.Tensor = self.network(padded)[:, :, :rows, :columns]
        return cut
