# SPDX-License-Identifier: MIT
"""Making a `Compute` item from an expression, with memory for its result."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Expression
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel import Path, Target
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, View, dense_axes


def padded(words: int, lanes: int) -> int:
    """The number of words, rounded up to whole rows of the memory."""
    return -(-words // lanes) * lanes


def has_rows_first(shape: Sequence[int]) -> bool:
    """Whether the rows of images are computed one by one, each for all samples, which is fewer runs than samples."""
    return len(shape) == 4 and shape[1] < shape[0]


def new_target(
    name: str, shape: Sequence[int], lanes: int, in_rows: bool = True, rows_first: bool = False
) -> tuple[Target, tuple[int, ...]]:
    """(new buffer for a value, its strides): pixel by pixel, each from the start of a row if `in_rows`."""
    if len(shape) < 2:
        raise LoweringError(
            "has one word for a sample, without an axis for it; keep the axis, as in x[:, 0:1]"
        )
    *pixels, channels = shape
    stride = padded(channels, lanes) if in_rows and prod(pixels) > 1 else channels
    buffer = Buffer(name, padded(max(stride * prod(pixels), 1), lanes))
    target = Target(buffer, 0, stride, rows_first=rows_first)
    return target, _strides(shape, target)


def _strides(shape: Sequence[int], target: Target) -> tuple[int, ...]:
    """The strides of a value in its target."""
    strides, stride = [1] * len(shape), target.stride
    order = [1, 0, 2] if target.rows_first else range(len(shape) - 1)
    for axis in reversed(order):
        strides[axis] = stride
        stride *= shape[axis]
    return tuple(strides)


def computation(
    expression: Expression,
    name: str,
    layer: str,
    path: Path,
    lanes: int,
    target: Target | None = None,
    in_rows: bool = True,
    **options: Any,
) -> tuple[Compute, View]:
    """(item that computes an expression into `target` or a new buffer, view of the result)."""
    declares = target is None
    if target is None:
        shape = expression.shape
        target = new_target(name, shape, lanes, in_rows, has_rows_first(shape))[0]
    axes = dense_axes(expression.shape, _strides(expression.shape, target))
    item = Compute(name, layer, path, expression, target, declares, **options)
    return item, View(target.buffer, target.offset, axes, expression.format)
