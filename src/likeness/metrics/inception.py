"""Features of the standard FID Inception, with the public weights from a file of the user's.

The file is the PyTorch state dict that pytorch-fid and torch-fidelity publish
(``pt_inception-2015-12-05-6726825d.pth``, 96 MB). Nothing is fetched. It is loaded with
``weights_only=True``, so that it cannot run code, after its SHA-256 was compared.

Images are scaled to 299 x 299 as the original graph does it: linear interpolation in which the
first pixels coincide (``align_corners=False`` of TensorFlow 1, without its later shift of half a
pixel, and without smoothing), then (x - 128) / 128. pytorch-fid shifts by half a pixel and divides
by 127.5: its values differ slightly. The inception score uses the logits without the bias of the
last layer, as the original does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._devices import device_named
from likeness._files import hash_of_json, sha256_of_file
from likeness._versions import package_version
from likeness.errors import ImageMismatchError, InputError
from likeness.metrics._extra import need_extra
from likeness.types import Floats, Images

if TYPE_CHECKING:
    import torch

KNOWN_SHA256: Final = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the public file; its name ends with the first eight digits."""
_VERSION: Final = 1
_COUNTERS: Final = "num_batches_tracked"


class InceptionFeatures:
    """The 2,048 features of FID. See `likeness.metrics.features`.

    Parameters
    ----------
    weights
        Path of the state dict.
    sha256
        That the file must have; None to take any and record it.
    device
        To compute on, as torch names it; ``auto`` is a GPU of CUDA, else the processor. On a GPU
        in full precision too (not run on one so far).

    Raises
    ------
    MissingExtraError
        If torch is absent.
    OptionError
        If there is no such device.
    InputError
        If the file is absent, is another one, or does not fit the network.
    """

    name = "inception"
    num_channels = 3
    num_features = 2048
    num_classes = 1008
    together = 16

    def __init__(
        self, weights: Path | str, *, sha256: str | None = KNOWN_SHA256, device: str = "cpu"
    ) -> None:
        need_extra("torch")
        self._device = device_named(device)
        path = Path(weights)
        if not path.is_file():
            msg = (
                f"There is no file {str(path)!r} with the weights of Inception. Expected the "
                "public state dict 'pt_inception-2015-12-05-6726825d.pth'."
            )
            raise InputError(msg)
        found = sha256_of_file(path)
        if sha256 is not None and found != sha256.lower():
            msg = (
                f"{str(path)!r} is not the file that was expected: its SHA-256 is {found}, not "
                f"{sha256.lower()}. For other weights name their hash (--inception-sha256)."
            )
            raise InputError(msg)
        self._network = _loaded(path).to(self._device)
        self.record: dict[str, Any] = {
            "features": "Inception v3 of FID, 2,048 features after the last average",
            "weights_sha256": found,
            "public_weights": found == KNOWN_SHA256,
            "resized_to": 299,
            "resize": "linear, TensorFlow 1",
            "scaled": "(x - 128) / 128",
            "device": self._device.partition(":")[0],
        }
        self.key = hash_of_json(
            {
                "kind": self.name,
                "version": _VERSION,
                "weights": found,
                "torch": package_version("torch"),
                "together": self.together,
                "device": self._device.partition(":")[0],
            }
        )

    def features(self, images: Images) -> Floats:
        """Return the features (n, 2048) of images (n, 3, H, W), 8 bits."""
        return self._run(images)[0]

    def features_and_logits(self, images: Images) -> tuple[Floats, Floats]:
        """Return the features, and the logits (n, 1008) without the bias of the last layer."""
        return self._run(images)

    def _run(self, images: Images) -> tuple[Floats, Floats]:
        import torch

        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3:
            msg = f"Inception takes 8-bit images (n, 3, H, W), not {images.shape} {images.dtype}."
            raise ImageMismatchError(msg)
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            features = self._network(prepared(images).to(self._device))
            logits = features.double() @ self._network.fc.weight.double().T
        return features.double().cpu().numpy(), logits.cpu().numpy()


def prepared(images: Images) -> torch.Tensor:
    """Return images (n, 3, H, W) as the network takes them: (n, 3, 299, 299) in [-1, 1]."""
    import torch

    from likeness.metrics.inception_network import SIDE

    pixels = torch.from_numpy(np.ascontiguousarray(images)).float()
    rows = torch.from_numpy(_interpolation(images.shape[2], SIDE))
    columns = torch.from_numpy(_interpolation(images.shape[3], SIDE))
    resized = rows @ pixels @ columns.T
    return (resized - 128) / 128


def _interpolation(given: int, wanted: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the (wanted, given) matrix of TensorFlow 1's linear interpolation."""
    matrix = np.zeros((wanted, given), np.float32)
    for row in range(wanted):
        place = row * given / wanted
        below = math.floor(place)
        above = min(below + 1, given - 1)
        matrix[row, below] += 1 - (place - below)
        matrix[row, above] += place - below
    return matrix


def _loaded(path: Path) -> Any:  # noqa: ANN401 - a torch module
    import torch

    from likeness.metrics.inception_network import InceptionNetwork

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for what is no file of weights
        msg = (
            f"{str(path)!r} cannot be loaded as weights: {str(error).splitlines()[0]} Expected the "
            "public state dict 'pt_inception-2015-12-05-6726825d.pth'."
        )
        raise InputError(msg) from error
    network = InceptionNetwork()
    expected = network.state_dict()
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        msg = f"{str(path)!r} holds no state dict: a dict of names to tensors was expected."
        raise InputError(msg)
    # Counters of batches play no part; some copies of the file lack them.
    counters = {name for name in expected if name.endswith(_COUNTERS)}
    missing = sorted(set(expected) - set(state) - counters)
    unexpected = sorted(set(state) - set(expected))
    misshapen = sorted(
        f"{name} {tuple(state[name].shape)}, not {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and name not in counters and state[name].shape != value.shape
    )
    for what, names in (
        ("lacks", missing),
        ("has the unknown", unexpected),
        ("has the misshapen", misshapen),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            msg = f"{str(path)!r} {what} {', '.join(names[:3])}{more}: it is no FID Inception."
            raise InputError(msg)
    values = {name: state[name] for name in expected if name in state and name not in counters}
    if not all(bool(torch.isfinite(value).all()) for value in values.values()):
        msg = f"{str(path)!r} holds weights that are not finite."
        raise InputError(msg)
    network.load_state_dict({**expected, **values})
    return network.float().eval()
