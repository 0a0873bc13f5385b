# SPDX-License-Identifier: MIT
"""Two-dimensional convolution and transposed convolution of channels-last images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import accumulator_point, cast_point, demand_numbers, parameter
from fixedpoint_nn.layers.movement import spread
from fixedpoint_nn.layers.padding import PaddingRule, padding_pairs
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair, reach
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Conv2D:
    """Convolution of images, (batch, height, width, channels) -> (batch, rows, columns, outputs).

    y[n, r, c] = window(x)[n, r, c] @ weight + bias, then a cast to `out`. weight is (ky * kx * channels, outputs),
    in the order (ky, kx, channel), or with groups (groups, ky * kx * channels / groups, outputs / groups); groups =
    channels is a depthwise convolution. kernel, stride and dilation are (rows, columns); padding is "same",
    "valid", a size, (y, x) or ((top, bottom), (left, right)).

    >>> import numpy as np
    >>> from fixedpoint_nn import Tensor, layers
    >>> conv = layers.Conv2D(Tensor(np.ones((3 * 3 * 2, 4))), stride=(2, 2))
    >>> conv(Tensor(np.ones((1, 8, 8, 2)))).shape
    (1, 4, 4, 4)
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
        """The number of input channels."""
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
        padding = padding_pairs(self.padding, x.shape, reach(self.kernel, self.dilation), self.stride)
        windows = x.windows(self.kernel, self.stride, padding, self.groups, dilation=self.dilation)
        *positions, taps, channels = windows.shape
        y = windows.reshape(*positions, taps * channels).dot(self.weight, self.accumulator)
        return (y if self.bias is None else y + self.bias).cast(self.out)


@dataclass(frozen=True)
class ConvTranspose2D:
    """Transposed convolution: (batch, height, width, channels) -> (batch, rows, columns, outputs).

    Computed as a convolution of stride 1 over the image with stride - 1 zeros between its pixels. `weight` has the
    layout of `Conv2D`'s, with the taps in reverse order; `padding` is around the image with the zeros, and a
    negative one crops.
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
