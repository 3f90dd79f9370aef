"""Numbers as a terminal shows them."""

import pytest
from tests.metrics.test_evaluate import FEW, PCA, evaluate, pictures

from likeness.metrics.wording import _cell, _number


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (123.456, "123.5"),
        (12.345, "12.35"),
        (1.0, "1.00"),
        (0.98765, "0.9877"),
        (-0.0123, "-0.0123"),
        (0.00123, "0.0012"),
        (-1.234e-6, "-1.2e-06"),
        (0.0, "0.0000"),
    ],
)
def test_numbers(value, shown):
    assert _number(value) == shown


def test_cells():
    found = evaluate(pictures(40), pictures(3, seed=1), extractors=[PCA], options=FEW)
    assert _cell(found.find("precision")) == "not defined"
    assert _cell(None) == "-"
    distance = found.find("frechet_distance")
    assert _cell(distance).endswith(f" to {_number(distance.high)})")
