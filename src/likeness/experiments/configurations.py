"""What is run: data sets, generators and their sizes, as named configurations. Pure data.

``paper`` is Akbar et al. 2025 as its text describes it. The others are our own, smaller: they can
support or contradict the direction of a finding, not the numbers of the paper's tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from likeness.errors import OptionError

Collection = Literal["brats20", "brats21", "lgg", "cxr"]
Model = Literal["ddpm", "stylegan3"]
Size = Literal["small", "medium", "large"]

MODEL_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"ddpm": "diffusion", "stylegan3": "StyleGAN3"}
)


@dataclass(frozen=True)
class Source:
    """A collection of images, and who of it is held out."""

    collection: Collection
    test_patients: int | float
    """A number of patients, or a share of them."""
    channels: tuple[str, ...] | None = None
    """Sequences in order; None for those of the collection."""


@dataclass(frozen=True)
class Data:
    """A training set: a source, or whole patients of it until there are enough images."""

    name: str
    source: str
    """Key of `Configuration.sources`."""
    images: int | None = None
    """None: all."""
    stands_for: str | None = None
    """Row of the paper's tables that its numbers are printed beside."""


@dataclass(frozen=True)
class Run:
    """One generator, trained once."""

    data: str
    model: Model
    size: Size
    preset: str
    """Of `likeness.generators.presets`, fitted to channels and size of the images."""
    images: int
    """Images seen."""
    seed: int = 0
    network: Mapping[str, Any] = field(default_factory=dict)
    """What is changed in the preset's network."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """What is changed in the preset's training."""
    snapshots: tuple[int, ...] = ()
    """Numbers of images seen at which samples are compared too."""

    @property
    def name(self) -> str:
        """Name of the run, fit for a folder."""
        return f"{self.data}-{self.model}-{self.size}-{self.seed}".lower()


@dataclass(frozen=True)
class Configuration:
    """Everything that a reproduction runs."""

    name: str
    description: str
    resolution: int
    sources: Mapping[str, Source]
    data: tuple[Data, ...]
    runs: tuple[Run, ...]
    samples: int
    """Synthetic images per run."""
    snapshot_samples: int
    """Synthetic images per snapshot."""
    sampler: Literal["ancestral", "ddim"]
    """Of the diffusion model. ``ddim`` with as much noise as the smaller fixed variance (eta 1):
    with few steps the ancestral sampler, of the larger variance, leaves noise in the images."""
    sampler_steps: int
    bfloat16: Mapping[Model, bool]
    """Whether networks compute in bfloat16. On processors StyleGAN3 is five times slower with it.
    """
    decides: bool = field(default=True, kw_only=True)
    """Whether its generators are trained long enough for the findings to be judged."""
    limits: tuple[str, ...] = field(kw_only=True)
    """What its results cannot show; printed with them."""

    def data_named(self, name: str) -> Data:
        """Return a data set of the configuration."""
        return next(one for one in self.data if one.name == name)


def _paper() -> Configuration:
    brats = ("t1", "t2", "flair", "t1ce", "seg")
    runs = []
    for data, family in (("BRATS20", "brats"), ("BRATS21", "brats"), ("CXR-5216", "cxr"),
                         ("CXR-1300", "cxr")):  # fmt: skip
        sizes: tuple[Size, ...] = ("medium",)
        if data in ("BRATS20", "CXR-1300"):
            sizes = ("small", "medium", "large")
        for size in sizes:
            preset = f"paper-text-{family}-{size}"
            runs += [
                Run(data, "ddpm", size, preset, 7_800_000),
                Run(data, "stylegan3", size, preset, 25_000_000),
            ]
    return Configuration(
        name="paper",
        description="The paper at its full size: 256 pixels, 16 generators, days on a GPU.",
        resolution=256,
        sources={
            "brats20": Source("brats20", 56, brats),
            "brats21": Source("brats21", 56, brats),
            # The collection's own 624 test images are not always at hand: patients are held out.
            "cxr": Source("cxr", 0.1),
        },
        data=(
            Data("BRATS20", "brats20", stands_for="BRATS20"),
            Data("BRATS21", "brats21", stands_for="BRATS21"),
            Data("CXR-5216", "cxr", stands_for="CXR-5216"),
            Data("CXR-1300", "cxr", 1300, stands_for="CXR-1300"),
        ),
        runs=tuple(runs),
        samples=1000,
        snapshot_samples=0,
        sampler="ancestral",
        sampler_steps=250,
        bfloat16={"ddpm": True, "stylegan3": True},
        limits=(
            "Held-out X-ray patients are a tenth of the training folder, so CXR-5216 has fewer "
            "images than in the paper.",
            "250 sampling steps; the paper does not say how many it took.",
        ),
    )


