# SPDX-License-Identifier: MIT
"""Lazy windows of integer images, which convolution and pooling use without copying them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numbers import sliding_windows
from fixedpoint_nn.numbers.fixed.operands import wider
from fixedpoint_nn.numbers.image_windows import Geometry, WindowBlocks, padded, pool
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, BoundedInts
from fixedpoint_nn.numerics.native.library import Source


class WindowedInts(BoundedInts):
    """Windows (batch, y, x, taps, channels) of NHWC images; `flat`: (batch, y, x, taps * channels)."""

    __slots__ = ("_copied", "fill", "flat", "geometry", "images")

    def __init__(self, images: BoundedInts, geometry: Geometry, fill: int = 0, flat: bool = False) -> None:
        geometry.positions(images.shape)  # raises if a window does not fit
        self.images, self.geometry, self.fill, self.flat = images, geometry, fill, flat
        self.bound, self.signed = max(images.bound, abs(fill)), images.signed or fill < 0
        self._copied: Array | None = None
        self._columns = None
        self._others = None
        self._read_only = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(batch, rows, columns, taps, channels), or if `flat` (batch, rows, columns, taps * channels)."""
        batch, _, _, channels = self.images.shape
        taps = self.geometry.taps
        last = (taps * channels,) if self.flat else (taps, channels)
        return (batch, *self.geometry.positions(self.images.shape), *last)

    @property
    def array(self) -> Array:  # type: ignore[override]
        """The windows, copied on first use."""
        if self._copied is None:
            at = self.geometry
            container = wider(self.images, self.bound)
            copied = sliding_windows.windows(container, at.kernel, at.stride, at.padding, 1, self.fill)
            self._copied = copied.reshape(self.shape)
        return self._copied

    def within(self, low: int, high: int) -> bool:
        """Whether every integer, padding included, is in low..high."""
        return low <= self.fill <= high and self.images.within(low, high)

    def reshaped(self, shape: tuple[int, ...]) -> WindowedInts | None:
        """The flat windows, if `shape` is theirs; else None."""
        flat = (*self.shape[:3], self.geometry.taps * self.images.shape[-1])
        return WindowedInts(self.images, self.geometry, self.fill, True) if shape == flat else None

    def rows(self) -> ConvolutionRows | None:
        """The left operand of a convolution; None if the padding is not zero."""
        if not self.flat or self.fill != 0:
            return None
        return ConvolutionRows(self.images.to(FLOAT32), self.geometry)

    def pools(self, axis: object, keepdims: bool) -> bool:
        """Whether a reduction along `axis` is over the taps of each window."""
        return not self.flat and axis == 3 and not keepdims

    def pooled(self, combine: np.ufunc, bound: int) -> BoundedInts:
        """`combine` (np.maximum or np.add) over the taps of every window; no result exceeds `bound`."""
        images = wider(self.images, max(bound, self.bound))
        return BoundedInts(pool(images, self.geometry, combine, self.fill), bound, self.signed)


@dataclass(frozen=True)
class ConvolutionRows:
    """The windows as rows of a matrix, in blocks of images."""

    images: Array
    geometry: Geometry

    @property
    def count(self) -> int:
        """The number of windows."""
        rows, columns = self.geometry.positions(self.images.shape)
        return len(self.images) * rows * columns

    def blocks(self, outputs: int) -> Iterator[tuple[int, Array]]:
        """(first row, rows) of each block of windows."""
        blocks = WindowBlocks(self.images, self.geometry)
        for start in blocks.starts():
            yield start * blocks.length, blocks.rows(start)

    def source(self) -> Source:
        """The padded images, as an operand of the compiled kernels."""
        at = self.geometry
        images = np.ascontiguousarray(padded(self.images, at, 0))
        taps = at.taps * images.shape[-1]
        return Source(images, self.count, taps, at.kernel[0], at.stride, at.positions(self.images.shape))
