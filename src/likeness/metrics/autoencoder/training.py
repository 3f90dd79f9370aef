"""Training: give an image back from an altered version of it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._files import folder_lock, make_folder, write_bytes, write_json
from likeness._progress import SILENT, Progress
from likeness._versions import package_version
from likeness.datasets.image_set import ImageSet
from likeness.errors import ImageMismatchError, OptionError, OutputError
from likeness.metrics._extra import need_extra

FORMAT: Final = "likeness-autoencoder"
VERSION: Final = 1
RECORD: Final = "autoencoder.json"
_BATCH: Final = 32
_RATE: Final = 1e-3


@dataclass(frozen=True)
class Autoencoding:
    """How an autoencoder is made.

    Raises
    ------
    OptionError
        If a number is out of range.
    """

    features: int = 256
    """Length of a feature vector, 16 to 4,096; Dar et al. take 128 to 1,024."""
    steps: int = 2000
    """Of 32 images each."""
    width: int = 32
    """Channels of the finest level, a multiple of 8."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 16 <= self.features <= 4096:
            msg = f"--features must be 16 to 4,096, not {self.features}."
            raise OptionError(msg)
        if self.steps < 1 or self.seed < 0 or self.width < 8 or self.width % 8:
            msg = (
                f"--steps is {self.steps}, --seed {self.seed}, --width {self.width}: give at least "
                "1 step, a seed that is not negative, and a width that 8 divides."
            )
            raise OptionError(msg)


def train_autoencoder(
    images: ImageSet,
    out: Path | str,
    settings: Autoencoding | None = None,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train an autoencoder and write it into a folder.

    On one machine and device the same images and settings give the same weights. An interrupted
    training is begun anew: it takes minutes.

    Parameters
    ----------
    images
        8 bits; annotation channels are left out.
    out
        Folder, made if absent.
    settings
        None for the defaults.
    device
        As torch names it.
    overwrite
        Replace what is in `out`.
    progress
        Shows steps.

    Returns
    -------
    dict
        The record: settings, channels, shape, the mean squared error of the last hundred steps in
        units where white is 1, and that of the mean image, which has seen no image in particular.

    Raises
    ------
    MissingExtraError
        If torch or safetensors are absent.
    ImageMismatchError
        If the images do not have 8 bits, sides of 32 to 256 and 1 to 8 picture channels.
    OutputError
        If something else is in `out`, or it cannot be written.
    """
    need_extra("torch", "safetensors")
    import torch
    from safetensors.torch import save

    from likeness.metrics.autoencoder.alterations import altered
    from likeness.metrics.autoencoder.network import Autoencoder

    chosen = settings or Autoencoding()
    pictures = _pictures(images)
    channels, rows, columns = pictures.image_shape
    folder = Path(out)
    _check_folder(folder, overwrite=overwrite)
    torch.manual_seed(chosen.seed)
    network = Autoencoder(channels, rows, columns, chosen.features, chosen.width).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
    generator = torch.Generator().manual_seed(chosen.seed)
    order = np.random.default_rng(chosen.seed)
    errors: list[float] = []
    network.train()
    with progress.task("autoencoder", chosen.steps, unit="steps") as task:
        for _ in range(chosen.steps):
            batch = np.sort(order.integers(len(pictures), size=min(_BATCH, len(pictures))))
            target = torch.from_numpy(pictures.take(batch).astype(np.float32) / 255)
            seen = altered(target, generator)
            error = torch.nn.functional.mse_loss(network(seen.to(device)), target.to(device))
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
            errors.append(float(error.detach()))
            task.advance()
    tensors = {name: value.detach().cpu().contiguous()
               for name, value in network.state_dict().items()}  # fmt: skip
    content = save(tensors)
    digest = hashlib.sha256(content).hexdigest()
    record = {
        "format_name": FORMAT,
        "format_version": VERSION,
        "tensors": f"tensors-{digest[:16]}.safetensors",
        "sha256": digest,
        "settings": asdict(chosen),
        "channels": list(pictures.channels),
        "shape": list(pictures.image_shape),
        "images": len(pictures),
        "fingerprint": images.fingerprint,
        "error": float(np.mean(errors[-100:])),
        "error_of_mean_image": _error_of_mean(pictures),
        "versions": {name: package_version(name) for name in ("likeness", "torch")},
    }
    make_folder(folder, private=True)
    with folder_lock(folder):
        write_bytes(folder / str(record["tensors"]), content, private=True)
        write_json(folder / RECORD, record, private=True)
        for path in folder.glob("tensors-*.safetensors"):
            if path.name != record["tensors"]:
                path.unlink(missing_ok=True)
    return record


def _pictures(images: ImageSet) -> ImageSet:
    names = [name for name in images.channels if name not in images.annotation_channels]
    pictures = images if len(names) == len(images.channels) else images.select_channels(names)
    _, rows, columns = images.image_shape
    fits = 1 <= len(names) <= 8 and min(rows, columns) >= 32 and max(rows, columns) <= 256
    if images.dtype != np.uint8 or not fits:
        msg = (
            f"Images of {rows} x {columns} pixels, {images.dtype}, {len(names)} picture channels: "
            "the autoencoder takes 8 bits, sides of 32 to 256 and 1 to 8 picture channels."
        )
        raise ImageMismatchError(msg)
    return pictures


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if overwrite and (folder / RECORD).is_file():
        return
    what = "an autoencoder; --overwrite replaces it" if (folder / RECORD).is_file() else "files"
    msg = f"{str(folder)!r} holds {what}. Choose another --out."
    raise OutputError(msg)


def _error_of_mean(images: ImageSet) -> float:
    total = np.zeros(images.image_shape)
    squares = 0.0
    for start in range(0, len(images), 256):
        block = images.read(start, min(start + 256, len(images))).astype(np.float64) / 255
        total += block.sum(axis=0)
        squares += float((block**2).sum())
    mean = total / len(images)
    return float(squares / len(images) - (mean**2).sum()) / total.size
