"""Whether a text, such as the path of a file, names one of some patients."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from likeness.datasets.patient_ids import parse_patient_rule
from likeness.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likeness.datasets.patient_ids import PatientRule


class Mentions:
    """Says of a text whether it names one of the patients.

    Parameters
    ----------
    patients
        Their ids.
    rule
        The rule by which the set found its patients, as `parse_patient_rule` reads it; a table is
        not asked.
    """

    def __init__(self, patients: Iterable[str], rule: str) -> None:
        self._patients = frozenset(patients)
        self._rule: PatientRule | None = None
        with suppress(OptionError):  # a rule that needs its table
            self._rule = parse_patient_rule(rule)
        words = "|".join(re.escape(name) for name in sorted(self._patients, key=len, reverse=True))
        self._words = re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])")

    def __call__(self, text: str) -> bool:
        """Whether the text names one, by the rule or as a word of its own."""
        if self._words.search(text):
            return True
        return self._rule is not None and self._rule.patient_of(text) in self._patients
