# SPDX-License-Identifier: MIT
"""The lowering rules: each verb becomes a view, or an expression to be fused with its cast."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler import rules_embedding, rules_movement, rules_scan
from fixedpoint_nn.hardware.compiler.broadcasting import (
    broadcast_to,
    constant_expression,
    per_channel,
    repeated,
)
from fixedpoint_nn.hardware.compiler.column_halves import (
    maximum_of_halves,
    windows_of_halves,
)
from fixedpoint_nn.hardware.compiler.dense_copy import dense, has_more_loops, in_rows, is_flattened, walkable
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Multiplier, Product, Scale, load
from fixedpoint_nn.hardware.compiler.ir import StoreArgmax
from fixedpoint_nn.hardware.compiler.kernel_selection import is_broadcast
from fixedpoint_nn.hardware.compiler.rescaling import Rescaling
from fixedpoint_nn.hardware.compiler.scope import Rule, Scope, Value
from fixedpoint_nn.hardware.compiler.strided_view import Atom, View, dense_axes
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import TracedNode
from fixedpoint_nn.numerics.overflow import Overflow, limits
from fixedpoint_nn.numerics.qformat import UQ, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding


def add(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower add and sub: one expression, if one run can compute it."""
    a, b = (_broadcast(scope, i, node.shape) for i in node.inputs)
    if node.op == "sub":
        if not b.linear:
            b = _stored_again(scope, node.inputs[1], node.shape)
        b = b.times(np.int64(-1), 0, b.shape, b.format)
    return a.plus(b, node.shape, node.format)


def _stored_again(scope: Scope, place: int, shape: tuple[int, ...]) -> Expression:
    return repeated(scope.view(place), shape, scope.builder, scope.path(place))


def _broadcast(scope: Scope, place: int, shape: tuple[int, ...]) -> Expression:
    value = scope.values[place]
    if isinstance(value, FixedArray):
        return constant_expression(value, scope.builder, shape)
    if scope.program.nodes[place].shape == shape:
        return scope.sum(place)
    return repeated(scope.view(place), shape, scope.builder, scope.path(place))


