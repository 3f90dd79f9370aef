"""The FID network: its shape, its blocks against plain formulas, and files that are not it.

The public weights are not here; random ones have the same names and shapes.
"""

import hashlib
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.metrics.features import Classifier, is_classifier
from likeness.metrics.inception import KNOWN_SHA256, InceptionFeatures, prepared
from likeness.metrics.inception_network import (
    ConvolutionBlock,
    ForkedBlock,
    GridBlock,
    InceptionNetwork,
    LineBlock,
)


def randomise(module, seed=0):
    """Give every tensor of a network values that matter: also means and variances."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = value
            continue
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            state[name] = 1 + noise.abs()
        elif name.endswith("bn.weight"):
            state[name] = 1 + 0.1 * noise
        elif value.dim() > 1:
            state[name] = noise * math.sqrt(2 / value[0].numel())
        else:
            state[name] = 0.1 * noise
    module.load_state_dict(state)
    return module.eval()


@pytest.fixture(scope="module")
def network():
    return randomise(InceptionNetwork())


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(network.state_dict(), path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def features(weights):
    return InceptionFeatures(weights, sha256=None)


def test_it_has_the_size_of_the_public_network(network):
    """torchvision's 27,161,264 parameters, less its auxiliary classifier, plus eight classes."""
    auxiliary = (768 * 128 + 2 * 128) + (128 * 768 * 25 + 2 * 768) + (768 * 1000 + 1000)
    expected = 27_161_264 - auxiliary + 8 * 2049
    assert sum(value.numel() for value in network.parameters()) == expected == 23_850_960
    assert len(network.state_dict()) == 94 * 6 + 2


def test_the_names_are_those_of_the_public_file(network):
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Conv2d_4a_3x3.bn.running_mean"] == (192,)
    assert shapes["Mixed_5b.branch1x1.conv.weight"] == (64, 192, 1, 1)
    assert shapes["Mixed_5d.branch_pool.conv.weight"] == (64, 288, 1, 1)
    assert shapes["Mixed_6a.branch3x3.conv.weight"] == (384, 288, 3, 3)
    assert shapes["Mixed_6e.branch7x7dbl_5.conv.weight"] == (192, 192, 1, 7)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert shapes["fc.weight"] == (1008, 2048)


