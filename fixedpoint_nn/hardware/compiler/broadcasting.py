# SPDX-License-Identifier: MIT
"""Broadcasting of values: pixels by a stride of 0, channels by a copy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.expression import Expression, constant, load
from fixedpoint_nn.hardware.compiler.kernel import Path
from fixedpoint_nn.hardware.compiler.strided_view import Atom, View
from fixedpoint_nn.numbers.fixed.array import FixedArray


def per_channel(value: FixedArray) -> bool:
    """Whether a constant is a scalar or has one value per channel."""
    return value.size == 1 or value.size == value.shape[-1]


def constant_expression(
    value: FixedArray, builder: Builder, shape: tuple[int, ...] | None = None
) -> Expression:
    """A constant of this shape: a bias if it is the same for every pixel, else a load from memory."""
    shape = value.shape if shape is None else shape
    if not per_channel(value):
        return repeated(builder.constant(value), shape, builder, ())
    channels = shape[-1] if shape else 1
    ints = np.broadcast_to(value.ints.reshape(-1), (channels,))
    return constant(ints, value.format.frac_bits, shape, value.format)


def repeated(view: View, shape: tuple[int, ...], builder: Builder, path: Path) -> Expression:
    """A stored value, broadcast to a shape, as an expression."""
    return load(broadcast_to(view, shape, builder, path))


def broadcast_to(view: View, shape: tuple[int, ...], builder: Builder, path: Path) -> View:
    """The view broadcast to a shape: pixels by a stride of 0, channels by a copy."""
    if view.shape == shape:
        return view
    missing = len(shape) - len(view.axes)
    view = replace(view, axes=((),) * missing + view.axes)
    if view.shape[-1] != shape[-1]:
        view = builder.copied(replace(view, axes=(*view.axes[:-1], (Atom(shape[-1], 0),))), path)
    axes = list(view.axes)
    for number, (axis, size) in enumerate(zip(axes, shape, strict=True)):
        if not axis and size > 1:
            axes[number] = (Atom(size, 0),)
    return replace(view, axes=tuple(axes))
