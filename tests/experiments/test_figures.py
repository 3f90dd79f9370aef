"""The paper's figures from arrays: what is drawn is what was given."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest

from likeness.datasets import ImageSet
from likeness.errors import InputError, MissingExtraError
from likeness.experiments.figures.contents import Distribution, ImageRow, PairRow, Panel, pair_row
from likeness.experiments.figures.distribution_sheets import distribution_sheet
from likeness.experiments.figures.image_sheets import image_sheet
from likeness.experiments.figures.pair_sheets import pair_sheet
from likeness.experiments.figures.saving import save_figure

NAMES = ("t1", "t2", "flair", "t1ce", "seg")
LONG = "A name of a model and a data set that is longer than anybody would wish, $x^2$ included"


def images(count, channels=1, side=8, seed=0):
    rng = np.random.default_rng([seed, count, channels])
    return rng.integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def pictures(figure):
    """The images on a figure, in the order of its axes."""
    return [np.asarray(image.get_array()) for axis in figure.axes for image in axis.get_images()]


def words(figure):
    from matplotlib.text import Text

    return " | ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))


def make_pair(channels=2, label="model", kind="slices", **changes):
    a, b, c, d = images(4, channels, seed=channels)
    values = {
        "label": label, "synthetic": a, "training": b, "r": 0.98765, "channels": NAMES[:channels],
        "compared": tuple(range(channels)), "others": (c, d), "kind": kind,
    }  # fmt: skip
    return PairRow(**{**values, **changes})


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 5])
def test_sheet_of_images_shows_every_channel_of_evenly_chosen_images(channels, rows, tmp_path):
    given = [
        ImageRow(f"{LONG} {k}", images(9, channels, seed=k), NAMES[:channels]) for k in range(rows)
    ]
    figure = image_sheet(given, columns=3, title="title")
    expected = [
        row.images[place, channel]
        for row in given
        for channel in range(channels)
        for place in (0, 4, 8)
    ]
    for shown, one in zip(pictures(figure), expected, strict=True):
        np.testing.assert_array_equal(shown, one)
    assert LONG.split()[0] in words(figure)
    assert ("t2" in words(figure)) == (channels > 1)
    save_figure(figure, tmp_path / "sheet")


def test_sheet_of_images_with_fewer_than_there_are_columns():
    figure = image_sheet([ImageRow("a", images(2), ["x"]), ImageRow("b", images(3, seed=1), ["x"])])
    assert len(pictures(figure)) == 5
    assert len(figure.axes) == 6


def test_windows_are_those_of_the_number_type():
    from_bytes = image_sheet([ImageRow("a", images(2) // 4, ["x"])])
    assert from_bytes.axes[0].get_images()[0].get_clim() == (0, 255)
    floats = image_sheet([ImageRow("a", images(2) / 100.0 - 1, ["x"])])
    low, high = floats.axes[0].get_images()[0].get_clim()
    assert (low, high) == ((images(2) / 100.0 - 1).min(), (images(2) / 100.0 - 1).max())


@pytest.mark.parametrize(("channels", "rows"), [(1, 1), (2, 3), (5, 8)])
def test_pairs_show_synthetic_training_and_neighbours(channels, rows, tmp_path):
    given = [make_pair(channels, f"{LONG} {k}") for k in range(rows)]
    figure = pair_sheet(given, title="title")
    expected = [one[0] for row in given for one in (row.synthetic, row.training, *row.others)]
    for shown, one in zip(pictures(figure), expected, strict=True):
        np.testing.assert_array_equal(shown, one)
    told = words(figure)
    assert "previous slice" in told
    assert "next slice" in told
    assert "r = 0.9877" in told
    save_figure(figure, tmp_path / "pairs")


def test_scatter_holds_all_channels_that_were_compared():
    row = make_pair(3, compared=(0, 2))
    figure = pair_sheet([row])
    clouds = [c for axis in figure.axes for c in axis.collections]
    assert len(clouds) == 2
    for cloud, channel in zip(clouds, (0, 2), strict=True):
        points = np.asarray(cloud.get_offsets())
        np.testing.assert_array_equal(points[:, 0], row.training[channel].ravel())
        np.testing.assert_array_equal(points[:, 1], row.synthetic[channel].ravel())
    assert [text.get_text().strip() for text in figure.axes[2].get_legend().get_texts()] == [
        "t1",
        "flair",
    ]


def test_channels_are_shown_by_name():
    row = make_pair(3)
    figure = pair_sheet([row], shown=["flair", "t1"])
    expected = [one[k] for k in (2, 0) for one in (row.synthetic, row.training, *row.others)]
    for shown, one in zip(pictures(figure), expected, strict=True):
        np.testing.assert_array_equal(shown, one)


def test_radiographs_have_the_second_and_third_match_and_the_header_says_so():
    told = words(pair_sheet([make_pair(1, kind="matches")]))
    assert "second most correlated" in told
    assert "third most correlated" in told
    assert "slice" not in told
    mixed = words(pair_sheet([make_pair(1, kind="matches"), make_pair(1)]))
    assert "second most correlated" in mixed
    assert "next slice" in mixed


def test_missing_neighbours_are_said_to_be_missing():
    row = make_pair(1, others=(None, None))
    figure = pair_sheet([row])
    assert len(pictures(figure)) == 2
    assert words(figure).count("none") == 2


def volume_set():
    return ImageSet.from_arrays(
        images(6, 2),
        channels=("flair", "seg"),
        volumes=["v", "v", "v", "w", "w", None],
        slice_indices=[4, 5, 6, 0, 2, -1],
    )


@pytest.mark.parametrize(
    ("matches", "kind", "others"),
    [
        ([1, 0], "slices", (0, 2)),
        ([0, 3], "slices", (None, 1)),
        ([3, 1], "slices", (None, None)),  # slice 1 of the volume is not in the set
        ([5, 2, 4], "matches", (2, 4)),
        ([5, 2], "matches", (2, None)),
        ([5], "matches", (None, None)),
    ],
)
def test_neighbours_come_from_the_volume_else_from_the_matches(matches, kind, others):
    training = volume_set()
    row = pair_row("a", images(1, 2)[0], training, matches, 0.5)
    assert row.kind == kind
    assert row.compared == (0,)  # the annotation is left out
    np.testing.assert_array_equal(row.training, training.read(matches[0], matches[0] + 1)[0])
    for shown, place in zip(row.others, others, strict=True):
        if place is None:
            assert shown is None
        else:
            np.testing.assert_array_equal(shown, training.read(place, place + 1)[0])


@pytest.mark.parametrize(
    ("annotations", "compared"), [(("seg",), (0,)), (("flair", "seg"), (0, 1))]
)
def test_annotations_are_not_compared(monkeypatch, annotations, compared):
    monkeypatch.setattr(ImageSet, "annotation_channels", annotations)
    assert pair_row("a", images(1, 2)[0], volume_set(), [1], 0.5).compared == compared


def test_distributions_are_densities_with_means_and_numbers():
    rng = np.random.default_rng(0)
    one, two = rng.uniform(0.6, 0.9, 200), rng.uniform(0.5, 0.8, 50)
    figure = distribution_sheet(
        [Panel("panel", [Distribution("diffusion", one), Distribution("held-out", two, True)])]
    )
    (axis,) = figure.axes
    outlines = [patch for patch in axis.patches if not patch.get_fill()]
    for patch, values in zip(outlines, (one, two), strict=True):
        heights, edges, _ = patch.get_data()
        expected = [
            sum((low <= values) & (values < high)) / len(values) / (high - low)
            for low, high in pairwise(edges)
        ]
        assert heights == pytest.approx(expected)
        assert (heights * np.diff(edges)).sum() == pytest.approx(1)
    assert [line.get_xdata()[0] for line in axis.lines[::2]] == pytest.approx(
        [one.mean(), two.mean()]
    )
    assert f"diffusion: N = 200, mean {one.mean():.3f}" in words(figure)
    assert f"held-out: N = 50, mean {two.mean():.3f}" in words(figure)


def test_values_that_are_not_drawn_are_counted():
    values = np.concatenate([np.full(3, 0.2), np.linspace(0.8, 0.9, 60)])
    figure = distribution_sheet([Panel("p", [Distribution("a", values)])], low=0.7)
    assert "3 below 0.70" in words(figure)


@pytest.mark.parametrize("count", [1, 8])
def test_distributions_of_few_values_many_panels_and_long_names(count, tmp_path):
    rng = np.random.default_rng(1)
    lines = [Distribution(f"_{LONG} {k}", rng.uniform(0, 1, 5 + 100 * k)) for k in range(count)]
    figure = distribution_sheet([Panel(LONG, lines)] * 2)
    told = words(figure)
    assert told.count("N = 5,") == 2
    assert f"{LONG} {count - 1}: N = {100 * count - 95}," in told
    save_figure(figure, tmp_path / "many")


def test_equal_values_and_negative_ones_can_be_drawn(tmp_path):
    figure = distribution_sheet(
        [Panel("p", [Distribution("same", np.ones(40)), Distribution("low", np.full(3, -1.0))])]
    )
    save_figure(figure, tmp_path / "same")


def test_the_same_figure_has_the_same_bytes_whatever_the_users_settings(tmp_path):
    import matplotlib as mpl

    def write(name):
        return save_figure(pair_sheet([make_pair(2)]), tmp_path / f"fig2.{name}")

    first = write("a")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 30}):
        second = write("b")
    assert [path.name for path in first] == ["fig2.a.png", "fig2.a.pdf"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert b"CreationDate" not in first[1].read_bytes()
    assert first[0].stat().st_mode & 0o077 == 0
    public = save_figure(pair_sheet([make_pair(1)]), tmp_path / "public", private=False)
    assert public[0].stat().st_mode & 0o044


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda: image_sheet([]), "no rows of images"),
        (lambda: image_sheet([ImageRow("a", images(0), ["x"])]), "'a': images have shape"),
        (lambda: image_sheet([ImageRow("a", images(2)[0], ["x"])]), r"\(N, C, H, W\)"),
        (lambda: image_sheet([ImageRow("a", images(2, 2), ["x"])]), "1 names for 2 channels"),
        (lambda: image_sheet([ImageRow("a", images(2), ["x"])], columns=0), "columns is 0"),
        (lambda: pair_sheet([]), "no pairs"),
        (lambda: pair_sheet([make_pair(1, training=images(1, 1, 9)[0])]), "one shape"),
        (lambda: pair_sheet([make_pair(1, others=(images(1, 2)[0], None))]), "one shape"),
        (lambda: pair_sheet([make_pair(2, compared=())]), "compared is"),
        (lambda: pair_sheet([make_pair(2, compared=(2,))]), "of 2 channels"),
        (lambda: pair_sheet([make_pair(2)], shown=["seg"]), "no channel"),
        (lambda: pair_row("a", images(1)[0], volume_set(), [], 0.5), "no training image"),
        (lambda: distribution_sheet([]), "no panels"),
        (lambda: distribution_sheet([Panel("p", [])]), "no distributions in 'p'"),
        (lambda: distribution_sheet([Panel("p", [Distribution("d", np.empty(0))])]), "'d'"),
        (
            lambda: distribution_sheet([Panel("p", [Distribution("d", np.array([np.nan]))])]),
            "no numbers",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, match):
    with pytest.raises(InputError, match=match):
        draw()


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"likeness\[metrics\]"):
        image_sheet([ImageRow("a", images(2), ["x"])])
