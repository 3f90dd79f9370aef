"""Settings as JSON, as they stand beside each checkpoint, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self

from likeness.errors import OptionError


class JsonSettings:
    """Base of a frozen dataclass whose fields are numbers, texts, tuples or None."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        values = asdict(self)  # type: ignore[call-overload]  # only dataclasses derive from this
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Build the settings from what `to_json` returned.

        Raises
        ------
        OptionError
            If a name is missing, unknown, or its value out of range.
        """
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        if set(values) != known:
            odd = ", ".join(sorted(set(values) ^ known))
            msg = (
                f"Settings of a {cls.__name__} must have exactly the names "
                f"{', '.join(sorted(known))}; missing or unknown: {odd}."
            )
            raise OptionError(msg)
        return cls(
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in values.items()
            }
        )
