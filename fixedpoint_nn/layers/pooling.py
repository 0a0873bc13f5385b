# SPDX-License-Identifier: MIT
"""Pooling: one value for a region of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, constant, demand_numbers
from fixedpoint_nn.layers.padding import PaddingRule, resolve
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Pair
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class MaxPool2D:
    """The largest value of each window; padding never wins."""

    kernel: Pair = (2, 2)
    stride: Pair = (2, 2)
    padding: PaddingRule = "valid"

    def __call__(self, x: Number) -> Any:
        padding = resolve(self.padding, x.shape, self.kernel, self.stride)
        return x.windows(self.kernel, self.stride, padding, lowest=True).max(axis=3)


@dataclass(frozen=True)
class AvgPool2D:
    """The exact sum of each window (padding counts as zero), times `reciprocal` = 1 / taps, one rounding."""

    reciprocal: Number = constant()
    kernel: Pair = (2, 2)
    stride: Pair = (2, 2)
    padding: PaddingRule = "valid"
    out: Quantizer | None = cast_point()

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: Number) -> Any:
        padding = resolve(self.padding, x.shape, self.kernel, self.stride)
        total = x.windows(self.kernel, self.stride, padding).sum(axis=3)
        return (total * self.reciprocal).cast(self.out)


@dataclass(frozen=True)
class GlobalAvgPool:
    """The exact sum over the whole image, times `reciprocal` = 1 / (height * width), one rounding."""

    reciprocal: Number = constant()
    out: Quantizer | None = cast_point()

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: Number) -> Any:
        _, height, width, channels = x.shape
        total = x.reshape(-1, height * width, channels).sum(axis=1)
        return (total * self.reciprocal).cast(self.out)
