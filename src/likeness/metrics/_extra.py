"""The optional packages of the metrics."""

from __future__ import annotations

import importlib.util

from likeness.errors import MissingExtraError


def need_extra(*names: str) -> None:
    """Check that packages are installed, without importing them.

    Raises
    ------
    MissingExtraError
        If one is absent.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            msg = f"These metrics need {name}. Install it: pip install 'likeness[metrics]'."
            raise MissingExtraError(msg)
