# SPDX-License-Identifier: MIT
"""Gradients of windows of float images by the compiled kernels: sums in NumPy's order, so with its bits."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native.library import MORE_TESTS, Kernels, chosen

Pair = tuple[int, int]


class _Windows(ctypes.Structure):
    """The structure `Windows` of image_windows.h."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            *("images", "height", "width", "channels", "rows", "columns", "kernel_rows", "kernel_columns"),
            *("down", "across", "top", "left"),
        )
    ]


@dataclass(frozen=True)
class WindowShape:
    """The windows of images (batch, height, width, channels); `before` is the padding above and to the left."""

    images: tuple[int, ...]
    positions: Pair
    kernel: Pair
    stride: Pair
    before: Pair

    def described(self) -> _Windows:
        """`Windows` of image_windows.h."""
        return _Windows(*self.images, *self.positions, *self.kernel, *self.stride, *self.before)


def kernels_for(*arrays: Array) -> Kernels | None:
    """The kernels, if these arrays are as they need them: contiguous, float32."""
    if all(array.dtype == np.float32 and array.flags.c_contiguous for array in arrays):
        return chosen().kernels
    return None


def add_windows(kernels: Kernels, shape: WindowShape, windows: Array, out: Array) -> None:
    """out (images) = the sum of the windows' elements at each pixel, tap after tap."""
    kernels.windows("add_windows", shape.described(), windows, out)


def pool_max_gradient(
    kernels: Kernels, shape: WindowShape, images: Array, largest: Array, gradient: Array, out: Array
) -> None:
    """out (images) = the gradient of max pooling with windows that partition the images."""
    kernels.windows("pool_max_gradient", shape.described(), images, largest, gradient, out)


def self_test(kernels: Kernels) -> str:
    """Compare with a plain loop over the windows; returns what differs, empty if nothing."""
    rng = np.random.default_rng(0)
    for channels, stride, top in ((1, 1, 1), (5, 2, 0), (70, 1, 2)):
        images = rng.integers(-9, 9, (2, 6, 6, channels)).astype(np.float32)
        total = np.zeros((2, 9, 9, channels), np.float32)  # with padding of 3 in all
        rows = 6 // stride + 1
        shape = WindowShape(images.shape, (rows, rows), (3, 3), (stride, stride), (top, top))
        windows = rng.integers(-9, 9, (2, rows, rows, 3, 3, channels)).astype(np.float32)
        added = np.empty_like(images)
        for r, c in np.ndindex(rows, rows):
            at = np.s_[:, r * stride : r * stride + 3, c * stride : c * stride + 3]
            total[at] += windows[:, r, c]
        add_windows(kernels, shape, windows, added)
        if not np.array_equal(added, total[:, top : top + 6, top : top + 6]):
            return f"sums of windows of {channels} channels"
        if not _pools(kernels, images, rng):
            return f"the gradient of pooling of {channels} channels"
    return ""


def _pools(kernels: Kernels, images: Array, rng: np.random.Generator) -> bool:
    """Whether the gradient of 2x3 max pooling is that of NumPy's argmax."""
    count, _, _, channels = images.shape
    by_window = (
        images.reshape(count, 3, 2, 2, 3, channels).transpose(0, 1, 3, 2, 4, 5).reshape(count, 3, 2, 6, -1)
    )
    gradient = rng.standard_normal((count, 3, 2, channels), np.float32)
    expected = np.zeros_like(by_window)
    np.put_along_axis(expected, by_window.argmax(3)[:, :, :, None], gradient[:, :, :, None], 3)
    out = np.empty_like(images)
    shape = WindowShape(images.shape, (3, 2), (2, 3), (2, 3), (0, 0))
    pool_max_gradient(kernels, shape, images, by_window.max(3), gradient, out)
    expected = expected.reshape(count, 3, 2, 2, 3, channels).transpose(0, 1, 3, 2, 4, 5).reshape(images.shape)
    return np.array_equal(out, expected)


MORE_TESTS.append(self_test)
