# SPDX-License-Identifier: MIT
"""Correction of each channel's mean and deviation to the float network's, without labels.

Rounding shifts the mean and changes the deviation of a channel. Layers are corrected in order, each with the inputs
from the corrected ones before it: with z = x @ W + b of the rounded network, of mean m and deviation d per channel,
and M and D those of the float network,

    W <- a W,   b <- M - a (m - b),   a = D / d (or 1 where only biases are corrected).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fixedpoint_nn.layers import Conv2D, Dense
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.network.tree import layers_by_path, parameters, rebuild
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.fake import fake_quantize
from fixedpoint_nn.precision.plan import Plan

BLOCK = 128
SPREAD = 2.0  # a channel's weights are scaled by at most this factor


@dataclass
class ChannelMoments:
    """A stand-in for a quantizer that accumulates each channel's moments, then rounds by `inner`."""

    inner: Any = None
    count: int = 0
    total: Any = field(default=0.0)
    squares: Any = field(default=0.0)

    def round_tensor(self, x: Tensor) -> Tensor:
        """Accumulate the values; returns them rounded by `inner`."""
        rows = x.data.reshape(-1, x.shape[-1]).astype(np.float64)
        self.count += len(rows)
        self.total = self.total + rows.sum(0)
        self.squares = self.squares + np.einsum("nc,nc->c", rows, rows)
        return x.cast(self.inner)

    @property
    def mean(self) -> Array:
        """The mean of each channel, (channels,)."""
        return np.asarray(self.total / self.count)

    @property
    def deviation(self) -> Array:
        """The standard deviation of each channel, (channels,)."""
        return np.asarray(np.sqrt(np.maximum(self.squares / self.count - self.mean**2, 0)))


def watched(net: Any, path: str, x: Array) -> ChannelMoments:
    """The moments of the unrounded output of the layer at this path, for samples x."""
    layer = dict(layers_by_path(net))[path]
    watch = ChannelMoments(layer.out)
    net = rebuild(net, {f"{path}.out": watch})
    with no_gradient():
        for start in range(0, len(x), BLOCK):
            net(as_input(x[start : start + BLOCK]))
    return watch


def products(net: Any) -> list[str]:
    """The paths of the dense and convolutional layers with a bias, in order."""
    return [
        path
        for path, layer in layers_by_path(net)
        if isinstance(layer, Dense | Conv2D) and layer.bias is not None
    ]


def correct_moments(net: Any, reference: Any, plan: Plan, x: Array, scale: bool = True) -> None:
    """Correct, in place, the master weights `net` (folded) so that its rounded moments are those of `reference`.

    With `scale` the columns of weights are scaled, too; else only biases change.
    """
    values = parameters(net, trained_only=False)
    for path in products(net):
        wanted = watched(reference, path, x)
        weight, bias = values[f"{path}.weight"], values[f"{path}.bias"]
        if scale and weight.ndim == 2:
            found = watched(fake_quantize(net, plan), path, x)
            ratio = np.where(found.deviation > 0, wanted.deviation / np.maximum(found.deviation, 1e-12), 1.0)
            weight.data *= np.clip(ratio, 1 / SPREAD, SPREAD).astype(weight.data.dtype)
        found = watched(fake_quantize(net, plan), path, x)
        bias.data += (wanted.mean - found.mean).astype(bias.data.dtype)
