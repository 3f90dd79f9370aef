"""The public names are exactly the documented ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import likeness

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "python.md"


def documented():
    text = PAGE.read_text()
    return set(
        re.findall(r"^\.\. auto(?:function|class|exception|data):: likeness\.(\w+)$", text, re.M)
    )


def test_the_documented_names_are_the_public_ones():
    assert documented() | {"__version__"} == set(likeness.__all__)


@pytest.mark.parametrize("name", likeness.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name):
    value = getattr(likeness, name)
    if name != "__version__":
        assert len(value.__doc__ or "") > 20


def test_dir_lists_them_and_an_unknown_name_is_an_attribute_error():
    assert dir(likeness) == sorted(likeness.__all__)
    with pytest.raises(AttributeError, match="no attribute 'audti'"):
        likeness.audti  # noqa: B018


def test_no_public_function_hides_a_package():
    packages = {path.name for path in Path(likeness.__file__).parent.iterdir() if path.is_dir()}
    assert not packages & set(likeness.__all__)
