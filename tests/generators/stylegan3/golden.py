"""Networks filled with the golden values' parameters."""

from __future__ import annotations

import math

import pytest
from tests.generators.stylegan3.facts import golden

torch = pytest.importorskip("torch")

from likeness.generators.stylegan3.discriminator import Discriminator  # noqa: E402
from likeness.generators.stylegan3.filters import layer_filters  # noqa: E402
from likeness.generators.stylegan3.generator import Generator  # noqa: E402
from likeness.generators.stylegan3.plan import NetworkSettings  # noqa: E402

PARTS = {
    "map": "mapping.layers",
    "layer": "layers",
    "mix_W": "mix",
    "transform_A": "movement.weight",
    "transform_a": "movement.bias",
    "style_A": "style.weight",
    "style_a": "style.bias",
    "conv_W": "weight",
    "conv_b": "bias",
    "W": "weight",
    "b": "bias",
}


def wave(number, shape, scale=1.0, offset=0.0):
    places = torch.arange(math.prod(shape), dtype=torch.float64)
    values = torch.sin(0.37 * number + 0.61 * places)
    return (offset + scale * math.sqrt(2) * values).reshape(shape)


def _name(name, resolution):
    parts = name.split(".")
    if parts[0] == "d":
        size, rest = int(parts[1]), parts[2:]
        if size > 4 and rest[0] != "from_image":
            rest = ["blocks", str(int(math.log2(resolution / size))), *rest]
        parts = rest
    return ".".join(PARTS.get(part, part) for part in parts)


def fill(network, parameters):
    """Write the golden parameters; every parameter of the network must be among them."""
    stored = dict(network.named_parameters()) | dict(network.named_buffers())
    filled = set()
    with torch.no_grad():
        for entry in parameters:
            values = wave(entry["j"] + 1, entry["shape"], entry["scale"], entry.get("offset", 0))
            if "note" in entry:
                values[0] += 1
            name = _name(entry["name"], network.settings.resolution)
            assert stored[name].shape == values.shape, name
            stored[name].copy_(values)
            filled.add(name)
    assert filled >= {name for name, _ in network.named_parameters()}
    return network


def golden_settings():
    config = golden()["config"]
    return NetworkSettings(
        config["resolution"],
        config["channels"],
        config["channel_base"],
        config["channel_max"],
        layers=config["num_layers"],
        critical_layers=config["num_critical"],
        mapping_depth=config["mapping_depth"],
        latent_size=config["z_dim"],
        style_size=config["w_dim"],
    )


def golden_generator(method="polyphase"):
    network = Generator(golden_settings(), method=method).double()
    for index, layer in enumerate(network.layers):
        layer.magnitude.fill_(1 + 0.05 * index)
        # Built in float32; the golden values used float64 throughout.
        layer.up_filter, layer.down_filter = map(torch.from_numpy, layer_filters(layer.plan))
    return fill(network, golden()["generator_params"])


def golden_discriminator():
    return fill(Discriminator(golden_settings()).double(), golden()["discriminator_params"])
