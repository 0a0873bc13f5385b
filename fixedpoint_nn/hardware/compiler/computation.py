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


def new_target(
    name: str, shape: Sequence[int], lanes: int, in_rows: bool = True
) -> tuple[Target, tuple[int, ...]]:
    """(new buffer for a value, its strides): pixel by pixel, each from the start of a row if `in_rows`."""
    if len(shape) < 2:
        raise LoweringError(
            "has one word for a sample, without an axis for it; keep the axis, as in x[:, 0:1]"
        )
    *pixels, channels = shape
    stride = padded(channels, lanes) if in_rows and prod(pixels) > 1 else channels
    strides = [1]
    for size in reversed(pixels):
        strides.insert(0, stride)
        stride *= size
    return Target(Buffer(name, padded(max(stride, 1), lanes)), 0, strides[-2]), tuple(strides)


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
        target, strides = new_target(name, expression.shape, lanes, in_rows)
        axes = dense_axes(expression.shape, strides)
    else:
        walk, strides = target.stride, (1,)
        for size in reversed(expression.shape[:-1]):
            strides = (walk, *strides)
            walk *= size
        axes = dense_axes(expression.shape, strides)
    item = Compute(name, layer, path, expression, target, declares, **options)
    return item, View(target.buffer, target.offset, axes, expression.format)
