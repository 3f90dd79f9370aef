"""Tables and values made elsewhere."""

from __future__ import annotations

import csv
import json
from pathlib import Path

FACTS = Path(__file__).parents[1] / "facts"


def golden():
    return json.loads((FACTS / "stylegan3t_golden.json").read_text())


def rows(name):
    with (FACTS / name).open() as stream:
        return list(csv.DictReader(stream))
