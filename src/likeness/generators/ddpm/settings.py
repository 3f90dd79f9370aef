"""What a diffusion model is made of: its network, its noise, its training, its sampler.

Pure data, without torch, written to JSON beside each checkpoint and read back from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from likeness.errors import OptionError
from likeness.generators.json_settings import JsonSettings

SMALLEST_SIDE: Final = 32
LARGEST_SIDE: Final = 256

FEW_STEPS: Final = 250
"""The fewest steps of the ancestral sampler that an audit should be given."""


def default_multipliers(resolution: int) -> tuple[int, ...]:
    """Return the widths of the levels, finest first, in multiples of the base width.

    Those of 64, 128 and 256 pixels are guided-diffusion's (``script_util.create_model``), which
    knows no other sizes; of 32 pixels our own. Sizes between take those of the next lower one.

    Raises
    ------
    OptionError
        If the resolution is not 32 to 256.
    """
    _check_resolution(resolution)
    if resolution >= 256:
        return 1, 1, 2, 2, 4, 4
    if resolution >= 128:
        return 1, 1, 2, 3, 4
    if resolution >= 64:
        return 1, 2, 3, 4
    return 1, 2, 2, 2


def default_attention_sides(resolution: int, levels: int) -> tuple[int, ...]:
    """Return the sides in pixels, largest first, at which the network attends to all places.

    Sides from 8 to 16: of powers of two just guided-diffusion's ``attention_resolutions="16,8"``.
    """
    sides = (resolution >> level for level in range(levels))
    return tuple(side for side in sides if 8 <= side <= 16)


@dataclass(frozen=True)
class UNetSettings(JsonSettings):
    """The network. The defaults are guided-diffusion's where nothing else is said.

    Raises
    ------
    OptionError
        If a number is out of range, or does not fit the others.
    """

    resolution: int
    """Side of the square images in pixels, 32 to 256."""
    channels: int
    """Of the images, in and out alike."""
    width: int
    """Channels of the finest level. guided-diffusion: 128; the paper: 32, 64, 96."""
    blocks: int
    """Residual blocks per level on the way down, one more on the way up."""
    multipliers: tuple[int, ...]
    """Channels of each level in multiples of `width`, finest first."""
    attention_sides: tuple[int, ...]
    """Levels with attention, by their side in pixels. The middle always has it."""
    heads: int = 4
    """Of every attention, whatever its channels."""
    groups: int = 32
    """Of every group normalisation."""
    classes: int | None = None
    """Of a class-conditional network."""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_resolution(self.resolution)
        for name in ("channels", "width", "blocks", "heads", "groups"):
            _check_positive(name, getattr(self, name))
        if self.classes is not None:
            _check_positive("classes", self.classes)
        if not self.multipliers:
            msg = "multipliers must name at least one level; there are none."
            raise OptionError(msg)
        for multiplier in self.multipliers:
            _check_positive("multipliers", multiplier)
        if not 0 <= self.dropout < 1:
            msg = f"dropout must be at least 0 and less than 1, not {self.dropout!r}."
            raise OptionError(msg)
        halvings = len(self.multipliers) - 1
        if self.resolution % 2**halvings:
            msg = (
                f"{self.resolution} pixels cannot be halved {halvings} times, as {halvings + 1} "
                f"levels need: choose a multiple of {2**halvings}."
            )
            raise OptionError(msg)
        strange = set(self.attention_sides) - set(self.sides)
        if strange:
            msg = (
                f"attention_sides has {sorted(strange)}, but the levels of a network for "
                f"{self.resolution} pixels have the sides {list(self.sides)}."
            )
            raise OptionError(msg)
        self._check_channels()

    def _check_channels(self) -> None:
        for level, width in enumerate(self.widths):
            if width % self.groups:
                msg = (
                    f"Level {level} has {width} channels, which {self.groups} groups do not "
                    "divide: choose another width or fewer groups."
                )
                raise OptionError(msg)
            attends = level in self.attention_levels or level == len(self.widths) - 1
            if attends and width % self.heads:
                msg = (
                    f"Level {level} has {width} channels, which {self.heads} heads do not divide: "
                    "choose another width or another number of heads."
                )
                raise OptionError(msg)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(self.width * multiplier for multiplier in self.multipliers)

    @property
    def sides(self) -> tuple[int, ...]:
        """Pixels along a side of each level, finest first."""
        return tuple(self.resolution >> level for level in range(len(self.multipliers)))

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """Levels with attention, finest is 0."""
        return tuple(k for k, side in enumerate(self.sides) if side in self.attention_sides)


def unet_settings(
    resolution: int,
    channels: int,
    *,
    width: int,
    blocks: int,
    heads: int = 4,
    groups: int = 32,
    classes: int | None = None,
) -> UNetSettings:
    """Return the settings of a network whose levels follow from the resolution.

    Raises
    ------
    OptionError
        If a number is out of range, or does not fit the others.
    """
    multipliers = default_multipliers(resolution)
    sides = default_attention_sides(resolution, len(multipliers))
    return UNetSettings(
        resolution, channels, width, blocks, multipliers, sides, heads, groups, classes
    )


@dataclass(frozen=True)
class Diffusion(JsonSettings):
    """The noise: T steps whose variances grow linearly.

    Raises
    ------
    OptionError
        If there are fewer than 21 steps: the last would have a variance of 1 or more.
    """

    steps: int = 4000
    """T. The paper: 4,000; guided-diffusion: 1,000."""
    rescale_times: bool = False
    """The network sees t 1000 / T instead of t. Improved-diffusion does so by default,
    guided-diffusion does not."""

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 21:
            msg = f"A diffusion has at least 21 steps, not {self.steps!r}."
            raise OptionError(msg)


@dataclass(frozen=True)
class Training(JsonSettings):
    """How the network is trained.

    Raises
    ------
    OptionError
        If a number is out of range.
    """

    batch: int
    """Images per step."""
    images: int
    """Seen in all."""
    learning_rate: float = 1e-4
    """Of AdamW, constant. The paper's text, and guided-diffusion's default."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of AdamW: torch's defaults, which guided-diffusion leaves."""
    weight_decay: float = 0.0
    """guided-diffusion's default."""
    average: float = 0.9999
    """Rate of the running mean of the weights. The first steps use a lower one
    (`likeness.generators.training.averages`), so that short runs forget the untrained weights."""

    def __post_init__(self) -> None:
        _check_positive("batch", self.batch)
        _check_positive("images", self.images)
        if not 0 < self.learning_rate < 1:
            msg = f"learning_rate must be between 0 and 1, not {self.learning_rate!r}."
            raise OptionError(msg)
        if not (0 <= self.average < 1 and len(self.betas) == 2 and self.weight_decay >= 0):
            msg = (
                "average must be at least 0 and less than 1, betas two numbers, and weight_decay "
                f"not negative; they are {self.average!r}, {self.betas!r}, {self.weight_decay!r}."
            )
            raise OptionError(msg)


