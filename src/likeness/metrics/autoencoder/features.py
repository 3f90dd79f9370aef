"""A trained autoencoder as an extractor of features."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._files import hash_of_json
from likeness.errors import FormatVersionError, ImageMismatchError, InputError
from likeness.metrics._extra import need_extra
from likeness.metrics.autoencoder.training import FORMAT, RECORD, VERSION
from likeness.types import Floats, Images

_TOGETHER: Final = 64


class AutoencoderFeatures:
    """See `likeness.metrics.features`. Made by `open_autoencoder`."""

    name = "autoencoder"
    num_classes = 0
    together = _TOGETHER

    def __init__(self, network: Any, record: dict[str, Any], device: str) -> None:  # noqa: ANN401
        self._network = network
        self._record = record
        self._device = device

    @property
    def key(self) -> str:
        """Hash of weights and layers."""
        return hash_of_json([FORMAT, VERSION, self._record["sha256"], self._record["settings"]])

    @property
    def record(self) -> dict[str, Any]:
        """What it was trained on, without names."""
        kept = ("sha256", "settings", "channels", "shape", "images", "fingerprint", "error")
        return {name: self._record[name] for name in kept}

    @property
    def num_channels(self) -> int:
        """Channels of an image."""
        return int(self._record["shape"][0])

    @property
    def num_features(self) -> int:
        """Length of a feature vector."""
        return int(self._record["settings"]["features"])

    def features(self, images: Images) -> Floats:
        """Return the features (n, d) of images (n, C, H, W) in 8 bits.

        Raises
        ------
        ImageMismatchError
            If they are not like those it was trained on.
        """
        import torch

        if images.dtype != np.uint8 or list(images.shape[1:]) != self._record["shape"]:
            msg = (
                f"The autoencoder was trained on images of {self._record['shape']}, 8 bits; these "
                f"are {list(images.shape[1:])}, {images.dtype}. Train one on such images."
            )
            raise ImageMismatchError(msg)
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), _TOGETHER):
                pixels = images[start : start + _TOGETHER].astype(np.float32) / 255
                vectors = self._network.features(torch.from_numpy(pixels).to(self._device))
                found.append(vectors.cpu().numpy().astype(np.float64))
        return np.concatenate(found) if found else np.empty((0, self.num_features))

    def centred_features(self, images: Images) -> Floats:
        """Return features less their own mean: the cosine of two of them is their correlation.

        The `encoder` of `likeness.audit`. Values of 0 to 255 of any number type are rounded to 8
        bits, since an image that was laid on another one is interpolated.
        """
        pixels = np.clip(np.rint(images), 0, 255).astype(np.uint8)
        found = self.features(pixels)
        centred: Floats = found - found.mean(axis=1, keepdims=True)
        return centred


def open_autoencoder(path: Path | str, *, device: str = "cpu") -> AutoencoderFeatures:
    """Load an autoencoder that `train_autoencoder` wrote.

    Raises
    ------
    MissingExtraError
        If torch or safetensors are absent.
    InputError, FormatVersionError
        If there is none, it is damaged, or of a later format.
    """
    need_extra("torch", "safetensors")
    import torch
    from safetensors.torch import load

    from likeness.metrics.autoencoder.network import Autoencoder

    folder = Path(path)
    file = folder / RECORD
    if not file.is_file():
        msg = f"{str(folder)!r} is no autoencoder: there is no {RECORD!r} in it."
        raise InputError(msg)
    try:
        record: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if record["format_name"] != FORMAT:
            raise KeyError(FORMAT)
        if record["format_version"] > VERSION:
            msg = f"{str(file)!r} was written by a later version of Likeness; update it."
            raise FormatVersionError(msg)
        content = (folder / Path(record["tensors"]).name).read_bytes()
        settings = record["settings"]
        channels, rows, columns = (int(one) for one in record["shape"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        msg = f"The autoencoder in {str(folder)!r} is damaged: {error}. Train it again."
        raise InputError(msg) from error
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        msg = f"The weights in {str(folder)!r} are not those of its record. Train it again."
        raise InputError(msg)
    network = Autoencoder(channels, rows, columns, settings["features"], settings["width"])
    network.load_state_dict(load(content))
    network.to(torch.device(device)).eval()
    return AutoencoderFeatures(network, record, device)
