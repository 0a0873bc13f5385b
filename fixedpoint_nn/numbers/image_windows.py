# SPDX-License-Identifier: MIT
"""Sliding windows over NHWC images, a few images at a time, so that they stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fixedpoint_nn.numbers import reused_memory, sliding_windows
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native import image_windows as native

BLOCK_BYTES = 1 << 19  # half of a core's second-level cache


FEW_CHANNELS = 4  # up to which a row of pixels is longer than a row of taps


@dataclass(frozen=True)
class Geometry:
    """The geometry of windows: kernel, stride and padding."""

    kernel: Pair
    stride: Pair
    padding: Padding

    @property
    def taps(self) -> int:
        """The number of taps: rows times columns of a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def pointwise(self) -> bool:
        """Whether there is a 1x1 window at every pixel, so that the image is the matrix of windows."""
        return self.kernel == self.stride == (1, 1) and not any(sum(pad) for pad in self.padding)

    def positions(self, shape: tuple[int, ...]) -> Pair:
        """(rows, columns) of windows in images (batch, height, width, channels)."""
        _, rows, columns, *_ = sliding_windows.windows_shape(shape, self.kernel, self.stride, self.padding, 1)
        return rows, columns

    def tiles(self, shape: tuple[int, ...]) -> bool:
        """Whether the windows partition the whole image."""
        rows, columns = self.positions(shape)
        covered = (rows * self.kernel[0], columns * self.kernel[1])
        return (
            self.kernel == self.stride and covered == shape[1:3] and not any(sum(pad) for pad in self.padding)
        )

    def window_shape(self, shape: tuple[int, ...]) -> native.WindowShape:
        """The windows of images of this shape, for the compiled kernels."""
        before = (self.padding[0][0], self.padding[1][0])
        return native.WindowShape(shape, self.positions(shape), self.kernel, self.stride, before)

    def reversed(self) -> Geometry:
        """The geometry of windows over the output's gradient for the image's gradient, for stride 1."""
        (top, bottom), (left, right) = self.padding
        ky, kx = self.kernel[0] - 1, self.kernel[1] - 1
        return Geometry(self.kernel, (1, 1), ((ky - top, ky - bottom), (kx - left, kx - right)))


class WindowBlocks:
    """The windows of one block of images at a time, as rows of a matrix in a reused buffer."""

    def __init__(self, images: Array, geometry: Geometry) -> None:
        self.images, self.geometry = images, geometry
        count, height, width, channels = images.shape
        rows, columns = geometry.positions(images.shape)
        per_image = rows * columns * geometry.taps * channels
        self.size = max(1, min(count, BLOCK_BYTES // (per_image * images.itemsize)))
        self.length = rows * columns
        self.width = geometry.taps * channels
        if geometry.pointwise:
            return
        self.taps_first = channels <= FEW_CHANNELS
        (top, bottom), (left, right) = geometry.padding
        around = (self.size, height + top + bottom, width + left + right, channels)
        padded = reused_memory.empty(around, images.dtype)
        padded.fill(0)
        self.inside = padded[:, top : top + height, left : left + width]
        by_image, by_row, by_column, by_channel = padded.strides
        (down, across), (ky, kx) = geometry.stride, geometry.kernel
        if self.taps_first:
            shape = (ky, kx, channels, self.size, rows, columns)
            strides = (by_row, by_column, by_channel, by_image, by_row * down, by_column * across)
        else:  # a row of taps and their channels are contiguous
            shape = (self.size, rows, columns, ky, kx * channels)  # type: ignore[assignment]
            strides = (by_image, by_row * down, by_column * across, by_row, by_channel)  # type: ignore[assignment]
        self.view = as_strided(padded, shape, strides, writeable=False)
        self.buffer = reused_memory.empty(shape, images.dtype)

    def starts(self) -> range:
        """The index of the first image of each block."""
        return range(0, len(self.images), self.size)

    def rows(self, start: int) -> Array:
        """(windows, taps * channels) of the block of images from `start` on."""
        images = self.images[start : start + self.size]
        if self.geometry.pointwise:
            return images.reshape(-1, self.width)
        count = len(images)
        self.inside[:count] = images
        if self.taps_first:
            buffer = self.buffer[:, :, :, :count]
            np.copyto(buffer, self.view[:, :, :, :count])
            return np.asarray(buffer.reshape(self.width, -1).T)
        np.copyto(self.buffer[:count], self.view[:count])
        return self.buffer[:count].reshape(-1, self.width)


def pool(images: Array, geometry: Geometry, combine: np.ufunc, fill: float) -> Array:
    """`combine` (np.maximum or np.add) over the taps of every window."""
    if combine is np.maximum:  # over the rows of each window first, whose pixels are side by side in memory
        tall = Geometry((geometry.kernel[0], 1), (geometry.stride[0], 1), (geometry.padding[0], (0, 0)))
        wide = Geometry((1, geometry.kernel[1]), (1, geometry.stride[1]), ((0, 0), geometry.padding[1]))
        return _combined(_combined(images, tall, combine, fill), wide, combine, fill)
    return _combined(images, geometry, combine, fill)


def _combined(images: Array, geometry: Geometry, combine: np.ufunc, fill: float) -> Array:
    total: Array | None = None
    for tap in taps_of(padded(images, geometry, fill), geometry, images.shape):
        if total is None:
            total = reused_memory.empty(tap.shape, tap.dtype)
            np.copyto(total, tap)
        else:
            combine(total, tap, out=total)
    assert total is not None
    return total


def padded(images: Array, geometry: Geometry, fill: float) -> Array:
    """The padded images."""
    if not any(sum(pad) for pad in geometry.padding):
        return images
    return np.pad(images, ((0, 0), *geometry.padding, (0, 0)), constant_values=fill)


def taps_of(padded: Array, geometry: Geometry, shape: tuple[int, ...]) -> Iterator[Array]:
    """For each tap, a view of that tap of every window."""
    rows, columns = geometry.positions(shape)
    (down, across), (height, width) = geometry.stride, geometry.kernel
    for y in range(height):
        for x in range(width):
            yield padded[:, y : y + down * rows : down, x : x + across * columns : across]
