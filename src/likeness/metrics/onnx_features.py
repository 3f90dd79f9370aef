"""Features of any encoder that is given as an ONNX file.

The file says what it computes; only what goes in has to be stated: the size, the scale, mean and
standard deviation of the channels. All of that is part of the key and of the record.

The file is read once, hashed, and run from memory on the processor. Weights in further files beside
it (external data) would not be part of the hash: such a file is refused.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from likeness._files import hash_of_json
from likeness._versions import package_version
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.metrics._extra import need_extra
from likeness.types import Floats, Images

_VERSION: Final = 1
_SMALLEST: Final = 1e-30


@dataclass(frozen=True)
class OnnxInput:
    """What the encoder is given: ((x * scale) - mean) / std, after resizing."""

    size: int | None = None
    """Side in pixels; None for the file's where it is fixed, and that of the images otherwise."""
    scale: float = 1 / 255
    """Factor of the 8-bit pixels."""
    mean: tuple[float, ...] = (0.0,)
    """Per channel, or one for all."""
    std: tuple[float, ...] = (1.0,)
    """Per channel, or one for all."""

    def __post_init__(self) -> None:
        numbers = (self.scale, *self.mean, *self.std)
        if (
            (self.size is not None and self.size < 1)
            or not all(np.isfinite(numbers))
            or not self.mean
            or not self.std
            or 0 in self.std
            or self.scale == 0
        ):
            msg = (
                f"The encoder's input cannot have size {self.size}, scale {self.scale}, mean "
                f"{self.mean} and std {self.std} (--onnx-size, --onnx-scale, --onnx-mean, "
                "--onnx-std): positive size, finite numbers, no zero as scale or std."
            )
            raise OptionError(msg)


