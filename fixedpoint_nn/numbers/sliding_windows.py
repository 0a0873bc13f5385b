# SPDX-License-Identifier: MIT
"""Sliding windows of NHWC arrays, shared by all numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native import image_windows as native

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def reach(kernel: Pair, dilation: Pair) -> Pair:
    """The span (rows, columns) of a dilated window."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def output_size(size: int, kernel: int, stride: int, pad: Pair) -> int:
    """The number of windows along one axis; raises if none fits."""
    positions = (size + pad[0] + pad[1] - kernel) // stride + 1
    if positions < 1:
        raise ValueError(
            f"a window of {kernel} does not fit into {size} elements padded by {pad[0]} and {pad[1]}; "
            "use a smaller kernel or more padding"
        )
    return positions


def windows_shape(
    shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    groups: int,
    dilation: Pair = (1, 1),
) -> tuple[int, ...]:
    """The shape of `windows`, from shapes only."""
    if len(shape) != 4:
        raise ValueError(f"windows need an array (batch, height, width, channels), not one of shape {shape}")
    batch, height, width, channels = shape
    high, wide = reach(kernel, dilation)
    rows = output_size(height, high, stride[0], padding[0])
    columns = output_size(width, wide, stride[1], padding[1])
    taps = kernel[0] * kernel[1]
    if channels % groups:
        raise ValueError(f"{channels} channels do not divide into {groups} groups")
    if groups == 1:
        return (batch, rows, columns, taps, channels)
    return (batch, rows, columns, groups, taps, channels // groups)


def windows(
    array: Array,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    groups: int = 1,
    fill: Any = 0,
    dilation: Pair = (1, 1),
) -> Array:
    """Every window of an NHWC array: (batch, rows, columns, taps, channels), taps in the order (ky, kx).

    With groups: (batch, rows, columns, groups, taps, channels / groups).
    """
    shape = windows_shape(array.shape, kernel, stride, padding, groups, dilation)
    if any(sum(pad) for pad in padding):
        array = np.pad(array, ((0, 0), *padding, (0, 0)), constant_values=fill)
    batch, rows, columns = shape[:3]
    channels = array.shape[3]
    by_batch, by_row, by_column, by_channel = array.strides
    view = as_strided(
        array,
        (batch, rows, columns, *kernel, channels),
        (
            by_batch,
            by_row * stride[0],
            by_column * stride[1],
            by_row * dilation[0],
            by_column * dilation[1],
            by_channel,
        ),
        writeable=False,
    )
    if groups == 1:
        return view.reshape(shape)
    grouped = view.reshape(*shape[:3], kernel[0] * kernel[1], groups, channels // groups)
    return np.ascontiguousarray(np.moveaxis(grouped, 4, 3))


def add_windows(
    gradient: Array,
    shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    groups: int,
    dilation: Pair = (1, 1),
) -> Array:
    """The transpose of `windows`: every window's elements are added back to their places in an array of `shape`."""
    batch, height, width, channels = shape
    rows, columns = gradient.shape[1:3]
    if groups == 1 and dilation == (1, 1) and (kernels := native.kernels_for(gradient)):
        before = (padding[0][0], padding[1][0])
        added = np.empty(shape, gradient.dtype)
        described = native.WindowShape(shape, (rows, columns), kernel, stride, before)
        native.add_windows(kernels, described, gradient, added)
        return added
    if groups > 1:
        gradient = np.moveaxis(gradient, 3, 4)
    taps = gradient.reshape(batch, rows, columns, *kernel, channels)
    (top, bottom), (left, right) = padding
    total = np.zeros((batch, height + top + bottom, width + left + right, channels), gradient.dtype)
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            top_tap, left_tap = y * dilation[0], x * dilation[1]
            down = slice(top_tap, top_tap + stride[0] * rows, stride[0])
            across = slice(left_tap, left_tap + stride[1] * columns, stride[1])
            total[:, down, across] += taps[:, :, :, y, x]
    return total[:, top : top + height, left : left + width]