@dataclass(frozen=True)
class Sampler(JsonSettings):
    """How images are drawn from noise; part of the record of every sample.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    kind: Literal["ancestral", "ddim"] = "ancestral"
    """``ancestral`` adds fresh noise in each step, of the larger fixed variance."""
    steps: int = FEW_STEPS
    """Evaluations of the network per image, spread evenly over the T steps."""
    eta: float = 0.0
    """Of ``ddim``: 0 is deterministic, 1 adds as much noise as the smaller fixed variance."""
    together: int = 16
    """Images that the network sees at once, never more nor fewer: the rounding of torch's products
    depends on it, so that another number can change a pixel by a grey level. Less memory: fewer."""

    def __post_init__(self) -> None:
        if self.kind not in ("ancestral", "ddim"):
            msg = f"A sampler is 'ancestral' or 'ddim', not {self.kind!r}."
            raise OptionError(msg)
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 2:
            msg = f"A sampler takes at least 2 steps, not {self.steps!r}."
            raise OptionError(msg)
        _check_positive("together", self.together)
        if not 0 <= self.eta <= 1 or (self.kind == "ancestral" and self.eta):
            msg = f"eta is for 'ddim' and lies between 0 and 1; it is {self.eta!r} ({self.kind})."
            raise OptionError(msg)

    def check(self, diffusion: Diffusion) -> None:
        """Refuse a number of steps that the diffusion does not have.

        Raises
        ------
        OptionError
            If there are more steps than T, or ``ddim`` would not reach equally spaced ones.
        """
        if self.steps > diffusion.steps:
            msg = f"{self.steps} sampling steps, but the diffusion has only {diffusion.steps}."
            raise OptionError(msg)
        if self.kind == "ddim" and diffusion.steps % self.steps:
            msg = (
                f"ddim takes steps of one length, and {self.steps} do not divide "
                f"{diffusion.steps}: choose a divisor, for example "
                f"{_nearest_divisor(diffusion.steps, self.steps)}."
            )
            raise OptionError(msg)

    def warning(self, diffusion: Diffusion) -> str | None:
        """Say how this sampler shifts the distance to the training images, or return None.

        The numbers are root mean square distances to the nearest mode, in standard deviations of
        a mode, of a mixture of twelve normal distributions whose exact score is known (64
        dimensions, T = 4,000, true value 0.98 to 1.0).
        """
        if self.kind == "ddim" and self.eta == 0:
            return (
                "A deterministic sampler with few steps pulls images towards the training images, "
                "so that they correlate more with them than the model's own distribution does: in "
                "a case with a known answer (distance 1) DDIM gave 0.92 with 250 steps, 0.83 with "
                "100, 0.70 with 50 and 0.46 with 20. Audit what will be released; to judge the "
                f"model, sample ancestrally with {FEW_STEPS} steps or more."
            )
        if self.kind == "ddim":
            return (
                "How far DDIM with added noise pulls images towards the training images was not "
                "measured. Audit what will be released; to judge the model, sample ancestrally "
                f"with {FEW_STEPS} steps or more."
            )
        if self.steps < min(FEW_STEPS, diffusion.steps):
            return (
                "With few steps the ancestral sampler leaves noise, which hides resemblance: in a "
                "case with a known answer (distance 1) it gave 1.18 with 100 steps, 1.06 with 250 "
                f"and 1.00 with 4,000. Sample with {FEW_STEPS} steps or more."
            )
        return None

    def record(self, diffusion: Diffusion) -> dict[str, Any]:
        """Return what the record of a sample says about its sampler, as JSON values."""
        self.check(diffusion)
        return {
            **self.to_json(),
            "diffusion": diffusion.to_json(),
            "prediction": "noise",
            "clipped": [-1, 1],
            "variance": "fixed, the larger" if self.kind == "ancestral" else "eta times smaller",
            "to_8_bit": "rounded",
            "warning": self.warning(diffusion),
        }


def _nearest_divisor(number: int, wanted: int) -> int:
    divisors = [k for k in range(2, number + 1) if number % k == 0]
    return min(divisors, key=lambda divisor: abs(divisor - wanted))


def _check_resolution(resolution: int) -> None:
    _check_positive("resolution", resolution)
    if not SMALLEST_SIDE <= resolution <= LARGEST_SIDE:
        msg = (
            f"The resolution is {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, not {resolution!r}: "
            "standardise the images to such a size."
        )
        raise OptionError(msg)


def _check_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        msg = f"{name} must be a positive whole number, not {value!r}."
        raise OptionError(msg)