def multiply(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower mul: with constants as weights, of two values as a product of factors."""
    a, b = node.inputs
    for x, factor in ((a, b), (b, a)):
        constant_factor = scope.values[factor]
        if isinstance(constant_factor, FixedArray) and per_channel(constant_factor):
            expression = scope.sum(x)
            if not expression.linear or expression.accumulator is not None or expression.shape != node.shape:
                expression = load(scope.view(x))
            if expression.shape == node.shape:
                ints = (
                    constant_factor.ints.reshape(-1)
                    if constant_factor.size > 1
                    else constant_factor.ints.reshape(())
                )
                return expression.times(ints, constant_factor.format.frac_bits, node.shape, node.format)
    views = [broadcast_to(scope.view(i), node.shape, scope.builder, scope.path(i)) for i in (a, b)]
    frac = views[0].format.frac_bits + views[1].format.frac_bits
    return Expression(node.shape, node.format, ((Product(views[0], views[1], frac),),))


def negate(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower neg: times -1."""
    expression = scope.sum(node.inputs[0])
    if not expression.linear:
        expression = load(scope.view(node.inputs[0]))
    return expression.times(np.int64(-1), 0, node.shape, node.format)


def dot(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower dot with constant weights; depthwise ones are scaled sums, grouped ones have one part per group."""
    view, weights = scope.view(node.inputs[0]), scope.values[node.inputs[1]]
    if not isinstance(weights, FixedArray) or weights.ndim < 2:
        raise LoweringError(
            "multiplies by a matrix that is no constant (groups, taps, outputs); only weights are lowered"
        )
    frac = view.format.frac_bits + weights.format.frac_bits
    ints, accumulator = weights.ints, node.attributes["accumulator"]
    if weights.ndim == 2:
        parts: tuple[tuple[Any, ...], ...] = ((Dot(view, ints, frac),),)
    elif weights.shape[2] == 1 and view.axes[-2] and accumulator is None:
        taps, image = view.axes[-1], replace(view, axes=view.axes[:-1])
        parts = ((Scale(image, ints[:, :, 0].T, frac, taps),),)
    else:
        parts = tuple(
            (Dot(view.index((..., g, slice(None))), ints[g], frac),) for g in range(weights.shape[0])
        )
    expression = Expression(node.shape, node.format, parts, accumulator=accumulator)
    if len(node.inputs) == 3:
        start = scope.values[node.inputs[2]]
        if accumulator is not None and isinstance(start, FixedArray):
            return _from_constant(scope, node, expression, start)
        before = scope.expression(node.inputs[2])
        if not before.is_sum or (accumulator is not None and before.accumulator != accumulator):
            raise LoweringError(
                "continues a sum that has been rounded, or another accumulator; give both dots one "
                "accumulator"
            )
        merged = replace(before, accumulator=None).plus(
            replace(expression, accumulator=None), node.shape, node.format
        )
        return replace(merged, accumulator=accumulator)
    return expression


def _from_constant(scope: Scope, node: TracedNode, products: Expression, start: FixedArray) -> Expression:
    """Sums of a modelled accumulator that starts at a constant for each channel: one more tap, of a word that is 1."""
    accumulator = products.accumulator
    assert accumulator is not None
    (dot, *others), *groups = products.parts
    if others or groups or not isinstance(dot, Dot) or not per_channel(start):
        raise LoweringError(
            "has a modelled accumulator of a grouped product that starts at a constant; add the constant after a cast"
        )
    ints, point = np.broadcast_to(start.ints.reshape(-1), dot.channels), accumulator.format.frac_bits
    frac = point if accumulator.product is None else max(dot.frac, point)
    # As a product it goes through both conversions.
    for name, kind in (("products", accumulator.product), ("sums", accumulator)):
        if kind is None:
            continue
        low, high = limits(kind.format, kind.overflow)
        if min(ints) < low or max(ints) > high:
            held = f"{kind.format}{' without its lowest value' * (low > kind.format.int_min)}"
            raise LoweringError(
                f"has an accumulator that starts at {start.to_float().min():g} to {start.to_float().max():g}, outside "
                f"of its {name}' format, {held}; give the {name} a wider one"
            )
    one = scope.builder.constant(FixedArray.from_ints([1], UQ(1, 0)))
    first = broadcast_to(one, (*node.shape[:-1], 1), scope.builder, ())
    term = Dot(first, ints[np.newaxis] << (frac - point), frac)
    return replace(products, parts=((term, dot),))


def relu(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower relu, before or after the cast in the same run."""
    e = scope.expression(node.inputs[0])
    if e.table is not None or e.relu_before or e.relu_after or e.leak:
        e = load(scope.view(node.inputs[0]))
    if e.quantizer is None:
        return replace(e, relu_before=True, format=node.format)
    return replace(e, relu_after=True, format=node.format)


def scaled(scope: Scope, place: int, node: TracedNode) -> Value:
    """Lower scaled: the same integers with another binary point."""
    expression, power = scope.expression(node.inputs[0]), node.attributes["power"]
    if expression.is_sum and expression.accumulator is None:
        return expression.scaled(power, node.format)
    return replace(scope.view(node.inputs[0]), format=node.format)


def maximum(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower maximum; x.maximum(x.scaled(-k)) is a leaky ReLU."""
    leaky = scope.consumers.leaky.get(place)
    if leaky is not None:
        source, power = leaky
        return replace(scope.sum(source), leak=power, format=node.format)
    views = [broadcast_to(scope.view(i), node.shape, scope.builder, scope.path(i)) for i in node.inputs]
    frac = max(view.format.frac_bits for view in views)
    views = [_with_fraction(scope, view, frac, i) for view, i in zip(views, node.inputs, strict=True)]
    terms = tuple(replace(Scale.of(view), maximum=True) for view in views)
    return Expression(node.shape, node.format, (terms,))


def _with_fraction(scope: Scope, view: View, frac: int, place: int) -> View:
    f = view.format
    if f.frac_bits == frac:
        return view
    wide = QFormat(f.int_bits, frac, f.signed)
    copy = replace(load(view), quantizer=Quantizer(wide, Rounding.FLOOR, Overflow.WRAP), format=wide)
    return scope.builder.compute(copy, None, scope.path(place))


def reduce(scope: Scope, place: int, node: TracedNode) -> Value:
    """Lower sum and max over one or several axes."""
    view, largest = scope.view(node.inputs[0]), node.op == "max"
    source = scope.program.nodes[node.inputs[0]]
    if source.op == "windows" and source.inputs[0] in scope.halved:
        return maximum_of_halves(scope.builder, view, scope.path(place))
    over, chosen = _reduced_axes(node.attributes["axis"], len(view.axes)), "takes" if largest else "sums"
    if 0 in over:
        raise LoweringError(f"{chosen} over the samples of a batch, and the engine runs one after the other")
    if len(node.shape) < 2:
        if largest:
            raise LoweringError(
                "takes the largest word of a sample without an axis for it; set keepdims=True"
            )
        raise LoweringError("sums a sample to one word without an axis for it; set keepdims=True")
    aligned = is_broadcast(view) or in_rows(view, scope.builder.lanes)
    last = len(view.axes) - 1
    others = tuple(() if axis in over else atoms for axis, atoms in enumerate(view.axes[:-1]))
    if (view.window is None and last not in over and not aligned) or has_more_loops(
        replace(view, axes=(*others, view.axes[-1]))
    ):
        view = dense(scope.builder, view, scope.path(place))
    walked = tuple(atom for axis in over for atom in view.axes[axis])
    channels_too = last in over
    kept = [
        () if axis in over else atoms
        for axis, atoms in enumerate(view.axes)
        if axis not in over or axis == last or node.attributes["keepdims"]
    ]
    scale = _over(replace(view, axes=tuple(kept)), walked, view.format.frac_bits, largest)
    if not channels_too or node.attributes["keepdims"]:
        return Expression(node.shape, node.format, ((scale,),))
    result = scope.builder.compute(
        Expression((*node.shape, 1), node.format, ((scale,),)), None, scope.path(place)
    )
    return load(replace(result, axes=result.axes[:-1]))


def _reduced_axes(axis: int | tuple[int, ...] | None, axes: int) -> tuple[int, ...]:
    """The axes as non-negative numbers, in order."""
    if axis is None:
        return tuple(range(axes))
    return tuple(sorted(one % axes for one in ((axis,) if isinstance(axis, int) else axis)))


def windows(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower windows: other strides, and padding by a bounds check."""
    if rules_movement.only_adds_edges(node):
        return rules_movement.padded(scope, place, node)
    view, about = scope.view(node.inputs[0]), node.attributes
    if node.inputs[0] in scope.halved:
        return windows_of_halves(view)
    if any(sum(pad) for pad in about["padding"]) and not _read_as_padded(scope, place, about["lowest"]):
        image = rules_movement.with_edges(scope, place, view, about["padding"], about["lowest"])
        return image.windows(**{**about, "padding": ((0, 0), (0, 0))})
    for_all_lanes = scope.consumers.needs_rows(place) or node.attributes["groups"] > 1
    if is_flattened(view) or (for_all_lanes and not in_rows(view, scope.builder.lanes)):
        view = dense(scope.builder, view, scope.path(node.inputs[0]))
    return view.windows(**node.attributes)


def _read_as_padded(scope: Scope, place: int, lowest: bool) -> bool:
    """Whether the engine's padding is the model's: the lowest word for maxima, else 0."""
    readers = scope.consumers.readers(place)
    return readers == {"max"} if lowest else not readers & {"max", "maximum", "minimum"}


def reshape(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower reshape: other axes for the same words; a dense copy if the padding of rows prevents it."""
    view = scope.view(node.inputs[0])
    try:
        return view.reshape(node.shape)
    except LoweringError:  # there is padding between pixels
        view = walkable(scope.builder, view, scope.path(place))
        target, strides = scope.builder.target(view.shape, in_rows=False)
        scope.builder.copied(view, scope.path(place), target)
        return View(target.buffer, 0, dense_axes(view.shape, strides), view.format).reshape(node.shape)


def index(scope: Scope, place: int, node: TracedNode) -> Value:
    """Lower indexing: slices of channels of an expression, or of a stored value."""
    value, index = scope.values[node.inputs[0]], node.attributes["index"]
    items = index if isinstance(index, tuple) else (index,)
    if not all(item is ... or isinstance(item, (int, slice, np.integer)) for item in items):
        raise LoweringError("takes elements by an array of indices, which is not lowered; use slices")
    chosen = _columns(index, len(scope.program.nodes[node.inputs[0]].shape))
    if isinstance(value, Expression) and chosen is not None and len(value.parts) == 1:
        return replace(value.columns(chosen, node.shape), format=node.format)
    view = scope.view(node.inputs[0])
    try:
        return view.index(index)
    except LoweringError:  # of a flattened axis
        return dense(scope.builder, view, scope.path(place)).index(index)


def concat(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower concat: values side by side in one buffer."""
    axis = node.attributes["axis"] % len(node.shape)
    if axis != len(node.shape) - 1:
        return rules_movement.concat_along(scope, place, node, axis)
    target, strides = scope.builder.target(node.shape)
    at = 0
    for i in node.inputs:
        expression = scope.expression(i)
        if not expression.is_sum:
            expression = load(scope.view(i))
        if isinstance(scope.values[i], FixedArray):
            expression = load(scope.view(i))
        wide = replace(
            expression,
            quantizer=Quantizer(node.format, Rounding.FLOOR, Overflow.WRAP),
            format=node.format,
        )
        scope.builder.compute(wide, replace(target, offset=at), scope.path(place))
        at += scope.program.nodes[i].shape[-1]
    return View(target.buffer, 0, dense_axes(node.shape, strides), node.format)


def lookup(scope: Scope, place: int, node: TracedNode) -> Expression:
    """Lower lookup: a table after the cast, in the same run."""
    table = node.attributes["table"]
    e = scope.expression(node.inputs[0])
    if e.quantizer is None or e.table is not None or e.quantizer.format != table.input_format:
        exact = Quantizer(table.input_format, Rounding.FLOOR, Overflow.WRAP)
        e = replace(load(scope.view(node.inputs[0])), quantizer=exact)
    return replace(e, table=table, format=node.format)


def cast(scope: Scope, place: int, node: TracedNode) -> Value:
    """Lower cast: shift, rounding and overflow at the end of a run."""
    quantizer = node.attributes["quantizer"]
    if not isinstance(quantizer, Quantizer):
        raise LoweringError("rounds activations channel by channel; use one quantizer for all channels")
    if place in scope.rescaled:
        return _rescaled(scope, node, quantizer, scope.rescaled[place])
    e = scope.expression(node.inputs[0])
    holds = _holds(quantizer.format, e.format)
    if e.quantizer is not None or e.table is not None:
        if holds:  # lossless: the same integers in another format
            return replace(e, format=node.format)
        e = load(scope.view(node.inputs[0]))
    elif e.accumulator is not None and quantizer.format.frac_bits > e.accumulator.format.frac_bits:
        e = load(scope.view(node.inputs[0]))  # a run only shifts to the right: the sum is stored first
    elif isinstance(scope.values[node.inputs[0]], View) and holds:
        return _renamed(scope, node)
    return replace(e, quantizer=quantizer, format=node.format)


def _rescaled(scope: Scope, node: TracedNode, quantizer: Quantizer, by: Rescaling) -> Expression:
    """A rescaled sum: sum, multipliers and cast in one run."""
    scope.builder.multiplied = True
    if by.operands:
        e = _weighted(scope, by)
    elif (e := scope.sum(by.source)).accumulator is not None:
        e = load(scope.view(by.source))
    if by.rounding is not None:
        quantizer = replace(quantizer, rounding=by.rounding)
    multiplier = Multiplier(by.frac, np.array(by.factors), np.array(by.shifts), by.twice)
    return replace(e, multiplier=multiplier, quantizer=quantizer, format=node.format)


def _weighted(scope: Scope, by: Rescaling) -> Expression:
    """The weighted sum of a rescaling's operands, each broadcast to the sum's shape."""
    terms, shape = [], scope.program.nodes[by.source].shape
    for place, weight in by.operands:
        e = repeated(scope.view(place), shape, scope.builder, scope.path(place))
        terms.append(e.times(np.int64(weight), 0, shape, scope.program.nodes[place].format))
    first, second = terms
    return first.plus(second, first.shape, first.format)


def _renamed(scope: Scope, node: TracedNode) -> View:
    return replace(scope.view(node.inputs[0]), format=node.format)


def argmax(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower argmax: a search over each pixel's words."""
    if node.attributes["axis"] % len(scope.program.nodes[node.inputs[0]].shape) != len(node.shape):
        raise LoweringError("searches along another axis than the last, which is not lowered")
    value, pixels = scope.values[node.inputs[0]], prod(node.shape)
    at_once = isinstance(value, Expression) and len(value.parts) == 1 and pixels == 1
    view = scope.view(node.inputs[0], search=at_once)
    target = scope.targets.get(place)
    buffer = scope.builder.buffer(scope.builder.layer, pixels) if target is None else target.buffer
    flat = view.reshape((pixels, view.shape[-1]))
    for pixel in range(pixels):
        if not at_once:
            row = flat.index((slice(pixel, pixel + 1),))
            scope.builder.copied(row, (), search=True, write=False)
        word = View(buffer, pixel, ((),), node.format)
        scope.builder.items.append(StoreArgmax(word, scope.path(place)))
    strides = np.cumprod([1, *node.shape[:0:-1]])[::-1].tolist()
    return View(buffer, 0, dense_axes(node.shape, strides if node.shape else []), node.format)


def _over(view: View, over: tuple[Atom, ...], frac: int, maximum: bool) -> Scale:
    channels = prod(atom.size for atom in view.axes[-1])
    taps = prod(atom.size for atom in over)
    return Scale(view, np.ones((taps, channels), np.int64), frac, over, maximum)


def _holds(wide: QFormat, f: QFormat) -> bool:
    """Whether `wide` holds every integer of f with the same value."""
    return wide.frac_bits == f.frac_bits and wide.int_min <= f.int_min and f.int_max <= wide.int_max


def _columns(index: Any, ndim: int) -> slice | None:
    """The slice of the last axis, if only that axis is indexed; else None."""
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items[at : at + 1] = [slice(None)] * (ndim - len(items) + 1)
    if len(items) != ndim or any(item != slice(None) for item in items[:-1]):
        return None
    last = items[-1]
    return last if isinstance(last, slice) and last.step in (None, 1) else None


RULES: dict[str, Rule] = {
    "add": add,
    "sub": add,
    "mul": multiply,
    "neg": negate,
    "dot": dot,
    "relu": relu,
    "scaled": scaled,
    "maximum": maximum,
    "max": reduce,
    "sum": reduce,
    "windows": windows,
    "reshape": reshape,
    "index": index,
    "concat": concat,
    "lookup": lookup,
    "cast": cast,
    "argmax": argmax,
    "take": rules_embedding.take,
    "transpose": rules_movement.transpose,
    "dilated_windows": rules_movement.dilated_windows,
    "minimum": rules_movement.minimum,
    "matmul": rules_movement.matmul,
    "scan": rules_scan.scan,
    "result": rules_scan.result,
}
