"""Fixtures that several folders of tests share."""

from __future__ import annotations

from tests.folders import folders, likeness_command

__all__ = ["folders", "likeness_command"]
