# SPDX-License-Identifier: MIT
"""Pooling of channels-last images, (batch, height, width, channels), per channel."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, constant, demand_numbers
from fixedpoint_nn.layers.padding import PaddingRule, padding_pairs
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Pair, reach
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class MaxPool2D:
    """The maximum of each window -> (batch, rows, columns, channels); padding is never the maximum."""

    kernel: Pair = (2, 2)
    stride: Pair = (2, 2)
    padding: PaddingRule = "valid"
    dilation: Pair = (1, 1)

    def __call__(self, x: Number) -> Any:
        padding = padding_pairs(self.padding, x.shape, reach(self.kernel, self.dilation), self.stride)
        windows = x.windows(self.kernel, self.stride, padding, lowest=True, dilation=self.dilation)
        return windows.max(axis=3)


@dataclass(frozen=True)
class AvgPool2D:
    """The exact sum of each window, times `reciprocal` = 1 / (ky * kx), rounded once.

    Padding counts as zeros. To leave it out of the mean, give one reciprocal for each window: (rows, columns, 1).
    """

    reciprocal: Number = constant()
    kernel: Pair = (2, 2)
    stride: Pair = (2, 2)
    padding: PaddingRule = "valid"
    out: Quantizer | None = cast_point()
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: Number) -> Any:
        padding = padding_pairs(self.padding, x.shape, reach(self.kernel, self.dilation), self.stride)
        total = x.windows(self.kernel, self.stride, padding, dilation=self.dilation).sum(axis=3)
        return (total * self.reciprocal).cast(self.out)


@dataclass(frozen=True)
class GlobalAvgPool:
    """The exact sum over the image, times `reciprocal` = 1 / (height * width), rounded once -> (batch, channels)."""

    reciprocal: Number = constant()
    out: Quantizer | None = cast_point()

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: Number) -> Any:
        _, height, width, channels = x.shape
        total = x.reshape(-1, height * width, channels).sum(axis=1)
        return (total * self.reciprocal).cast(self.out)


@dataclass(frozen=True)
class GlobalMaxPool:
    """The maximum over all axes between batch and channels, such as height and width -> (batch, channels)."""

    def __call__(self, x: Number) -> Any:
        return x.reshape(-1, prod(x.shape[1:-1]), x.shape[-1]).max(axis=1)


@dataclass(frozen=True)
class Mean:
    """The exact sum over `axes`, which keep length 1, times `reciprocal` = 1 / terms, rounded once."""

    reciprocal: Number = constant()
    axes: tuple[int, ...] = (1,)
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        for axis in self.axes:
            x = x.sum(axis=axis, keepdims=True)
        return (x * self.reciprocal).cast(self.out)


@dataclass(frozen=True)
class Largest:
    """The maximum over `axes`, which keep length 1."""

    axes: tuple[int, ...] = (1,)

    def __call__(self, x: Number) -> Any:
        for axis in self.axes:
            x = x.max(axis=axis, keepdims=True)
        return x
