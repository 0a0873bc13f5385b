# SPDX-License-Identifier: MIT
"""Conv2D: one small dense layer at every position of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import accumulator_point, cast_point, parameter
from fixedpoint_nn.layers.padding import PaddingRule, resolve
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Pair
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Conv2D:
    """y[n, y, x] = window(x)[n, y, x] @ weight + bias, on images (batch, height, width, channels).

    weight is (taps * channels, outputs) with taps in the order (ky, kx), or per group
    (groups, taps * channels / groups, outputs / groups); as many groups as channels make it depthwise.
    """

    weight: Number = parameter()
    bias: Number | None = parameter(default=None)
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: PaddingRule = "same"
    groups: int = 1
    out: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()

    def __call__(self, x: Number) -> Any:
        padding = resolve(self.padding, x.shape, self.kernel, self.stride)
        windows = x.windows(self.kernel, self.stride, padding, self.groups)
        *positions, taps, channels = windows.shape
        y = windows.reshape(*positions, taps * channels).dot(self.weight, self.accumulator)
        return (y if self.bias is None else y + self.bias).cast(self.out)
