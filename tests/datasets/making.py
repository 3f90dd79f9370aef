"""Small sources for the tests: written with Pillow and nibabel directly, not with our code."""

from __future__ import annotations

import os
import shutil
import signal
import traceback
from pathlib import Path

import numpy as np
from PIL import Image

from likeness.datasets.names import image_id
from likeness.datasets.set_plan import SetPlan
from likeness.datasets.units import DecodedImage, Unit
from likeness.datasets.walk import find_files
from likeness.errors import UnreadableImageError


def pixels(seed: int, shape=(12, 10), dtype=np.uint8):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 256, shape).astype(dtype)


def png(path: Path, array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, format="PNG")
    return path


def folder_of_pngs(
    root: Path, count: int, *, patients: int = 3, shape=(12, 10), prefix: str = "P"
) -> Path:
    for number in range(count):
        patient = f"{prefix}{number % patients}"
        png(root / patient / f"{patient}_{number:03d}.png", pixels(number, shape))
    return root


def nifti(path: Path, voxels, affine=None) -> Path:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    nibabel.save(image, path)
    return path


def tree_bytes(root: Path) -> dict[str, bytes]:
    """Every file below a folder, the lock aside."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def killed_at(step: int, work) -> bool:
    """Run `work` in a process that dies at its `step`-th change of the disk; whether it died.

    Every rename, removal and flush counts, and the kill comes before it happens.
    """
    child = os.fork()
    if child == 0:
        left = [step]

        def counted(function):
            def call(*args, **kwargs):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return function(*args, **kwargs)

            return call

        for owner, name in [
            (Path, "replace"),
            (Path, "unlink"),
            (shutil, "rmtree"),
            (os, "fsync"),
        ]:
            setattr(owner, name, counted(getattr(owner, name)))
        try:
            work()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert died or os.WEXITSTATUS(status) == 0
    return died


def raw(path: Path, *, images: int = 1, seed: int = 0) -> Path:
    """A file that `decode_raw` understands: 6 bytes per image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        np.random.default_rng(seed).integers(65, 90, 6 * images).astype("u1").tobytes()
    )
    return path


def decode_raw(unit):
    """Images of 2 x 3 pixels; ``bad`` files are unreadable, at ``!`` a file breaks off."""
    content = unit.files[0].path.read_bytes()
    if content.startswith(b"bad"):
        raise UnreadableImageError(unit.files[0].path, "damaged", "it says so")
    if content.startswith(b"die"):
        os.kill(os.getpid(), signal.SIGKILL)
    for index in range(len(content) // 6):
        if content[6 * index : 6 * index + 1] == b"!":
            raise UnreadableImageError(unit.files[0].path, "truncated", "in the middle")
        block = np.frombuffer(content[6 * index : 6 * index + 6], np.uint8).reshape(1, 2, 3)
        yield DecodedImage(block.copy(), image_id(unit.key, member=str(index)), unit.patient_id)


def plan_of(root: Path, **changes):
    """The plan of a folder of raw files; the patient is the first letter of the name."""
    found = find_files(root)
    given = {
        "units": [Unit((file,), file.text, file.name[0]) for file in found.files],
        "decoder": decode_raw,
        "channels": ("grey",),
        "settings": {"kind": "raw", "threshold": 3},
        "left_out": found.left_out,
        "record": {"patient_rule": "first", "patients": {}, "notes": []},
    }
    return SetPlan(**{**given, **changes})
