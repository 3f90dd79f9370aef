"""How strongly to transform: as much as the discriminator is too sure of real images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from likeness.errors import OptionError
from likeness.generators.json_settings import JsonSettings
from likeness.generators.stylegan3.transforms import EVERYTHING, MEDICAL, Transforms


@dataclass
class Strength:
    """The probability of transforms, led by how sure the discriminator is of real images.

    All fields are plain numbers, so that a checkpoint can hold them.
    """

    p: float = 0.0
    target: float = 0.6
    """Of the mean sign of real images' logits."""
    images: int = 500_000
    """In which p goes from 0 to 1, if it always rises."""
    cap: float = 0.8
    sign_sum: float = 0.0
    seen: int = 0
    """Real images since p last changed."""

    def __post_init__(self) -> None:
        if not 0 <= self.p <= self.cap <= 1:
            msg = f"p is {self.p} and cap is {self.cap}; expected 0 <= p <= cap <= 1."
            raise OptionError(msg)

    def observe(self, sign_sum: float, images: int) -> None:
        """Note the discriminator's verdict on real images: the sum of its logits' signs."""
        self.sign_sum += sign_sum
        self.seen += images

    def adjust(self) -> float:
        """Change p by one step, up or down, and start to observe anew; to be done every 4 steps."""
        if self.seen:
            surplus = self.sign_sum / self.seen - self.target
            step = self.seen / self.images * ((surplus > 0) - (surplus < 0))
            self.p = min(max(self.p + step, 0.0), self.cap)
        self.sign_sum, self.seen = 0.0, 0
        return self.p


@dataclass(frozen=True)
class Adaptive(JsonSettings):
    """Transforms whose probability follows the discriminator (Karras et al. 2020)."""

    transforms: Literal["medical", "everything"] = "medical"
    """`MEDICAL` or `EVERYTHING`."""
    target: float = 0.6
    images: int = 500_000
    cap: float = 0.8
    """As in `Strength`."""

    def __post_init__(self) -> None:
        if self.transforms not in _NAMED:
            msg = f"There are no transforms {self.transforms!r}, only {', '.join(_NAMED)}."
            raise OptionError(msg)
        if not (-1 < self.target < 1 and self.images >= 1 and 0 < self.cap <= 1):
            msg = (
                "The target is between -1 and 1, images at least 1 and the cap more than 0 and at "
                f"most 1; they are {self.target!r}, {self.images!r} and {self.cap!r}."
            )
            raise OptionError(msg)

    def chosen(self) -> Transforms:
        """Return the transforms."""
        return _NAMED[self.transforms]

    def strength(self) -> Strength:
        """Return the strength with which training begins: none."""
        return Strength(target=self.target, images=self.images, cap=self.cap)


_NAMED: Final = {"medical": MEDICAL, "everything": EVERYTHING}
