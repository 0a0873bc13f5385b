# SPDX-License-Identifier: MIT
"""Convolution of float images by BLAS, a few images at a time, so that their windows stay in the cache.

The windows of a 3x3 convolution take nine times the memory of its image. They are copied for one block, used at once,
and copied again for the backward pass, which is faster than storing them.
"""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numbers import reused_memory, sliding_windows
from fixedpoint_nn.numbers.image_windows import BLOCK_BYTES, Geometry, WindowBlocks, padded, taps_of
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native import image_windows as native


def convolve(images: Array, weight: Array, geometry: Geometry) -> Array:
    """Images (batch, height, width, channels) convolved with weight (taps * channels, outputs)."""
    outputs = weight.shape[1]
    shape = (len(images), *geometry.positions(images.shape), outputs)
    result = reused_memory.empty(shape, images.dtype)
    blocks = WindowBlocks(images, geometry)
    for start in blocks.starts():
        part = result[start : start + blocks.size]
        np.matmul(blocks.rows(start), weight, out=part.reshape(-1, outputs))
    return result


def weight_gradient(images: Array, gradient: Array, geometry: Geometry) -> Array:
    """The gradient of the weight, (taps * channels, outputs), from that of the output."""
    outputs = gradient.shape[-1]
    blocks = WindowBlocks(images, geometry)
    total = np.zeros((blocks.width, outputs), images.dtype)
    for start in blocks.starts():
        total += blocks.rows(start).T @ gradient[start : start + blocks.size].reshape(-1, outputs)
    return total


def image_gradient(shape: tuple[int, ...], weight: Array, gradient: Array, geometry: Geometry) -> Array:
    """The gradient of the images: for stride 1 a convolution with the rotated weights, else by adding windows."""
    channels, outputs = shape[-1], gradient.shape[-1]
    backwards = geometry.reversed()
    if geometry.stride == (1, 1) and all(min(pad) >= 0 for pad in backwards.padding):
        turned = weight.reshape(geometry.taps, channels, outputs)[::-1].transpose(0, 2, 1)
        return convolve(gradient, np.ascontiguousarray(turned).reshape(-1, channels), backwards)
    result = reused_memory.empty(shape, gradient.dtype)
    transposed = np.ascontiguousarray(weight.T)
    rows, columns = gradient.shape[1:3]
    size = max(1, BLOCK_BYTES // (rows * columns * len(weight) * gradient.itemsize))
    for start in range(0, len(result), size):
        part = gradient[start : start + size]
        windows = (part.reshape(-1, outputs) @ transposed).reshape(
            len(part), rows, columns, geometry.taps, channels
        )
        result[start : start + size] = sliding_windows.add_windows(
            windows, (len(part), *shape[1:]), geometry.kernel, geometry.stride, geometry.padding, 1
        )
    return result


def pool_max_gradient(
    images: Array, largest: Array, gradient: Array, geometry: Geometry, fill: float
) -> Array:
    """The gradient of max pooling, which goes to the first largest tap of each window."""
    if geometry.tiles(images.shape):  # each pixel is in one window
        result = reused_memory.empty(images.shape, images.dtype)
    else:
        result = padded(np.zeros_like(images), geometry, 0)
    kernels = native.kernels_for(images, largest, gradient)
    if kernels and geometry.tiles(images.shape):
        shape = geometry.window_shape(images.shape)
        native.pool_max_gradient(kernels, shape, images, largest, gradient, result)
        return result
    open_ = np.ones(gradient.shape, bool)  # windows whose largest tap was not met yet
    values = taps_of(padded(images, geometry, fill), geometry, images.shape)
    for value, target in zip(values, taps_of(result, geometry, images.shape), strict=True):
        here = value == largest
        here &= open_
        open_ ^= here
        if geometry.tiles(images.shape):
            np.multiply(gradient, here, out=target)
        else:
            target += gradient * here
    return _unpadded(result, geometry, images.shape)


def pool_sum_gradient(shape: tuple[int, ...], gradient: Array, geometry: Geometry) -> Array:
    """The gradient of sum pooling: each element gets the sum of its windows' gradients."""
    if geometry.tiles(shape):
        result = reused_memory.empty(shape, gradient.dtype)
        for target in taps_of(result, geometry, shape):
            target[...] = gradient
        return result
    result = padded(np.zeros(shape, gradient.dtype), geometry, 0)
    for target in taps_of(result, geometry, shape):
        target += gradient
    return _unpadded(result, geometry, shape)


def _unpadded(padded: Array, geometry: Geometry, shape: tuple[int, ...]) -> Array:
    (top, _), (left, _) = geometry.padding
    return padded[:, top : top + shape[1], left : left + shape[2]]
