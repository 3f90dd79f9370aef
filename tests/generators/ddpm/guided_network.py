"""The network of guided-diffusion, written from a description of it; slow and plain.

One function runs the whole network on a dictionary of tensors under guided-diffusion's names. Where
a tensor is not there it is made, at random, so that a first run also makes a state dictionary. It
shares nothing with the product: not diffusers, and not the rule that renames tensors.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import conv2d, interpolate


class Weights(dict):
    """Tensors by name; unknown ones are drawn."""

    def __init__(self, seed=0, dtype=torch.float32):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype

    def get_or_make(self, name, *shape):
        if name not in self:
            size = 1 / math.sqrt(max(1, math.prod(shape[1:])))
            value = torch.randn(shape, generator=self.generator, dtype=torch.float64) * size
            if len(shape) == 1:
                value = value * 0.3 + (1.0 if name.endswith("weight") else 0.0)
            self[name] = value.to(torch.float32).to(self.dtype)  # exact in either type
        found = self[name]
        assert found.shape == shape, name
        return found


def silu(x):
    return x / (1 + torch.exp(-x))


def group_norm(w, name, x, groups):
    count, channels = x.shape[:2]
    parts = x.reshape(count, groups, -1)
    mean = parts.mean(2, keepdim=True)
    variance = ((parts - mean) ** 2).mean(2, keepdim=True)
    parts = (parts - mean) / torch.sqrt(variance + 1e-5)
    shape = (1, channels, *[1] * (x.ndim - 2))
    weight = w.get_or_make(f"{name}.weight", channels).reshape(shape)
    bias = w.get_or_make(f"{name}.bias", channels).reshape(shape)
    return parts.reshape(x.shape) * weight + bias


def convolution(w, name, x, out, size=3, stride=1):
    weight = w.get_or_make(f"{name}.weight", out, x.shape[1], size, size)
    bias = w.get_or_make(f"{name}.bias", out)
    return conv2d(x, weight, bias, stride=stride, padding=size // 2)


def linear(w, name, x, out):
    weight = w.get_or_make(f"{name}.weight", out, x.shape[1])
    return x @ weight.T + w.get_or_make(f"{name}.bias", out)


def residual_block(w, name, x, embedding, out, groups):
    h = silu(group_norm(w, f"{name}.in_layers.0", x, groups))
    h = convolution(w, f"{name}.in_layers.2", h, out)
    both = linear(w, f"{name}.emb_layers.1", silu(embedding), 2 * out)[:, :, None, None]
    scale, shift = both[:, :out], both[:, out:]
    h = group_norm(w, f"{name}.out_layers.0", h, groups) * (1 + scale) + shift
    h = convolution(w, f"{name}.out_layers.3", silu(h), out)
    if x.shape[1] != out:
        x = convolution(w, f"{name}.skip_connection", x, out, size=1)
    return x + h


def attention(w, name, x, heads, groups, new_order):
    count, channels, height, width = x.shape
    flat = x.reshape(count, channels, height * width)
    normal = group_norm(w, f"{name}.norm", flat, groups)
    weight = w.get_or_make(f"{name}.qkv.weight", 3 * channels, channels, 1)[:, :, 0]
    bias = w.get_or_make(f"{name}.qkv.bias", 3 * channels)
    mixed = torch.einsum("oc,ncp->nop", weight, normal) + bias[None, :, None]
    each = channels // heads
    found = []
    for head in range(heads):
        if new_order:  # queries of all heads, keys of all heads, values of all heads
            places = [part * channels + head * each for part in range(3)]
        else:  # head by head, each with its queries, keys and values
            places = [(head * 3 + part) * each for part in range(3)]
        q, k, v = (mixed[:, place : place + each] for place in places)
        scores = torch.einsum("ncp,ncs->nps", q, k) / math.sqrt(each)
        found.append(torch.einsum("nps,ncs->ncp", torch.softmax(scores, dim=2), v))
    joined = torch.cat(found, dim=1)
    weight = w.get_or_make(f"{name}.proj_out.weight", channels, channels, 1)[:, :, 0]
    bias = w.get_or_make(f"{name}.proj_out.bias", channels)
    out = torch.einsum("oc,ncp->nop", weight, joined) + bias[None, :, None]
    return x + out.reshape(x.shape)


def time_embedding(times, width, dtype):
    half = width // 2
    rates = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float64) / half)
    angles = times.to(torch.float64)[:, None] * rates[None]
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=1).to(dtype)


def guided_network(
    w,
    x,
    times,
    *,
    width,
    blocks,
    multipliers,
    attention_levels,
    heads=4,
    groups=32,
    classes=None,
    labels=None,
    out_channels=None,
    new_order=False,
):
    """Return the prediction (n, C, H, W) of images x at times (n,)."""
    channels, levels = x.shape[1], len(multipliers)
    emb = linear(w, "time_embed.0", time_embedding(times, width, x.dtype), 4 * width)
    emb = linear(w, "time_embed.2", silu(emb), 4 * width)
    if classes is not None:
        emb = emb + w.get_or_make("label_emb.weight", classes, 4 * width)[labels]
    h = convolution(w, "input_blocks.0.0", x, width)
    stack, number = [h], 1
    for level, multiplier in enumerate(multipliers):
        for _ in range(blocks):
            name = f"input_blocks.{number}"
            h = residual_block(w, f"{name}.0", h, emb, multiplier * width, groups)
            if level in attention_levels:
                h = attention(w, f"{name}.1", h, heads, groups, new_order)
            stack.append(h)
            number += 1
        if level != levels - 1:
            h = convolution(w, f"input_blocks.{number}.0.op", h, h.shape[1], stride=2)
            stack.append(h)
            number += 1
    h = residual_block(w, "middle_block.0", h, emb, h.shape[1], groups)
    h = attention(w, "middle_block.1", h, heads, groups, new_order)
    h = residual_block(w, "middle_block.2", h, emb, h.shape[1], groups)
    number = 0
    for level in reversed(range(levels)):
        for block in range(blocks + 1):
            name, part = f"output_blocks.{number}", 1
            joined = torch.cat([h, stack.pop()], dim=1)
            h = residual_block(w, f"{name}.0", joined, emb, multipliers[level] * width, groups)
            if level in attention_levels:
                h = attention(w, f"{name}.1", h, heads, groups, new_order)
                part = 2
            if level and block == blocks:
                h = interpolate(h, scale_factor=2, mode="nearest")
                h = convolution(w, f"{name}.{part}.conv", h, h.shape[1])
            number += 1
    assert not stack
    h = silu(group_norm(w, "out.0", h, groups))
    return convolution(w, "out.2", h, out_channels or channels)
