"""The network behind FID: Inception v3 as it was trained in 2015, not as torchvision has it.

    299 x 299 x 3 -> stem -> 5b 5c 5d (35 x 35) -> 6a ... 6e (17 x 17) -> 7a 7b 7c (8 x 8)
                  -> mean: 2,048 features -> 1,008 logits

It differs from torchvision's in three places: averages at a border count only the pixels that are
there, block 7c takes maxima where 7b takes averages, and it knows 1,008 classes (1,000 used).

The names of the parts are those of the public state dict, so that it loads without renaming.

Source: Szegedy et al. 2016 (arXiv 1512.00567), figures 5, 6, 7 and table 1, and the graph
``inception-2015-12-05`` that the authors of FID used.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional

NUM_FEATURES: Final = 2048
NUM_CLASSES: Final = 1008
SIDE: Final = 299


class ConvolutionBlock(nn.Module):  # type: ignore[misc]
    """Convolution without a bias, batch normalisation (epsilon 0.001), ReLU."""

    def __init__(self, in_channels: int, out_channels: int, size: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, size, bias=False, **options)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, out, h, w)."""
        return functional.relu(self.bn(self.conv(images)))


def _mean_of_present(images: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)


class GridBlock(nn.Module):  # type: ignore[misc]
    """5b, 5c, 5d: 1 x 1, 5 x 5, two 3 x 3, and an average."""

    def __init__(self, in_channels: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = ConvolutionBlock(in_channels, 64, 1)
        self.branch5x5_1 = ConvolutionBlock(in_channels, 48, 1)
        self.branch5x5_2 = ConvolutionBlock(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = ConvolutionBlock(in_channels, 64, 1)
        self.branch3x3dbl_2 = ConvolutionBlock(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvolutionBlock(96, 96, 3, padding=1)
        self.branch_pool = ConvolutionBlock(in_channels, pooled, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return 224 + pooled channels."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(images)))
        branches = [
            self.branch1x1(images),
            self.branch5x5_2(self.branch5x5_1(images)),
            double,
            self.branch_pool(_mean_of_present(images)),
        ]
        return torch.cat(branches, 1)


class FirstReduction(nn.Module):  # type: ignore[misc]
    """6a: half the side, 288 to 768 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = ConvolutionBlock(288, 384, 3, stride=2)
        self.branch3x3dbl_1 = ConvolutionBlock(288, 64, 1)
        self.branch3x3dbl_2 = ConvolutionBlock(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvolutionBlock(96, 96, 3, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return 768 channels."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(images)))
        return torch.cat([self.branch3x3(images), double, functional.max_pool2d(images, 3, 2)], 1)


class LineBlock(nn.Module):  # type: ignore[misc]
    """6b to 6e: 7 x 7 as rows and columns."""

    def __init__(self, middle: int) -> None:
        super().__init__()
        row: dict[str, Any] = {"size": (1, 7), "padding": (0, 3)}
        column: dict[str, Any] = {"size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = ConvolutionBlock(768, 192, 1)
        self.branch7x7_1 = ConvolutionBlock(768, middle, 1)
        self.branch7x7_2 = ConvolutionBlock(middle, middle, **row)
        self.branch7x7_3 = ConvolutionBlock(middle, 192, **column)
        self.branch7x7dbl_1 = ConvolutionBlock(768, middle, 1)
        self.branch7x7dbl_2 = ConvolutionBlock(middle, middle, **column)
        self.branch7x7dbl_3 = ConvolutionBlock(middle, middle, **row)
        self.branch7x7dbl_4 = ConvolutionBlock(middle, middle, **column)
        self.branch7x7dbl_5 = ConvolutionBlock(middle, 192, **row)
        self.branch_pool = ConvolutionBlock(768, 192, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return 768 channels."""
        double = self.branch7x7dbl_2(self.branch7x7dbl_1(images))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(self.branch7x7dbl_3(double)))
        branches = [
            self.branch1x1(images),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(images))),
            double,
            self.branch_pool(_mean_of_present(images)),
        ]
        return torch.cat(branches, 1)


class SecondReduction(nn.Module):  # type: ignore[misc]
    """7a: half the side, 768 to 1,280 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = ConvolutionBlock(768, 192, 1)
        self.branch3x3_2 = ConvolutionBlock(192, 320, 3, stride=2)
        self.branch7x7x3_1 = ConvolutionBlock(768, 192, 1)
        self.branch7x7x3_2 = ConvolutionBlock(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = ConvolutionBlock(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = ConvolutionBlock(192, 192, 3, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return 1,280 channels."""
        lines = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(images)))
        branches = [
            self.branch3x3_2(self.branch3x3_1(images)),
            self.branch7x7x3_4(lines),
            functional.max_pool2d(images, 3, 2),
        ]
        return torch.cat(branches, 1)


