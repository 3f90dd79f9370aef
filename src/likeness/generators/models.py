"""A checkpoint, opened to draw images: the same three lines for every kind of generator."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from likeness.errors import InputError, MissingExtraError, OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from likeness._progress import Task
    from likeness.generators.ddpm.settings import Sampler

Weights = Literal["average", "raw"]

NEEDED: Final = ("torch", "diffusers", "safetensors")


@dataclass(frozen=True)
class Model:
    """A network that draws images."""

    kind: Literal["ddpm", "stylegan3"]
    image_shape: tuple[int, int, int]
    """C, H, W."""
    record: dict[str, Any]
    """Of the checkpoint."""
    checkpoint_sha256: str
    weights: Weights
    """Which of the checkpoint's weights draw."""
    sampler_record: dict[str, Any]
    """How it draws, as JSON values; ``warning`` says what that does to the distances."""
    together: int
    """Images that are computed at once, whatever is asked for."""
    sample: Callable[..., Iterator[NDArray[np.uint8]]]
    """`draw`, of this kind."""

    def draw(
        self,
        seed: int,
        count: int,
        *,
        first: int = 0,
        batch_size: int = 16,
        labels: Sequence[int] | None = None,
        task: Task | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield images `first` to ``first + count - 1`` of a seed, (b, C, H, W), in order.

        On one machine an image's bytes depend on the seed, its number and its class alone.

        Raises
        ------
        OptionError
            If a number is out of range, or labels are lacking or uncalled for.
        InputError
            If the network gives values that are not numbers.
        """
        return self.sample(
            seed=seed,
            count=count,
            first=first,
            batch_size=batch_size,
            labels=labels,
            task=task,
        )


def find_checkpoint(path: Path) -> Path:
    """Return a checkpoint's folder, or the newest checkpoint of a run's folder.

    Raises
    ------
    InputError
        If there is none.
    """
    from likeness.generators.checkpoints import RECORD_NAME
    from likeness.generators.training.run_folder import RunFolder

    folder = path.parent if path.name == RECORD_NAME else path
    if (folder / RECORD_NAME).is_file():
        return folder
    if (folder / "run.json").is_file():
        run = RunFolder(folder)
        steps = run.steps()
        if steps:
            return run.checkpoint(max(steps))
        msg = f"The run in {str(path)!r} has no checkpoint yet."
        raise InputError(msg)
    msg = (
        f"{str(path)!r} is neither a checkpoint nor the folder of a training run. Expected a "
        f"folder with {RECORD_NAME!r} or 'run.json' in it."
    )
    raise InputError(msg)


def open_model(
    checkpoint: Path,
    *,
    weights: Weights = "average",
    device: str = "cpu",
    sampler: Sampler | None = None,
    truncation: float = 1.0,
) -> Model:
    """Load the network of a checkpoint.

    Parameters
    ----------
    checkpoint
        As for `find_checkpoint`.
    weights
        The running mean, as papers sample, or the weights of the last step. An imported checkpoint
        has one kind only, which is then taken.
    device
        To compute on, as torch names it.
    sampler
        Of a diffusion model; None for ancestral sampling with as many steps as it was trained with,
        at most 250.
    truncation
        Of StyleGAN3: 1 for none, as the paper samples.

    Raises
    ------
    MissingExtraError
        If torch, diffusers or safetensors are absent.
    InputError
        If there is no sound checkpoint.
    OptionError
        If an option does not fit the model.
    """
    need_extra()
    from likeness.generators.checkpoints import read_record

    folder = find_checkpoint(checkpoint)
    if weights not in ("average", "raw"):
        msg = f"The weights are 'average' or 'raw', not {weights!r}."
        raise OptionError(msg)
    kind = read_record(folder).get("model")
    if kind == "ddpm":
        if truncation != 1.0:
            msg = "Truncation is for StyleGAN3; this is a diffusion model."
            raise OptionError(msg)
        return _open_ddpm(folder, weights, device, sampler)
    if kind == "stylegan3":
        if sampler is not None:
            msg = "Samplers are for diffusion models; this is StyleGAN3."
            raise OptionError(msg)
        return _open_stylegan3(folder, weights, device, truncation)
    msg = f"The checkpoint {str(folder)!r} is of a model {kind!r}, which cannot be sampled here."
    raise InputError(msg)


def need_extra() -> None:
    """Check that what generators need is installed.

    Raises
    ------
    MissingExtraError
        If something is absent.
    """
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            msg = f"Generators need {name}. Install it: pip install 'likeness[generate]'."
            raise MissingExtraError(msg)


def _open_ddpm(folder: Path, weights: Weights, device: str, sampler: Sampler | None) -> Model:
    from likeness.generators.checkpoints import load_checkpoint
    from likeness.generators.ddpm.network import build_unet
    from likeness.generators.ddpm.sampling import sample_images
    from likeness.generators.ddpm.settings import FEW_STEPS, Diffusion, Sampler, UNetSettings

    found = load_checkpoint(folder)
    unet = UNetSettings.from_json(found.record["unet"])
    diffusion = Diffusion.from_json(found.record["diffusion"])
    if sampler is None:
        sampler = Sampler(steps=min(FEW_STEPS, diffusion.steps))
    sampler_record = sampler.record(diffusion)
    there = {name.partition("/")[0] for name in found.tensors}
    if weights == "average" and "average" not in there and "imported" in found.record:
        weights = "raw"
    prefix = {"average": "average/", "raw": "model/"}[weights]
    network = build_unet(unet, seed=0)
    own = {n.removeprefix(prefix): t for n, t in found.tensors.items() if n.startswith(prefix)}
    # The running mean is of parameters; what else a network holds has no training.
    network.load_state_dict({**network.state_dict(), **own})
    return Model(
        "ddpm",
        (unet.channels, unet.resolution, unet.resolution),
        found.record,
        found.sha256,
        weights,
        sampler_record,
        sampler.together,
        partial(sample_images, network.to(device).eval(), unet, diffusion, sampler),
    )


def _open_stylegan3(folder: Path, weights: Weights, device: str, truncation: float) -> Model:
    from likeness.generators.checkpoints import load_checkpoint
    from likeness.generators.stylegan3.generator import Generator
    from likeness.generators.stylegan3.plan import NetworkSettings
    from likeness.generators.stylegan3.sampling import TOGETHER, sample_images

    if not 0 <= truncation <= 1:
        msg = f"The truncation is 0 to 1, not {truncation!r}."
        raise OptionError(msg)
    prefix = {"average": "average/", "raw": "generator/"}[weights]
    found = load_checkpoint(folder, prefix=prefix)
    settings = NetworkSettings.from_json(found.record["network"])
    generator = Generator(settings)
    generator.load_state_dict(found.tensors)
    warning = None
    if truncation < 1:
        warning = (
            "Truncation makes images more typical and less diverse: resemblance of rare patients "
            "is hidden. Audit what will be released; to judge the model, sample with 1."
        )
    return Model(
        "stylegan3",
        (settings.channels, settings.resolution, settings.resolution),
        found.record,
        found.sha256,
        weights,
        {"truncation": truncation, "to_8_bit": "rounded", "warning": warning},
        TOGETHER,
        partial(sample_images, generator.to(device).eval(), truncation=truncation),
    )
