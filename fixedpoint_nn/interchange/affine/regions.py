# SPDX-License-Identifier: MIT
"""Means and maxima of regions, and padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.affine.rescale import Rescale
from fixedpoint_nn.layers.fields import parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair

NOWHERE: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True)
class WindowMean:
    """rescale(the sum of each window + offset): padding counts neither in the sum nor in the number of terms."""

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
    """rescale(the sum over some axes), in another shape; neighbouring axes are added in one go."""

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
class Cut:
    """Part of each axis behind the batch: (begin, end, step), None for an open end; or one place, without its axis."""

    parts: tuple[tuple[int | None, int | None, int] | int, ...]

    def __call__(self, x: Number) -> Any:
        parts = (part if isinstance(part, int) else slice(*part) for part in self.parts)
        index = (slice(None), *parts)
        return x[index]


@dataclass(frozen=True)
class ZeroPad:
    """Zeros around an image (`edges`: rows, columns) and before and after its channels."""

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