class ForkedBlock(nn.Module):  # type: ignore[misc]
    """7b and 7c: 3 x 3 as a row and a column side by side; 7c pools by maxima."""

    def __init__(self, in_channels: int, *, maxima: bool) -> None:
        super().__init__()
        row: dict[str, Any] = {"size": (1, 3), "padding": (0, 1)}
        column: dict[str, Any] = {"size": (3, 1), "padding": (1, 0)}
        self.maxima = maxima
        self.branch1x1 = ConvolutionBlock(in_channels, 320, 1)
        self.branch3x3_1 = ConvolutionBlock(in_channels, 384, 1)
        self.branch3x3_2a = ConvolutionBlock(384, 384, **row)
        self.branch3x3_2b = ConvolutionBlock(384, 384, **column)
        self.branch3x3dbl_1 = ConvolutionBlock(in_channels, 448, 1)
        self.branch3x3dbl_2 = ConvolutionBlock(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = ConvolutionBlock(384, 384, **row)
        self.branch3x3dbl_3b = ConvolutionBlock(384, 384, **column)
        self.branch_pool = ConvolutionBlock(in_channels, 192, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return 2,048 channels."""
        single = self.branch3x3_1(images)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(images))
        pooled = (
            functional.max_pool2d(images, 3, stride=1, padding=1)
            if self.maxima
            else _mean_of_present(images)
        )
        branches = [
            self.branch1x1(images),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(branches, 1)


class InceptionNetwork(nn.Module):  # type: ignore[misc]
    """The whole network; see the module."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvolutionBlock(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvolutionBlock(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvolutionBlock(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvolutionBlock(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvolutionBlock(80, 192, 3)
        self.Mixed_5b = GridBlock(192, 32)
        self.Mixed_5c = GridBlock(256, 64)
        self.Mixed_5d = GridBlock(288, 64)
        self.Mixed_6a = FirstReduction()
        self.Mixed_6b = LineBlock(128)
        self.Mixed_6c = LineBlock(160)
        self.Mixed_6d = LineBlock(160)
        self.Mixed_6e = LineBlock(192)
        self.Mixed_7a = SecondReduction()
        self.Mixed_7b = ForkedBlock(1280, maxima=False)
        self.Mixed_7c = ForkedBlock(NUM_FEATURES, maxima=True)
        self.fc = nn.Linear(NUM_FEATURES, NUM_CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (n, 2048) of images (n, 3, 299, 299) in [-1, 1]."""
        values = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images)))
        values = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(functional.max_pool2d(values, 3, 2)))
        values = functional.max_pool2d(values, 3, 2)
        for block in (
            self.Mixed_5b,
            self.Mixed_5c,
            self.Mixed_5d,
            self.Mixed_6a,
            self.Mixed_6b,
            self.Mixed_6c,
            self.Mixed_6d,
            self.Mixed_6e,
            self.Mixed_7a,
            self.Mixed_7b,
            self.Mixed_7c,
        ):
            values = block(values)
        return values.mean(dim=(2, 3))
