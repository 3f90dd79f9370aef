"""Which software produced a result."""

from __future__ import annotations

import platform
from functools import cache

PACKAGES = ("numpy", "numkong", "scipy", "pillow", "nibabel", "tifffile", "pyarrow")


def software_versions() -> dict[str, str]:
    """Return the versions that can change a pixel or a number, without importing anything.

    Returns
    -------
    dict
        Package name to version; ``absent`` for an optional package that is not installed.
    """
    versions = {"likeness": package_version("likeness"), "python": platform.python_version()}
    versions.update({name: package_version(name) for name in PACKAGES})
    return versions


@cache  # to look one up takes milliseconds, and what was imported stays what it was
def package_version(name: str) -> str:
    """Return the installed version of a package, or ``absent``."""
    from importlib import metadata  # takes 30 ms, in every process that decodes too

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