def layer(state, name, images, stride=1, padding=(0, 0)):
    """Convolve, normalise and cut at zero, by their formulas."""
    values = functional.conv2d(images, state[f"{name}.conv.weight"], None, stride, padding)
    column = {key: state[f"{name}.bn.{key}"].reshape(1, -1, 1, 1)
              for key in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
    scaled = (values - column["running_mean"]) / torch.sqrt(column["running_var"] + 0.001)
    return (scaled * column["weight"] + column["bias"]).clamp(min=0)


def mean_of_present(images):
    """Average 3 x 3 neighbours pixel by pixel, only those that are there."""
    rows, columns = images.shape[2:]
    result = torch.empty_like(images)
    for y in range(rows):
        for x in range(columns):
            window = images[:, :, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            result[:, :, y, x] = window.mean(dim=(2, 3))
    return result


def largest(images):
    rows, columns = images.shape[2:]
    result = torch.empty_like(images)
    for y in range(rows):
        for x in range(columns):
            window = images[:, :, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            result[:, :, y, x] = window.amax(dim=(2, 3))
    return result


def grid(state, x):
    five = layer(state, "branch5x5_2", layer(state, "branch5x5_1", x), padding=(2, 2))
    double = layer(state, "branch3x3dbl_2", layer(state, "branch3x3dbl_1", x), padding=(1, 1))
    double = layer(state, "branch3x3dbl_3", double, padding=(1, 1))
    pooled = layer(state, "branch_pool", mean_of_present(x))
    return torch.cat([layer(state, "branch1x1", x), five, double, pooled], 1)


def lines(state, x):
    row, column = (0, 3), (3, 0)
    single = layer(state, "branch7x7_1", x)
    single = layer(state, "branch7x7_2", single, padding=row)
    single = layer(state, "branch7x7_3", single, padding=column)
    double = layer(state, "branch7x7dbl_1", x)
    for number, padding in ((2, column), (3, row), (4, column), (5, row)):
        double = layer(state, f"branch7x7dbl_{number}", double, padding=padding)
    pooled = layer(state, "branch_pool", mean_of_present(x))
    return torch.cat([layer(state, "branch1x1", x), single, double, pooled], 1)


def forked(state, x, pool):
    row, column = (0, 1), (1, 0)
    single = layer(state, "branch3x3_1", x)
    double = layer(state, "branch3x3dbl_2", layer(state, "branch3x3dbl_1", x), padding=(1, 1))
    parts = [
        layer(state, "branch1x1", x),
        layer(state, "branch3x3_2a", single, padding=row),
        layer(state, "branch3x3_2b", single, padding=column),
        layer(state, "branch3x3dbl_3a", double, padding=row),
        layer(state, "branch3x3dbl_3b", double, padding=column),
        layer(state, "branch_pool", pool(x)),
    ]
    return torch.cat(parts, 1)


@pytest.mark.parametrize(
    ("block", "channels", "reference"),
    [
        (GridBlock(192, 32), 192, grid),
        (LineBlock(128), 768, lines),
        (ForkedBlock(1280, maxima=False), 1280, lambda s, x: forked(s, x, mean_of_present)),
        (ForkedBlock(2048, maxima=True), 2048, lambda s, x: forked(s, x, largest)),
    ],
    ids=["5b", "6b", "7b", "7c"],
)
def test_blocks_agree_with_plain_formulas(block, channels, reference):
    block = randomise(block).double()
    images = torch.randn(2, channels, 6, 5, generator=torch.Generator().manual_seed(1)).double()
    with torch.inference_mode():
        assert torch.allclose(block(images), reference(block.state_dict(), images), atol=1e-9)


def test_the_stages_have_their_sizes(network):
    """Table 1 of Szegedy et al. 2016, and figure 10: 35, 17 and 8 pixels a side."""
    seen = {}

    def remember(name):
        return lambda module, given, result: seen.__setitem__(name, tuple(result.shape[1:]))

    hooks = [
        part.register_forward_hook(remember(name))
        for name, part in network.named_children()
        if not isinstance(part, torch.nn.Linear)
    ]
    with torch.inference_mode():
        found = network(torch.zeros(1, 3, 299, 299))
    for hook in hooks:
        hook.remove()
    assert found.shape == (1, 2048)
    assert seen["Conv2d_1a_3x3"] == (32, 149, 149)
    assert seen["Conv2d_2b_3x3"] == (64, 147, 147)
    assert seen["Conv2d_4a_3x3"] == (192, 71, 71)
    assert [seen[f"Mixed_5{x}"] for x in "bcd"] == [(256, 35, 35), (288, 35, 35), (288, 35, 35)]
    assert [seen[f"Mixed_6{x}"] for x in "abcde"] == [(768, 17, 17)] * 5
    assert [seen[f"Mixed_7{x}"] for x in "abc"] == [(1280, 8, 8), (2048, 8, 8), (2048, 8, 8)]


def test_images_are_resized_as_tensorflow_1_did():
    """Each output pixel written out: place = index times scale, no shift of half a pixel."""
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 20), dtype=np.uint8)
    found = prepared(images)
    assert found.shape == (1, 3, 299, 299)
    for y, x in [(0, 0), (7, 298), (150, 33), (298, 298), (290, 1)]:
        above, left = int(y * 32 / 299), int(x * 20 / 299)
        down, right = y * 32 / 299 - above, x * 20 / 299 - left
        corners = images[0, 1][
            np.ix_([above, min(above + 1, 31)], [left, min(left + 1, 19)])
        ].astype(float)
        upper, lower = corners @ [1 - right, right]
        expected = ((1 - down) * upper + down * lower - 128) / 128
        assert float(found[0, 1, y, x]) == pytest.approx(expected, abs=1e-5)


def test_images_of_its_own_size_are_only_scaled():
    images = np.random.default_rng(1).integers(0, 256, (1, 3, 299, 299), dtype=np.uint8)
    assert np.allclose(prepared(images).numpy(), (images / 128.0) - 1, atol=1e-6)


def test_features_and_logits(features, network, weights):
    images = np.random.default_rng(2).integers(0, 256, (2, 3, 40, 40), dtype=np.uint8)
    found, logits = features.features_and_logits(images)
    with torch.inference_mode():
        expected = network(prepared(images))
        biased = network.fc(expected)
    assert np.allclose(found, expected.numpy(), atol=1e-5)
    assert np.allclose(logits + network.fc.bias.detach().numpy(), biased.numpy(), atol=1e-4)
    assert found.dtype == np.float64
    assert np.array_equal(features.features(images), found)
    assert isinstance(features, Classifier)
    assert is_classifier(features)
    assert features.record["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert features.record["public_weights"] is False
    with pytest.raises(
        ImageMismatchError, match=r"8-bit images \(n, 3, H, W\), not \(2, 1, 8, 8\)"
    ):
        features.features(np.zeros((2, 1, 8, 8), np.uint8))


def test_a_device_that_is_not_there_is_named(weights, features):
    with pytest.raises(OptionError, match="no device 'cuda:77' here"):
        InceptionFeatures(weights, sha256=None, device="cuda:77")
    assert features.record["device"] == "cpu"


def test_another_file_than_was_expected(weights):
    with pytest.raises(InputError, match=f"SHA-256 is [0-9a-f]{{64}}, not {KNOWN_SHA256}"):
        InceptionFeatures(weights)
    own = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert InceptionFeatures(weights, sha256=own.upper()).record["weights_sha256"] == own
    with pytest.raises(InputError, match="There is no file"):
        InceptionFeatures(weights.with_name("absent.pth"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("fc.weight"), "lacks fc.weight: it is no FID Inception"),
        (lambda s: s.update(extra=torch.zeros(1)), "has the unknown extra"),
        (
            lambda s: s.update({"fc.weight": torch.zeros(1000, 2048)}),
            r"misshapen fc.weight \(1000, 2048\), not \(1008, 2048\)",
        ),
        (lambda s: s["fc.bias"].fill_(float("nan")), "not finite"),
    ],
    ids=["missing", "unknown", "misshapen", "nan"],
)
def test_state_dicts_that_do_not_fit(network, tmp_path, change, said):
    state = {name: value.clone() for name, value in network.state_dict().items()}
    change(state)
    path = tmp_path / "changed.pth"
    torch.save(state, path)
    with pytest.raises(InputError, match=said):
        InceptionFeatures(path, sha256=None)
    path.unlink()


def test_counters_of_batches_may_be_absent(network, tmp_path, features):
    state = {n: v for n, v in network.state_dict().items() if not n.endswith("tracked")}
    path = tmp_path / "no-counters.pth"
    torch.save(state, path)
    images = np.full((1, 3, 16, 16), 77, np.uint8)
    found = InceptionFeatures(path, sha256=None).features(images)
    assert np.array_equal(found, features.features(images))
    path.unlink()


class Harmful:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("kind", ["text", "objects", "list"])
def test_files_that_hold_no_weights_are_refused_and_run_nothing(tmp_path, kind, capsys):
    path = tmp_path / "other.pth"
    if kind == "text":
        path.write_bytes(b"not a file of torch\n" * 100)
    else:
        torch.save(Harmful() if kind == "objects" else [torch.zeros(1)], path)
    with pytest.raises(InputError, match=r"cannot be loaded as weights|holds no state dict"):
        InceptionFeatures(path, sha256=None)
    assert capsys.readouterr().out == ""


def test_a_block_normalises_with_the_constant_of_the_original():
    assert ConvolutionBlock(1, 1, 1).bn.eps == 0.001
