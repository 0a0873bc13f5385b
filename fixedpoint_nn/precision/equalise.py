# SPDX-License-Identifier: MIT
"""Cross-layer equalisation: channels between two layers are scaled so that one binary point suits all of them.

relu(a x) = a relu(x) for a > 0, so a channel's weights and bias can be multiplied by `a` if the next layer's rows that
read it are divided by it (Nagel et al., Data-Free Quantization, 2019): the float network keeps its outputs, but for the
last bits of its floats. Each channel has a range that rounds its values with the least squared error; the scale brings
that range to a power of two, the same one for all channels of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fixedpoint_nn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool2D,
    ReLU,
    Sequential,
)
from fixedpoint_nn.network.tree import layers_by_path, parameters
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.layer_inputs import read_by

CHANNEL_BY_CHANNEL = (ReLU, MaxPool2D, AvgPool2D, GlobalAvgPool, Flatten, Dropout)
MOST = 2  # a channel is scaled by at most 2**2
SHARES = np.exp2(np.arange(0, -4.25, -0.25))  # ranges to try, as shares of a channel's largest value
ROWS = 8192  # rows of values from which a channel's range is chosen


def pairs(net: Any) -> Iterator[tuple[str, str]]:
    """The paths of pairs of consecutive weight layers with only ReLU and channel-wise layers in between."""
    for path, layer in layers_by_path(net):
        if not isinstance(layer, Sequential):
            continue
        first, rectified = "", False
        for name, part in layer.parts.items():
            here = f"{path}.{name}" if path else name
            if _is_product(part):
                if first and rectified:
                    yield first, here
                first, rectified = here, False
            elif isinstance(part, CHANNEL_BY_CHANNEL):
                rectified = rectified or isinstance(part, ReLU)
            else:
                first = ""


def _is_product(layer: Any) -> bool:
    return isinstance(layer, Dense | Conv2D) and layer.weight.ndim == 2 and layer.bias is not None


def best_ranges(values: Array, levels: int) -> Array:
    """The range of each channel, (channels,), in which `levels` steps round values (rows, channels) >= 0 best."""
    ranges = SHARES[:, None] * values.max(0)
    errors = []
    for most in ranges:
        step = np.maximum(most, np.finfo(values.dtype).tiny) / levels
        rounded = np.clip(np.rint(values / step), 0, levels - 1) * step
        errors.append(np.square(rounded - values).mean(0))
    return np.asarray(ranges[np.argmin(errors, 0), np.arange(values.shape[-1])])


def scales(values: Array, levels: int) -> Array:
    """The factor of each channel, (channels,), that brings its best range to the power of two nearest to most."""
    ranges = best_ranges(values, levels)
    alive = ranges > 0
    logarithms = np.zeros(len(ranges))
    logarithms[alive] = np.log2(ranges[alive])
    common = np.rint(logarithms[alive].mean()) if alive.any() else 0
    logarithms[~alive] = common
    return np.exp2(np.clip(common - logarithms, -MOST, MOST))


def equalised(net: Any, x: Array, bits: int) -> dict[str, Array]:
    """The scaled weights and biases of a folded network whose values between layers have `bits` bits, by path.

    Ranges are those of the samples x; parameters that stay are omitted.
    """
    found: dict[str, Array] = {}
    values: Mapping[str, Any] = parameters(net, trained_only=False)
    for first, second in pairs(net):
        bias = values[f"{first}.bias"].data
        read = read_by(net, f"{second}.weight", x).reshape(-1, len(bias))
        scale = scales(read[:: max(len(read) // ROWS, 1)], 2**bits)
        for path in (f"{first}.weight", f"{first}.bias"):
            found[path] = found.get(path, values[path].data) * scale.astype(bias.dtype)
        path = f"{second}.weight"
        rows = found.get(path, values[path].data)
        found[path] = rows / np.tile(scale, len(rows) // len(scale)).astype(rows.dtype)[:, None]
    return found
