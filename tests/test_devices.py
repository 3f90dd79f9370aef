"""A device that is not there is the user's mistake, said in words, whatever computes on it."""

import pytest

from likeness._devices import device_named
from likeness.errors import OptionError

pytest.importorskip("torch")


def test_auto_is_what_is_there():
    import torch

    assert device_named("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_named("cpu") == "cpu"


@pytest.mark.parametrize("name", ["cuda:77", "gpu", ""])
def test_another_is_refused(name):
    with pytest.raises(OptionError, match=f"no device '{name}' here"):
        device_named(name)
