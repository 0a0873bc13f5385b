# SPDX-License-Identifier: MIT
"""Rules for transposition, padding, dilated windows, concatenation along any axis, minimum and matmul.

Each is expressed by other operations: views with other strides, copies, maxima and sums.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn.hardware.compiler.broadcasting import broadcast_to
from fixedpoint_nn.hardware.compiler.dense_copy import dense, in_rows, is_flattened, walkable
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Expression, Product, Scale, load
from fixedpoint_nn.hardware.compiler.kernel import in_two_loops
from fixedpoint_nn.hardware.compiler.scope import Scope
from fixedpoint_nn.hardware.compiler.strided_view import Atom, View, dense_axes
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.sliding_windows import Padding, reach
from fixedpoint_nn.numbers.traced.program import TracedNode
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding


def transpose(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower transpose: the same words in another order."""
    return _turned(scope.view(node.inputs[0]), node.attributes["axes"])


def _turned(view: View, axes: tuple[int, ...]) -> View:
    if view.window is not None:
        raise LoweringError("takes another order of windows at the edge of an image; cast them before")
    return replace(view, axes=tuple(view.axes[axis] for axis in axes))


def concat_along(scope: Scope, place: int, node: TracedNode, axis: int) -> View:
    """Lower concat along another axis: the axis is moved first, so that each part is contiguous."""
    order = (0, axis, *(other for other in range(1, len(node.shape)) if other != axis))
    shape = tuple(node.shape[other] for other in order)
    target, strides = scope.builder.target(shape)
    at = 0
    for i in node.inputs:
        view = _turned(scope.view(i), order)
        part = load(walkable(scope.builder, view, scope.path(place)))
        exact = replace(part, quantizer=_exact(node.format), format=node.format)
        scope.builder.compute(exact, replace(target, offset=at), scope.path(place))
        at += scope.program.nodes[i].shape[axis] * strides[1]
    whole = View(target.buffer, 0, dense_axes(shape, strides), node.format)
    return _turned(whole, tuple(order.index(other) for other in range(len(order))))


def only_adds_edges(node: TracedNode) -> bool:
    """Whether windows are 1 x 1 at every pixel of a padded image, which is only padding."""
    about = node.attributes
    one = about["kernel"] == about["stride"] == (1, 1) and about["groups"] == 1
    return one and any(sum(pad) for pad in about["padding"])


def padded(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower padding: a copy of the image with its padding."""
    about = node.attributes
    copy = with_edges(scope, place, scope.view(node.inputs[0]), about["padding"], about["lowest"])
    return replace(copy, axes=(*copy.axes[:3], (), copy.axes[3]))


def with_edges(scope: Scope, place: int, view: View, padding: Padding, lowest: bool) -> View:
    """A copy of the image with padding, zeros or the lowest word."""
    if is_flattened(view):
        view = dense(scope.builder, view, scope.path(place))
    windows = view.windows((1, 1), (1, 1), padding, 1, False)
    image = replace(windows, axes=(*windows.axes[:3], windows.axes[4]))
    channels = image.shape[-1]
    copy = scope.builder.compute(load(image), None, scope.path(place), in_rows=channels > 1)
    if not lowest:
        return copy
    edges = np.full(copy.shape, view.format.int_min)
    (top, bottom), (left, right) = padding
    edges[:, top : copy.shape[1] - bottom, left : copy.shape[2] - right] = 0
    lowered = load(copy).plus(
        load(scope.builder.constant(FixedArray.from_ints(edges, view.format))), copy.shape, view.format
    )
    return scope.builder.compute(
        replace(lowered, quantizer=_exact(view.format)), None, scope.path(place), in_rows=channels > 1
    )


def dilated_windows(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower dilated windows: larger strides within a window; padding is copied first."""
    about = dict(node.attributes)
    view, dilation = scope.view(node.inputs[0]), about.pop("dilation")
    if any(sum(pad) for pad in about["padding"]):
        view = with_edges(scope, place, view, about["padding"], about["lowest"])
    elif is_flattened(view) or not in_rows(view, scope.builder.lanes):
        view = dense(scope.builder, view, scope.path(place))
    about |= {"kernel": reach(about["kernel"], dilation), "padding": ((0, 0), (0, 0))}
    wide = view.windows(**about)
    taps = 4 if about["groups"] > 1 else 3
    atoms = zip(node.attributes["kernel"], wide.axes[taps], dilation, strict=True)
    dilated = tuple(Atom(size, atom.stride * step) for size, atom, step in atoms)
    return replace(wide, axes=(*wide.axes[:taps], dilated, *wide.axes[taps + 1 :]))


def minimum(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower minimum: min(a, b) = -max(-a, -b)."""
    path, shape = scope.path(place), node.shape
    views = [broadcast_to(scope.view(i), shape, scope.builder, scope.path(i)) for i in node.inputs]
    format = QFormat.for_negation(QFormat.for_any([view.format for view in views]))
    negated = []
    for view in views:
        opposite = load(view).times(np.int64(-1), 0, shape, format)
        negated.append(
            scope.builder.compute(replace(opposite, quantizer=_exact(format), format=format), None, path)
        )
    terms = tuple(replace(Scale.of(view), maximum=True) for view in negated)
    largest = scope.builder.compute(Expression(shape, format, (terms,)), None, path)
    return load(largest).times(np.int64(-1), 0, shape, node.format)


def matmul(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower matmul: both factors broadcast to (..., m, k, n), then products summed over k."""
    (*lead, m, k), n = scope.program.nodes[node.inputs[0]].shape, node.shape[-1]
    if any(len(scope.program.nodes[i].shape) != len(node.shape) for i in node.inputs):
        raise LoweringError("multiplies matrices of different numbers of axes; reshape one of them")
    a, b = (scope.view(i) for i in node.inputs)
    shape = (*lead, m, k, n)
    rows = replace(a, axes=(*a.axes, (Atom(n, 0),) if n > 1 else ()))
    columns = replace(b, axes=(*b.axes[:-2], (Atom(m, 0),) if m > 1 else (), *b.axes[-2:]))
    left, right = (dense(scope.builder, view, scope.path(place)) for view in (rows, columns))
    format = QFormat.for_product(left.format, right.format)
    if in_two_loops(k):
        one, two = (replace(view, axes=(*view.axes[:-2], view.axes[-1])) for view in (left, right))
        return Expression(node.shape, node.format, ((Product(one, two, format.frac_bits, left.axes[-2]),),))
    product = Product(left, right, format.frac_bits)
    every = scope.builder.compute(Expression(shape, format, ((product,),)), None, scope.path(place))
    over, summed = every.axes[-2], replace(every, axes=(*every.axes[:-2], every.axes[-1]))
    scale = Scale(summed, np.ones((k, n), np.int64), format.frac_bits, over)
    return Expression(node.shape, node.format, ((scale,),))


def _exact(format: QFormat) -> Quantizer:
    """A lossless quantizer into a format."""
    return Quantizer(format, Rounding.FLOOR, Overflow.WRAP)
