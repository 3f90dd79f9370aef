"""Figures as files: PNG and PDF, the same bytes for the same figure."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness._files import write_bytes
from likeness.experiments.figures.canvas import default_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PDF: Final = {"CreationDate": None, "Producer": None, "Creator": None}


def save_figure(
    figure: Figure, stem: Path, *, dpi: int = 150, private: bool = True
) -> tuple[Path, Path]:
    """Write a figure as ``STEM.png`` and ``STEM.pdf``, without date or name of the program.

    Parameters
    ----------
    stem
        The path without an ending; its folder must exist.
    private
        Readable by its owner only, as is right for pictures of patients.
    """
    paths = []
    with default_style():
        for ending, metadata in (("png", {"Software": None}), ("pdf", _PDF)):
            stream = io.BytesIO()
            figure.savefig(stream, format=ending, dpi=dpi, metadata=metadata)
            paths.append(stem.with_name(f"{stem.name}.{ending}"))
            write_bytes(paths[-1], stream.getvalue(), private=private)
    return paths[0], paths[1]
