"""Checkpoints: named tensors and a record, as safetensors and JSON in one folder.

    CHECKPOINT/
      checkpoint.json              format, version, the record, and the name and SHA-256 of:
      tensors-0123456789abcdef.safetensors

The tensors are written first, under a name made of their own checksum; ``checkpoint.json`` then
takes its place by one rename, and only then do older tensors go. So a kill at any moment leaves the
old complete checkpoint or the new one. Nothing is pickled: a checkpoint cannot run code. Files are
readable by their owner only, since a network can know its training images by heart.

What the tensors and the record mean is up to whoever saves them. By custom a tensor's name begins
with what it belongs to, as in ``model/conv_in.weight``, so that one part can be loaded alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from likeness._files import make_folder, sha256_of_file, write_bytes, write_json, writing_to
from likeness.errors import FormatVersionError, InputError

FORMAT: Final = "likeness-checkpoint"
VERSION: Final = 1
RECORD_NAME: Final = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds."""

    tensors: dict[str, torch.Tensor]
    """By name, on the processor, of the types they were saved in."""
    record: dict[str, Any]
    """JSON."""
    sha256: str
    """Of the file of tensors: the checkpoint's name in the provenance of its images."""


def save_checkpoint(
    folder: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]
) -> str:
    """Write a checkpoint, or replace one.

    Parameters
    ----------
    folder
        Is made if it is not there. Other files in it are left alone.
    tensors
        On any device. Equal tensors and names give equal bytes.
    record
        JSON, without NaN or infinities.

    Returns
    -------
    str
        The SHA-256 of the file of tensors.

    Raises
    ------
    OutputError
        If the disk is full, the folder read-only, or the like.
    """
    # A copy each, since safetensors refuses tensors that share memory.
    own = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    content = save(own)
    del own
    digest = hashlib.sha256(content).hexdigest()
    name = f"tensors-{digest[:16]}.safetensors"
    described = {
        "format": FORMAT,
        "version": VERSION,
        "tensors": {"file": name, "sha256": digest, "bytes": len(content), "count": len(tensors)},
        "record": dict(record),
    }
    json.dumps(
        described, allow_nan=False
    )  # a record that is no JSON fails before anything is written
    make_folder(folder)
    write_bytes(folder / name, content, private=True)
    write_json(folder / RECORD_NAME, described, private=True)
    with writing_to(folder):
        for path in folder.glob("tensors-*.safetensors"):
            if path.name != name:
                path.unlink(missing_ok=True)
    return digest


def read_record(path: Path) -> dict[str, Any]:
    """Read the record alone, without the tensors.

    Raises
    ------
    InputError, FormatVersionError
        As `load_checkpoint`, as far as ``checkpoint.json`` tells.
    """
    record: dict[str, Any] = _described(path)["record"]
    return record


def load_checkpoint(path: Path, *, prefix: str = "") -> Checkpoint:
    """Read a checkpoint after checking that it is whole.

    Parameters
    ----------
    path
        The folder, or the ``checkpoint.json`` in it.
    prefix
        Only tensors whose names begin so are loaded; their names lose it.

    Raises
    ------
    FormatVersionError
        If it was written in a format that this version does not read.
    InputError
        If it is not there, incomplete or damaged, or has no tensor of that prefix.
    """
    described = _described(path)
    about = described["tensors"]
    file = _folder(path) / about["file"]
    if not file.is_file():
        msg = f"{str(file)!r} is missing, so the checkpoint is incomplete: copy its whole folder."
        raise InputError(msg)
    size = file.stat().st_size
    if size != about["bytes"] or sha256_of_file(file) != about["sha256"]:
        msg = (
            f"{str(file)!r} is damaged: it does not have the checksum of its checkpoint ({size:,} "
            f"bytes, {about['bytes']:,} were written). Copy it again, or take another checkpoint."
        )
        raise InputError(msg)
    try:
        with safe_open(file, framework="pt", device="cpu") as stream:
            names = [name for name in stream.keys() if name.startswith(prefix)]  # noqa: SIM118
            tensors = {name.removeprefix(prefix): stream.get_tensor(name) for name in names}
    except SafetensorError as error:
        msg = f"{str(file)!r} is not a safetensors file: {error}."
        raise InputError(msg) from error
    if prefix and not tensors:
        msg = f"The checkpoint {str(_folder(path))!r} has no tensors named {prefix!r}..."
        raise InputError(msg)
    return Checkpoint(tensors, described["record"], about["sha256"])


def _folder(path: Path) -> Path:
    return path.parent if path.name == RECORD_NAME else path


def _described(path: Path) -> dict[str, Any]:
    file = _folder(path) / RECORD_NAME
    if not file.is_file():
        msg = f"{str(path)!r} is not a checkpoint: there is no {RECORD_NAME!r} in it."
        raise InputError(msg)
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        msg = f"{str(file)!r} is damaged: it is not JSON ({error}). Take another checkpoint."
        raise InputError(msg) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        msg = f"{str(file)!r} does not describe a checkpoint of Likeness: no format {FORMAT!r}."
        raise InputError(msg)
    if found.get("version") != VERSION:
        msg = (
            f"{str(file)!r} has version {found.get('version')!r} of the checkpoint format; this "
            f"version of Likeness reads {VERSION}."
        )
        raise FormatVersionError(msg)
    if not (isinstance(found.get("record"), dict) and _is_whole(found.get("tensors"))):
        msg = f"{str(file)!r} is damaged: its entries 'tensors' or 'record' are not as written."
        raise InputError(msg)
    return found


def _is_whole(about: object) -> bool:
    return (
        isinstance(about, dict)
        and isinstance(about.get("sha256"), str)
        and isinstance(about.get("bytes"), int)
        # a name, not a path: nothing outside the folder is read
        and about.get("file") == f"tensors-{about['sha256'][:16]}.safetensors"
    )
