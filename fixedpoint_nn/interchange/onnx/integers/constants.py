# SPDX-License-Identifier: MIT
"""Constants of a file that are integers times scales, stored as both."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.value import Refused
from fixedpoint_nn.numerics.arrays import Array, Ints

FINE = 22  # bits of a weight that a file keeps as a float


class ScaledConstant(np.ndarray):
    """A float array equal to `ints * scales`, element by element."""

    ints: Ints
    scales: Array

    @classmethod
    def of(cls, ints: Any, scales: Any) -> ScaledConstant:
        """The array from integers and scales, as DequantizeLinear computes it."""
        ints = np.asarray(ints, np.int64)
        scales = np.broadcast_to(np.asarray(scales, np.float32), ints.shape)
        made: ScaledConstant = np.asarray(ints.astype(np.float32) * scales).view(cls)
        made.ints, made.scales = ints, scales
        return made


def scaled(array: Any) -> tuple[Ints, Array] | None:
    """(integers, scales) of a constant, or None if it is floats; integer constants have the scale 1.

    A negative scale becomes a positive one with negated integers.
    """
    if isinstance(array, ScaledConstant) and hasattr(array, "ints"):
        falling = array.scales < 0
        return np.where(falling, -array.ints, array.ints), np.abs(array.scales)
    if array.dtype.kind in "iu":
        return array.astype(np.int64), np.ones(array.shape, np.float32)
    return None


def refined(array: Array, axis: int | None) -> tuple[Ints, Array]:
    """(integers, scales) of floats, to `FINE` bits of the largest at each place of an axis; scales are powers of 2."""
    if not np.isfinite(array).all():
        raise Refused("its weights hold infinity or nan")
    others = tuple(other for other in range(array.ndim) if axis is None or other != axis % array.ndim)
    largest = np.abs(array).max(axis=others, keepdims=True, initial=np.float32(2.0**-60))
    scales = np.broadcast_to(np.ldexp(np.float32(1), np.frexp(largest)[1] - FINE), array.shape)
    return np.rint(array.astype(np.float64) / scales).astype(np.int64), scales.astype(np.float32)


def along(given: Any, axis: int, shape: tuple[int, ...], what: str) -> Array:
    """A scale or zero point, () or one per element of an axis, reshaped to broadcast against this shape."""
    parameter: Array = np.asarray(given)
    if parameter.size == 1:
        return np.asarray(parameter.reshape(()))
    rank = len(shape)
    if not -rank <= axis < rank or parameter.shape != (shape[axis],):
        raise Refused(
            f"its {what} of shape {list(parameter.shape)} does not go along axis {axis} of {list(shape)}"
        )
    sizes = [1] * rank
    sizes[axis] = -1
    return np.asarray(parameter.reshape(sizes))
