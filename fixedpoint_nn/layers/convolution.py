# SPDX-License-Identifier: MIT
"""Convolutions: one small dense layer at every position of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import accumulator_point, cast_point, demand_numbers, parameter
from fixedpoint_nn.layers.movement import spread
from fixedpoint_nn.layers.padding import PaddingRule, resolve
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair, reach
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Conv2D:
    """y[n, y, x] = window(x)[n, y, x] @ weight + bias, on images (batch, height, width, channels).

    weight is (taps * channels, outputs) with taps in the order (ky, kx), or per group
    (groups, taps * channels / groups, outputs / groups); as many groups as channels make it depthwise.
    With a dilation, neighbouring taps are so many rows and columns apart.
    """

    weight: Number = parameter()
    bias: Number | None = parameter(default=None)
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: PaddingRule = "same"
    groups: int = 1
    out: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        demand_numbers(self)

    @property
    def channels(self) -> int:
        """How many channels an image has."""
        taps = self.kernel[0] * self.kernel[1]
        return self.weight.shape[-2] * self.groups // taps

    def __call__(self, x: Number) -> Any:
        if len(x.shape) == 4 and x.shape[-1] != self.channels:
            hint = (
                "; of channels that come first: x.transpose(0, 2, 3, 1)"
                if x.shape[1] == self.channels
                else ""
            )
            raise ValueError(
                f"this convolution takes images (batch, height, width, {self.channels}), and this has shape "
                f"{x.shape}{hint}"
            )
        padding = resolve(self.padding, x.shape, reach(self.kernel, self.dilation), self.stride)
        windows = x.windows(self.kernel, self.stride, padding, self.groups, dilation=self.dilation)
        *positions, taps, channels = windows.shape
        y = windows.reshape(*positions, taps * channels).dot(self.weight, self.accumulator)
        return (y if self.bias is None else y + self.bias).cast(self.out)


@dataclass(frozen=True)
class ConvTranspose2D:
    """The transpose of a convolution with this stride: pixels move apart, and their windows are added up.

    That is a convolution of stride 1 over the image with stride - 1 zeros between its pixels. `weight` is laid out
    as `Conv2D`'s, its taps in reverse order; `padding` counts around the spread image and may be negative.
    """

    weight: Number = parameter()
    bias: Number | None = parameter(default=None)
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: Padding = ((2, 2), (2, 2))
    groups: int = 1
    out: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()
    dilation: Pair = (1, 1)

    def __call__(self, x: Number) -> Any:
        x = spread(x, self.stride)
        (top, bottom), (left, right) = self.padding
        bottom, right = bottom - self.stride[0] + 1, right - self.stride[1] + 1  # zeros after the last pixel
        _, height, width, _ = x.shape
        if min(top, bottom, left, right) < 0:
            x = x[:, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
        edges = ((max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)))
        over = Conv2D(
            self.weight,
            self.bias,
            self.kernel,
            (1, 1),
            edges,
            self.groups,
            self.out,
            self.accumulator,
            self.dilation,
        )
        return over(x)