def _small() -> Configuration:
    mini = {"channel_base": 8192, "channel_max": 128}
    every_tenth = tuple(range(200_000, 2_000_001, 200_000))
    runs = []
    for data in ("LGG-300", "LGG-all", "CXR-300", "CXR-2400"):
        seeds = range(3) if data.endswith("-300") else range(1)
        family = "brats" if data.startswith("LGG") else "cxr"
        for seed in seeds:
            runs += [
                Run(data, "ddpm", "medium", f"paper-text-{family}-small", 2_000_000, seed,
                    training={"batch": 64}, snapshots=every_tenth),
                Run(data, "stylegan3", "medium", f"paper-text-{family}-medium", 600_000, seed,
                    network=mini, training={"batch": 32, "gamma": 1.0},
                    snapshots=(200_000, 400_000, 600_000)),
            ]  # fmt: skip
    runs += [
        Run("CXR-300", "ddpm", "small", "paper-text-cxr-small", 2_000_000,
            network={"width": 16, "groups": 16}, training={"batch": 64}),
        Run("CXR-300", "ddpm", "large", "paper-text-cxr-medium", 2_000_000,
            training={"batch": 64}),
    ]  # fmt: skip
    return Configuration(
        name="small",
        description="64 pixels, open data, one GPU, hours.",
        resolution=64,
        sources={
            "lgg": Source("lgg", 0.2, ("t1", "flair", "t1ce", "seg")),
            "cxr": Source("cxr", 0.3),
        },
        data=(
            Data("LGG-300", "lgg", 300, "BRATS20"),
            Data("LGG-all", "lgg", None, "BRATS21"),
            Data("CXR-300", "cxr", 300, "CXR-1300"),
            Data("CXR-2400", "cxr", 2400, "CXR-5216"),
        ),
        runs=tuple(runs),
        samples=1000,
        snapshot_samples=250,
        sampler="ancestral",
        sampler_steps=250,
        bfloat16={"ddpm": True, "stylegan3": True},
        limits=(
            "64 pixels, other MR images than BraTS, a twentieth of the paper's images, smaller "
            "generators.",
        ),
    )


_CPU_STEPS: Final = (8_000, 24_000, 40_000, 64_000, 80_000)
"""The first: as many images per training image for 150 as 80,000 are for 1,500."""


def _small_cpu() -> Configuration:
    diffusion: dict[str, Any] = {"preset": "tiny", "images": 80_000, "snapshots": _CPU_STEPS}
    gan: dict[str, Any] = {"preset": "tiny", "images": 24_000, "snapshots": (8_000, 16_000, 24_000)}
    narrow = {"width": 16, "groups": 16}
    return Configuration(
        name="small-cpu",
        description="32 pixels, open data, two cores, hours.",
        resolution=32,
        sources={
            "lgg": Source("lgg", 0.3, ("t1", "flair", "t1ce", "seg")),
            "cxr": Source("cxr", 0.3),
        },
        data=(
            Data("LGG-150", "lgg", 150, "BRATS20"),
            Data("CXR-150", "cxr", 150, "CXR-1300"),
            Data("CXR-1500", "cxr", 1500, "CXR-5216"),
        ),
        runs=(
            Run("LGG-150", "ddpm", "medium", **diffusion),
            Run("CXR-150", "ddpm", "medium", **diffusion),
            Run("LGG-150", "stylegan3", "medium", **gan),
            Run("CXR-150", "stylegan3", "medium", **gan),
            Run("CXR-1500", "ddpm", "medium", **diffusion),
            Run("CXR-150", "ddpm", "small", network=narrow, **diffusion),
            Run("CXR-150", "ddpm", "medium", seed=1, **diffusion),
            Run("CXR-1500", "ddpm", "medium", seed=1, **diffusion),
            Run("CXR-150", "ddpm", "small", seed=1, network=narrow, **diffusion),
            Run("CXR-150", "stylegan3", "medium", seed=1, **gan),
        ),
        samples=300,
        snapshot_samples=64,
        sampler="ddim",
        sampler_steps=50,
        bfloat16={"ddpm": True, "stylegan3": False},
        limits=(
            "32 pixels, other MR images than BraTS, a fifteenth of the paper's images or fewer, "
            "generators of about a million parameters, one or two seeds each.",
            "50 sampling steps: fewer than an audit should be given.",
            "The GAN saw less than a third of the diffusion model's images: its steps are dearer.",
        ),
    )


def _tiny() -> Configuration:
    return Configuration(
        name="tiny",
        description="32 pixels, minutes: proves that every stage works, shows no finding.",
        resolution=32,
        sources={
            "brats20": Source("brats20", 0.3, ("t1", "t2", "flair", "t1ce", "seg")),
            "cxr": Source("cxr", 0.3),
        },
        data=(
            Data("BRATS20", "brats20", 100, "BRATS20"),
            Data("CXR", "cxr", 100, "CXR-5216"),
            Data("CXR-small", "cxr", 50, "CXR-1300"),
        ),
        runs=(
            Run("BRATS20", "ddpm", "medium", "tiny", 4_000, snapshots=(2_000, 4_000)),
            Run("BRATS20", "stylegan3", "medium", "tiny", 1_600),
            Run("CXR", "ddpm", "medium", "tiny", 4_000, snapshots=(2_000, 4_000)),
            Run("CXR", "stylegan3", "medium", "tiny", 1_600),
            Run("CXR-small", "ddpm", "medium", "tiny", 4_000, snapshots=(2_000, 4_000)),
            Run("CXR-small", "ddpm", "small", "tiny", 4_000, network={"width": 16, "groups": 16}),
            Run("CXR-small", "stylegan3", "medium", "tiny", 1_600),
        ),
        samples=48,
        snapshot_samples=16,
        sampler="ddim",
        sampler_steps=25,
        bfloat16={"ddpm": True, "stylegan3": False},
        decides=False,
        limits=(
            "The generators saw a few thousand images and draw noise or blur: every stage is "
            "proven, no finding of the paper can be seen.",
        ),
    )


CONFIGURATIONS: Final[Mapping[str, Configuration]] = MappingProxyType(
    {one.name: one for one in (_paper(), _small(), _small_cpu(), _tiny())}
)
"""By name."""


def find_configuration(name: str) -> Configuration:
    """Return a configuration.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    if name not in CONFIGURATIONS:
        msg = f"There is no configuration {name!r}, only {', '.join(CONFIGURATIONS)}."
        raise OptionError(msg)
    return CONFIGURATIONS[name]
