# SPDX-License-Identifier: MIT
"""Layers whose accumulator starts at the bias, as in hls4ml's C++."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import accumulator_point, cast_point, parameter
from fixedpoint_nn.network.encoding import register
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class AccumulatedDense:
    """y = bias + x[0] * weight[0] + x[1] * weight[1] + ..., each product and each sum in the accumulator's type."""

    weight: Number = parameter()
    bias: Number = parameter()
    out: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()

    def __call__(self, x: Number) -> Any:
        return x.dot(self.weight, self.accumulator, self.bias).cast(self.out)


@dataclass(frozen=True)
class AccumulatedConv2D:
    """`AccumulatedDense` at every pixel of an image; weight is (ky * kx * channels, outputs)."""

    weight: Number = parameter()
    bias: Number = parameter()
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    out: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()

    def __call__(self, x: Number) -> Any:
        windows = x.windows(self.kernel, self.stride, self.padding)
        *positions, taps, channels = windows.shape
        rows = windows.reshape(*positions, taps * channels)
        return rows.dot(self.weight, self.accumulator, self.bias).cast(self.out)


@dataclass(frozen=True)
class Affine:
    """x * scale + bias, rounded once; scale and bias are (channels,)."""

    scale: Number = parameter()
    bias: Number = parameter()
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        return (x * self.scale + self.bias).cast(self.out)


@dataclass(frozen=True)
class Cast:
    """x cast to another type, after max(x, 0) if it `rectifies`."""

    out: Quantizer | None = cast_point()
    rectifies: bool = False

    def __call__(self, x: Number) -> Any:
        return (x.relu() if self.rectifies else x).cast(self.out)


register(AccumulatedDense, AccumulatedConv2D, Affine, Cast)
