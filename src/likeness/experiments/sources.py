"""Where the images come from: a folder of collections, or artificial patients."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from likeness._files import hash_of_json
from likeness.errors import InputError
from likeness.experiments.configurations import Collection, Configuration, Source

FOLDER_NAMES: Final[dict[Collection, tuple[str, ...]]] = {
    "brats20": (
        "brats20",
        "brats2020",
        "micca_brats2020_trainingdata",
        "miccai_brats2020_trainingdata",
    ),
    "brats21": ("brats21", "brats2021", "rsna_asnr_miccai_brats2021_trainingdata"),
    "lgg": ("lgg",),
    "cxr": ("cxr", "chest_xray"),
}
"""Names that the folder of a collection may have, in small letters."""

PHANTOM_PATIENTS: Final[dict[Collection, int]] = {
    "brats20": 20,
    "brats21": 24,
    "lgg": 20,
    "cxr": 160,
}


def find_sources(configuration: Configuration, data: Path) -> dict[str, Path]:
    """Return the folder of each collection of a configuration.

    Raises
    ------
    InputError
        If one is not there; the message says what it may be called.
    """
    if not data.is_dir():
        msg = f"{str(data)!r} is no folder. Expected the folder that holds the collections."
        raise InputError(msg)
    present = {path.name.lower(): path for path in sorted(data.iterdir()) if path.is_dir()}
    found = {}
    for name, source in configuration.sources.items():
        names = FOLDER_NAMES[source.collection]
        folder = next((present[one] for one in names if one in present), None)
        if folder is None:
            msg = (
                f"{str(data)!r} has no folder for {source.collection}: expected one of "
                f"{', '.join(names)} (in any case of letters), found "
                f"{', '.join(sorted(present)) or 'no folder'}. The configuration "
                f"{configuration.name!r} needs {', '.join(configuration.sources)}."
            )
            raise InputError(msg)
        found[name] = folder
        training = folder / "train"
        if source.collection == "cxr" and training.is_dir():  # as the collection is handed out
            found[name] = training
    return found


def listing(folder: Path) -> str:
    """Return a hash of the names, sizes and times of all files below a folder."""
    entries = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            about = path.stat()
            entries.append([str(path.relative_to(folder)), about.st_size, about.st_mtime_ns])
    return hash_of_json(entries)


def write_phantoms(source: Source, folder: Path, seed: int = 0) -> None:
    """Write artificial patients in the layout of a collection."""
    from likeness.datasets.phantoms import write_brats, write_chest

    patients = PHANTOM_PATIENTS[source.collection]
    if source.collection == "cxr":
        write_chest(folder, seed=seed, patients=patients)
    else:
        write_brats(folder, seed=seed, patients=patients, num_slices=24)
