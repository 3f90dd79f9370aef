"""Make a set of what was written: tables, checksums, and ``dataset.json``, with which it counts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from likeness._files import sha256_of_file, write_bytes, write_text, writing_to
from likeness.datasets import layout
from likeness.datasets.manifest import ManifestRow, SourceRow, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from likeness.datasets.accounting import Accounting
    from likeness.datasets.checkpoints import Checkpoint


def commit(
    folder: Path,
    state: Checkpoint,
    *,
    sources: Sequence[SourceRow],
    accounting: Accounting,
    record: dict[str, Any],
) -> None:
    """Write the tables, the checksums and, last of all, ``dataset.json``."""
    names = [layout.shard_name(number) for number in range(len(state.shard_rows))]
    *shape, dtype = state.image_type or ()
    content = {
        **record,
        "dtype": dtype,
        "image_shape": shape,
        "num_images": len(state.rows),
        "shard_rows": state.shard_rows,
    }
    shards = {
        name: file_entry(folder / name, digest)
        for name, digest in zip(names, state.shard_sha256, strict=True)
    }
    write_tables(folder, state.rows, sources, accounting)
    write_record(folder, shards, content)
    remove_progress(folder)


def write_tables(
    folder: Path,
    rows: Sequence[ManifestRow],
    sources: Sequence[SourceRow],
    accounting: Accounting,
) -> None:
    """Write what is known about images, source files and what was left out."""
    write_table(folder / layout.MANIFEST, rows, ManifestRow)
    write_table(folder / layout.SOURCES, sources, SourceRow)
    accounting.write_csv(folder / layout.LEFT_OUT)


def write_record(
    folder: Path, shards: dict[str, dict[str, Any]], content: dict[str, Any]
) -> dict[str, Any]:
    """Write ``SHA256SUMS`` and then ``dataset.json``, with which the tables beside it count.

    Parameters
    ----------
    shards
        Size and SHA-256 of every shard by name; `folder` need not hold them.
    content
        The record but for what is known here.
    """
    files = {**shards, **{name: file_entry(folder / name) for name in layout.TABLES}}
    lines = [f"{files[name]['sha256']}  {name}\n" for name in sorted(files)]
    write_text(folder / layout.CHECKSUMS, "".join(lines), private=True)
    files[layout.CHECKSUMS] = file_entry(folder / layout.CHECKSUMS)
    sealed = layout.sealed(
        {
            **content,
            "format_name": layout.FORMAT_NAME,
            "format_version": layout.FORMAT_VERSION,
            "files": files,
        }
    )
    write_bytes(folder / layout.RECORD, layout.record_bytes(sealed), private=True)
    return sealed


def file_entry(path: Path, sha256: str | None = None) -> dict[str, Any]:
    """Return what the record says about a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256 or sha256_of_file(path)}


def remove_partial_files(folder: Path) -> None:
    """Remove the files that a killed run was writing; `folder` holds nothing but an image set."""
    with writing_to(folder):
        for leftover in (*folder.glob("*.partial"), *folder.glob("*/*.partial")):
            leftover.unlink()


def remove_progress(folder: Path) -> None:
    """Remove what only an interrupted run needs."""
    with writing_to(folder):
        if (folder / layout.PROGRESS).is_dir():
            shutil.rmtree(folder / layout.PROGRESS)


def remove_set(folder: Path) -> None:
    """Remove an image set, finished or not, ``dataset.json`` first."""
    with writing_to(folder):
        for name in (layout.RECORD, layout.CHECKSUMS, *layout.TABLES):
            (folder / name).unlink(missing_ok=True)
        for name in (layout.IMAGES, layout.DERIVED, layout.BASELINES, layout.NEXT, layout.PROGRESS):
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
    remove_partial_files(folder)