class OnnxFeatures:
    """An encoder as an extractor. See `likeness.metrics.features`.

    Parameters
    ----------
    path
        The ONNX file: one input (batch, channels, rows, columns) of float32, whose batch is not
        fixed; the first output (batch, d) or (batch, d, 1, 1).
    given
        How images are turned into its input.
    classes
        Whether there is a second output (batch, K) of class scores, and which; None for no
        inception score.

    Raises
    ------
    MissingExtraError
        If onnxruntime or torch are absent.
    InputError
        If the file cannot be run, or is not as described.
    """

    name = "onnx"
    together = 32

    def __init__(
        self,
        path: Path | str,
        *,
        given: OnnxInput | None = None,
        classes: Literal["logits", "probabilities"] | None = None,
    ) -> None:
        need_extra("onnxruntime", "torch")
        self._given = given or OnnxInput()
        self._path = str(path)
        self._classes = classes
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            msg = f"The encoder {str(path)!r} cannot be read: {error.strerror}."
            raise InputError(msg) from error
        self._session = _session(content, str(path))
        found = self._session.get_inputs()
        shape = found[0].shape if found else []
        if len(found) != 1 or found[0].type != "tensor(float)" or len(shape) != 4:
            what = ", ".join(f"{one.name} {one.type} {one.shape}" for one in found)
            msg = (
                f"The encoder {str(path)!r} takes {what or 'nothing'}; expected one input "
                "(batch, channels, rows, columns) of 32-bit floating point numbers."
            )
            raise InputError(msg)
        if isinstance(shape[0], int):
            msg = (
                f"The encoder {str(path)!r} takes exactly {shape[0]} images at once; export it "
                "with a dynamic batch axis."
            )
            raise InputError(msg)
        if not isinstance(shape[1], int) or shape[1] < 1:
            msg = f"The encoder {str(path)!r} does not say how many channels it takes: {shape}."
            raise InputError(msg)
        self._input = found[0].name
        self._fixed = tuple(side if isinstance(side, int) else None for side in shape[2:])
        size = self._given.size
        if size is not None and any(side not in (None, size) for side in self._fixed):
            msg = f"The encoder {str(path)!r} takes images {shape[2:]}, not {size} (--onnx-size)."
            raise InputError(msg)
        self.num_channels = int(shape[1])
        for word, numbers in (("mean", self._given.mean), ("std", self._given.std)):
            if len(numbers) not in (1, self.num_channels):
                msg = (
                    f"The encoder takes {self.num_channels} channels; --onnx-{word} has "
                    f"{len(numbers)} numbers. Give one, or one per channel."
                )
                raise OptionError(msg)
        self._outputs = [one.name for one in self._session.get_outputs()]
        if classes is not None and len(self._outputs) < 2:
            msg = (
                f"The encoder {str(path)!r} has the output {', '.join(self._outputs)} only; class "
                "scores are expected as its second output."
            )
            raise InputError(msg)
        side = self._given.size or 64
        trial = np.zeros((2, self.num_channels, side, side), np.uint8)
        features, logits = self._run(trial)
        self.num_features = features.shape[1]
        self.num_classes = 0 if logits is None else logits.shape[1]
        self.record: dict[str, Any] = {
            "features": f"output {self._outputs[0]!r} of an ONNX file",
            "sha256": hashlib.sha256(content).hexdigest(),
            "input": {**asdict(self._given), "fixed": list(self._fixed), "resize": "linear"},
            "num_features": self.num_features,
            "classes": classes,
            "onnxruntime": package_version("onnxruntime"),
        }
        self.key = hash_of_json(
            {
                "kind": self.name,
                "version": _VERSION,
                "record": self.record,
                "torch": package_version("torch"),
                "together": self.together,
            }
        )

    def features(self, images: Images) -> Floats:
        """Return the features (n, d) of images (n, `num_channels`, H, W), 8 bits."""
        return self._run(images)[0]

    def features_and_logits(self, images: Images) -> tuple[Floats, Floats]:
        """Return the features and the logits of the second output."""
        features, logits = self._run(images)
        if logits is None:
            msg = f"No class scores were asked of the encoder {self._path!r}."
            raise OptionError(msg)
        return features, logits

    def _run(self, images: Images) -> tuple[Floats, Floats | None]:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != self.num_channels:
            msg = (
                f"The encoder {self._path!r} takes 8-bit images (n, {self.num_channels}, H, W), "
                f"not {images.shape} {images.dtype}."
            )
            raise ImageMismatchError(msg)
        try:
            results = self._session.run(self._outputs[:2], {self._input: self._prepared(images)})
        except Exception as error:  # onnxruntime raises kinds of its own
            msg = f"The encoder {self._path!r} fails: {str(error).splitlines()[0]}"
            raise InputError(msg) from error
        features = self._checked(results[0], len(images), self._outputs[0])
        if self._classes is None:
            return features, None
        scores = self._checked(results[1], len(images), self._outputs[1])
        if self._classes == "logits":
            return features, scores
        if not (scores >= 0).all() or np.abs(scores.sum(axis=1) - 1).max() > 1e-3:
            msg = (
                f"The output {self._outputs[1]!r} of {self._path!r} holds no probabilities: they "
                "must not be negative and add up to 1."
            )
            raise InputError(msg)
        return features, np.log(np.maximum(scores, _SMALLEST))

    def _prepared(self, images: Images) -> Any:  # noqa: ANN401 - an array of float32
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(images)).float()
        sides = tuple(
            fixed or self._given.size or own
            for fixed, own in zip(self._fixed, images.shape[2:], strict=True)
        )
        if sides != images.shape[2:]:
            pixels = torch.nn.functional.interpolate(
                pixels, size=sides, mode="bilinear", align_corners=False, antialias=True
            )
        mean = torch.tensor(self._given.mean).reshape(1, -1, 1, 1)
        std = torch.tensor(self._given.std).reshape(1, -1, 1, 1)
        return ((pixels * self._given.scale - mean) / std).numpy()

    def _checked(self, values: Any, count: int, name: str) -> Floats:  # noqa: ANN401
        found = np.asarray(values)
        if found.ndim == 4 and found.shape[2:] == (1, 1):
            found = found[:, :, 0, 0]
        if found.ndim != 2 or found.shape[0] != count or found.dtype.kind != "f":
            msg = (
                f"The output {name!r} of {self._path!r} is {found.shape} {found.dtype} for {count} "
                f"images; expected ({count}, d) real numbers."
            )
            raise InputError(msg)
        if not np.isfinite(found).all():
            msg = f"The output {name!r} of {self._path!r} holds values that are not finite."
            raise InputError(msg)
        return found.astype(np.float64)


def _session(content: bytes, path: str) -> Any:  # noqa: ANN401 - of onnxruntime
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    with tempfile.TemporaryDirectory() as empty:
        # Otherwise external data would be looked for wherever this process happens to be.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", empty
        )
        try:
            return onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises kinds of its own
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if "xternal data" in reason:
                reason = "it keeps weights in other files; save it as one file."
            msg = f"The encoder {path!r} cannot be run: {reason}"
            raise InputError(msg) from error
