# SPDX-License-Identifier: MIT
"""Cross-layer equalisation: channels between two layers are scaled to similar ranges.

relu(2**k x) = 2**k relu(x), so a channel's weights and bias can be doubled if the next layer's rows that read it are
halved (Nagel et al., Data-Free Quantization, 2019). Scales are powers of two, so the float network computes exactly the
same outputs, and a layer with per-channel binary points loses nothing.
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
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.network.tree import layers_by_path, parameters, rebuild
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array

CHANNEL_BY_CHANNEL = (ReLU, MaxPool2D, AvgPool2D, GlobalAvgPool, Flatten, Dropout)
MOST = 2  # a channel is scaled by at most 2**2


class _Peaks:
    """A stand-in for a cast point's quantizer that records each channel's largest magnitude."""

    def __init__(self) -> None:
        self.high: Any = 0.0

    def round_tensor(self, x: Tensor) -> Tensor:
        """Record the values; returns x unchanged."""
        self.high = np.maximum(self.high, x.data.reshape(-1, x.shape[-1]).max(0))
        return x


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


def equalised(net: Any, x: Array) -> dict[str, Array]:
    """The scaled weights and biases of a folded network, by path, for samples x; unchanged ones are omitted."""
    found: dict[str, Array] = {}
    values: Mapping[str, Any] = parameters(net, trained_only=False)
    linked = list(pairs(net))
    peaks = {first: _Peaks() for first, _ in linked}
    with no_gradient():
        rebuild(net, {f"{first}.out": peak for first, peak in peaks.items()})(as_input(x))
    for first, second in linked:
        high = peaks[first].high
        powers = np.zeros(len(high), int)
        alive = high > 0
        powers[alive] = np.rint(np.log2(high.max() / high[alive]) / 2).astype(int)
        scale = np.exp2(np.minimum(powers, MOST))
        for path, by in ((f"{first}.weight", scale), (f"{first}.bias", scale)):
            found[path] = found.get(path, values[path].data) * by.astype(values[path].data.dtype)
        path = f"{second}.weight"
        rows = found.get(path, values[path].data)
        back = np.tile(1 / scale, len(rows) // len(scale)).astype(rows.dtype)
        found[path] = rows * back[:, None]
    return found
