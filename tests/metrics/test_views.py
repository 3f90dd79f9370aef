"""How channels are passed."""

import pytest
from tests.metrics.test_feature_cache import Counting

from likeness.errors import ImageMismatchError, OptionError
from likeness.metrics.principal_components import PrincipalComponents
from likeness.metrics.views import View, in_words, views_for

FOUR = ("t1", "t1ce", "t2", "flair")


@pytest.mark.parametrize(
    ("takes", "channels", "mode", "expected", "words"),
    [
        (1, ("grey",), "auto", [View("grey", ("grey",))], "the one channel"),
        (
            3,
            ("grey",),
            "auto",
            [View("grey", ("grey",), 3)],
            "the one channel repeated three times",
        ),
        (
            3,
            ("t1", "t2"),
            "auto",
            [View("t1", ("t1",), 3), View("t2", ("t2",), 3)],
            "each of the 2 channels apart repeated three times, and their mean",
        ),
        (3, ("r", "g", "b"), "auto", [View("all", ("r", "g", "b"))], "the 3 channels together"),
        (3, ("r", "g", "b"), "apart", [View(c, (c,), 3) for c in "rgb"], None),
        (4, FOUR, "auto", [View("all", FOUR)], "the 4 channels together"),
        (1, FOUR, "auto", [View(c, (c,)) for c in FOUR], None),
    ],
)
def test_an_extractor_of_so_many_channels(takes, channels, mode, expected, words):
    found = views_for(Counting(num_channels=takes), channels, mode)
    assert found == expected
    assert words in (None, in_words(found))


def test_a_recipe_is_fitted_to_each_channel_or_to_all():
    apart = views_for(PrincipalComponents(), FOUR, "auto")
    assert apart == [View(name, (name,)) for name in FOUR]
    assert in_words(apart) == "each of the 4 channels apart, and their mean"
    assert views_for(PrincipalComponents(), FOUR, "together") == [View("all", FOUR)]


def test_what_does_not_fit():
    with pytest.raises(ImageMismatchError, match="takes 5 channels; these images have 2"):
        views_for(Counting(num_channels=5), ("t1", "t2"), "auto")
    with pytest.raises(OptionError, match="cannot be passed together"):
        views_for(Counting(num_channels=3), ("t1", "t2"), "together")
