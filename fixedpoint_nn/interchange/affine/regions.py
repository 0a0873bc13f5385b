# SPDX-License-Identifier: MIT
"""Means over windows and axes, slicing, and padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.affine.rescale import Rescale
from fixedpoint_nn.layers.fields import cast_point, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics.quantizer import Quantizer

NOWHERE: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True)
class WindowMean:
    """rescale(sum of each window + offset), a mean over the window's elements without padding."""

    rescale: Rescale
    kernel: Pair
    stride: Pair
    padding: Padding = NOWHERE
    offset: Number | None = parameter(default=None)

    def __call__(self, x: Number) -> Any:
        total = x.windows(self.kernel, self.stride, self.padding).sum(axis=3)
        return self.rescale(total if self.offset is None else total + self.offset)


@dataclass(frozen=True)
class AxesMean:
    """rescale(sum over `axes`), reshaped to `shape`; adjacent axes are summed at once."""

    rescale: Rescale
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    def __call__(self, x: Number) -> Any:
        total = x
        if self.axes == (1, 2) and x.ndim == 4:
            _, height, width, channels = x.shape
            total = x.reshape(-1, height * width, channels).sum(axis=1)
        else:
            for axis in self.axes:
                total = total.sum(axis=axis, keepdims=True)
        return self.rescale(total.reshape(-1, *self.shape))


@dataclass(frozen=True)
class AxesMinimum:
    """The minimum over `axes`, which keep length 1: the largest of the negated values, negated."""

    axes: tuple[int, ...]
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        negated = -x
        for axis in self.axes:
            negated = negated.max(axis=axis, keepdims=True)
        return (-negated).cast(self.out)


@dataclass(frozen=True)
class Cut:
    """Slicing of each axis after the batch: by (begin, end, step), or by an index, which drops the axis."""

    parts: tuple[tuple[int | None, int | None, int] | int, ...]

    def __call__(self, x: Number) -> Any:
        parts = (part if isinstance(part, int) else slice(*part) for part in self.parts)
        index = (slice(None), *parts)
        return x[index]


@dataclass(frozen=True)
class ZeroPad:
    """Zero padding of an image: `edges` for rows and columns, `channels` (before, after)."""

    edges: Padding = NOWHERE
    channels: Pair = (0, 0)

    def __call__(self, x: Number) -> Any:
        if self.edges != NOWHERE:
            x = x.windows((1, 1), (1, 1), self.edges).sum(axis=3)
        before, after = (self._zeros(x, count) for count in self.channels)
        if before:
            x = before[0].concat([x], axis=-1)
        return x.concat(after, axis=-1) if after else x

    @staticmethod
    def _zeros(x: Number, count: int) -> Sequence[Any]:
        return [x.zeros(*x.shape[1:-1], count)] if count else []
