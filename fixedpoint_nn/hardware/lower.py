# SPDX-License-Identifier: MIT
"""From a traced program to kernels: what is stored, what is a view, and what one run computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.fixed import FixedArray
from fixedpoint_nn.hardware import recurrence, tokens
from fixedpoint_nn.hardware.assembly import Assembly, Keep
from fixedpoint_nn.hardware.build import is_rows
from fixedpoint_nn.hardware.consumers import Consumers
from fixedpoint_nn.hardware.expression import Dot, Expression, Product, Scale, constant, stored
from fixedpoint_nn.hardware.kernel import Kernel, Path, Target
from fixedpoint_nn.hardware.refusal import Refusal
from fixedpoint_nn.hardware.views import Atom, View, dense_axes
from fixedpoint_nn.overflow import Overflow
from fixedpoint_nn.qformat import QFormat
from fixedpoint_nn.quantizer import Quantizer
from fixedpoint_nn.rounding import Rounding
from fixedpoint_nn.traced import VERBS, Node, Program

Value = View | Expression | FixedArray


class Scope:
    """One program, or the body of a loop, on its way to kernels."""

    def __init__(self, assembly: Assembly, program: Program, prefix: Path = ()) -> None:
        self.assembly = assembly
        self.program = program
        self.prefix = prefix
        self.values: dict[int, Any] = {}
        self.targets: dict[int, Target] = {}
        self.blocks: dict[int, int] = {}  # of a sequence in rows: the words of one time step
        self.consumers = Consumers(program)
        self.rows = recurrence.plan_rows(self)

    def run(self, *arguments: View) -> list[View]:
        """Lower every node; the views of the program's outputs."""
        waiting = iter(arguments)
        for place, node in enumerate(self.program.nodes):
            if node.op == "input":
                self.values[place] = next(waiting)
            elif place not in self.consumers.skipped:
                self.values[place] = self._lower(place, node)
        return [self.view(place) for place in self.program.outputs]

    def _lower(self, place: int, node: Node) -> Any:
        self.assembly.layer = self.consumers.name(place)
        try:
            value = self._value(place, node)
            if isinstance(value, Expression) and not self.consumers.may_wait(place):
                self.values[place] = value
                return self.view(place)
            return value
        except Refusal as refusal:
            if self.prefix or str(refusal).startswith("Layer "):
                raise
            raise Refusal(
                f"Layer {self.assembly.layer or node.op!r} does not fit the engine: it {refusal}."
            ) from None

    # ---- values in other forms -----------------------------------------------------------------------------

    def path(self, place: int) -> Path:
        return (*self.prefix, place)

    def view(self, place: int) -> View:
        """The value in memory; what waits is computed now."""
        value = self.values[place]
        if isinstance(value, FixedArray):
            return self.assembly.constant(value)
        if isinstance(value, Expression):
            self.assembly.layer = self.consumers.name(place)
            padded = self.consumers.needs_rows(place)
            value = self.assembly.emit(value, self.targets.get(place), self.path(place), padded)
            self.values[place] = value
        view: View = value
        return view

    def expression(self, place: int) -> Expression:
        value = self.values[place]
        if isinstance(value, Expression):
            return value
        if isinstance(value, FixedArray):
            return _constant_expression(value, self.assembly)
        return stored(value)

    def sum(self, place: int) -> Expression:
        """As something that can be added to."""
        expression = self.expression(place)
        return expression if expression.is_sum else stored(self.view(place))

    # ---- operations ----------------------------------------------------------------------------------------

    def _value(self, place: int, node: Node) -> Any:
        if node.op == "constant":
            return node.value
        if node.op == "zeros":
            return FixedArray.from_ints(np.zeros(node.shape, np.int64), node.format)
        if (
            node.inputs
            and all(isinstance(self.values.get(i), FixedArray) for i in node.inputs)
            and node.op in VERBS
        ):
            return VERBS[node.op](*(self.values[i] for i in node.inputs), **node.attributes)
        handler: Callable[[Scope, int, Node], Any] | None = HANDLERS.get(node.op)
        if handler is None:
            raise Refusal(f"uses the verb {node.op!r}, which is not lowered")
        return handler(self, place, node)

    def add(self, place: int, node: Node) -> Expression:
        a, b = (self._broadcast(i, node.shape) for i in node.inputs)
        if node.op == "sub":
            if not b.linear:
                b = self._stored_again(node.inputs[1], node.shape)
            b = b.times(np.int64(-1), 0, b.shape, b.format)
        return a.plus(b, node.shape, node.format)

    def _stored_again(self, place: int, shape: tuple[int, ...]) -> Expression:
        return _repeated(self.view(place), shape, self.assembly, self.path(place))

    def _broadcast(self, place: int, shape: tuple[int, ...]) -> Expression:
        value = self.values[place]
        if isinstance(value, FixedArray):
            return _constant_expression(value, self.assembly, shape)
        if self.program.nodes[place].shape == shape:
            return self.sum(place)
        return _repeated(self.view(place), shape, self.assembly, self.path(place))

    def multiply(self, place: int, node: Node) -> Expression:
        a, b = node.inputs
        for x, factor in ((a, b), (b, a)):
            constant_factor = self.values[factor]
            if isinstance(constant_factor, FixedArray) and _per_channel(constant_factor):
                expression = self.sum(x)
                if (
                    not expression.linear
                    or expression.accumulator is not None
                    or expression.shape != node.shape
                ):
                    expression = stored(self.view(x))
                if expression.shape == node.shape:
                    ints = (
                        constant_factor.ints.reshape(-1)
                        if constant_factor.size > 1
                        else constant_factor.ints.reshape(())
                    )
                    return expression.times(ints, constant_factor.format.frac_bits, node.shape, node.format)
        views = [_wide(self.view(i), node.shape, self.assembly, self.path(i)) for i in (a, b)]
        frac = views[0].format.frac_bits + views[1].format.frac_bits
        return Expression(node.shape, node.format, ((Product(views[0], views[1], frac),),))

    def negate(self, place: int, node: Node) -> Expression:
        expression = self.sum(node.inputs[0])
        if not expression.linear:
            expression = stored(self.view(node.inputs[0]))
        return expression.times(np.int64(-1), 0, node.shape, node.format)

    def dot(self, place: int, node: Node) -> Expression:
        view, weights = self.view(node.inputs[0]), self.values[node.inputs[1]]
        if not isinstance(weights, FixedArray) or weights.ndim < 2:
            raise Refusal(
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
            before = self.expression(node.inputs[2])
            if not before.is_sum or (accumulator is not None and before.accumulator != accumulator):
                raise Refusal(
                    "continues a sum that has been rounded, or another accumulator; give both dots one "
                    "accumulator"
                )
            merged = replace(before, accumulator=None).plus(
                replace(expression, accumulator=None), node.shape, node.format
            )
            return replace(merged, accumulator=accumulator)
        return expression

    def relu(self, place: int, node: Node) -> Expression:
        e = self.expression(node.inputs[0])
        if e.table is not None or e.relu_before or e.relu_after or e.leak:
            e = stored(self.view(node.inputs[0]))
        if e.quantizer is None:
            return replace(e, relu_before=True, format=node.format)
        return replace(e, relu_after=True, format=node.format)

    def scaled(self, place: int, node: Node) -> Any:
        expression, power = self.expression(node.inputs[0]), node.attributes["power"]
        if expression.is_sum and expression.accumulator is None:
            return expression.scaled(power, node.format)
        return replace(self.view(node.inputs[0]), format=node.format)

    def maximum(self, place: int, node: Node) -> Expression:
        leaky = self.consumers.leaky.get(place)
        if leaky is not None:
            source, power = leaky
            return replace(self.sum(source), leak=power, format=node.format)
        views = [_wide(self.view(i), node.shape, self.assembly, self.path(i)) for i in node.inputs]
        frac = max(view.format.frac_bits for view in views)
        views = [self._with_fraction(view, frac, i) for view, i in zip(views, node.inputs, strict=True)]
        terms = tuple(replace(Scale.of(view), maximum=True) for view in views)
        return Expression(node.shape, node.format, (terms,))

    def _with_fraction(self, view: View, frac: int, place: int) -> View:
        f = view.format
        if f.frac_bits == frac:
            return view
        wide = QFormat(f.int_bits, frac, f.signed)
        copy = replace(stored(view), quantizer=Quantizer(wide, Rounding.FLOOR, Overflow.WRAP), format=wide)
        return self.assembly.emit(copy, None, self.path(place))

    def reduce(self, place: int, node: Node) -> Expression:
        """Sums and maxima over one axis."""
        view, largest = self.view(node.inputs[0]), node.op == "max"
        axis = node.attributes["axis"] % len(view.axes)
        over, axes = view.axes[axis], list(view.axes)
        if axis == len(axes) - 1:
            axes[axis] = ()
            if not node.attributes["keepdims"]:
                axes = axes[:axis]
                shape: tuple[int, ...] = (*node.shape, 1)
                view_1 = replace(view, axes=(*axes, ()))
                scale = _over(view_1, over, view.format.frac_bits, largest)
                result = self.assembly.emit(
                    Expression(shape, node.format, ((scale,),)), None, self.path(place)
                )
                return stored(replace(result, axes=result.axes[:-1]))
        else:
            axes[axis : axis + 1] = [()] if node.attributes["keepdims"] else []
        scale = _over(replace(view, axes=tuple(axes)), over, view.format.frac_bits, largest)
        return Expression(node.shape, node.format, ((scale,),))

    def windows(self, place: int, node: Node) -> View:
        view = self.view(node.inputs[0])
        if self.consumers.needs_rows(place) and not is_rows(view, (), self.assembly.lanes):
            view = self.assembly.copied(view, self.path(node.inputs[0]))
        return view.windows(**node.attributes)

    def reshape(self, place: int, node: Node) -> View:
        view = self.view(node.inputs[0])
        try:
            return view.reshape(node.shape)
        except Refusal:  # the padding between pixels is in the way
            target, strides = self.assembly.target(view.shape, padded=False)
            self.assembly.copied(view, self.path(place), target)
            return View(target.buffer, 0, dense_axes(view.shape, strides), view.format).reshape(node.shape)

    def index(self, place: int, node: Node) -> Any:
        value, index = self.values[node.inputs[0]], node.attributes["index"]
        chosen = _columns(index, len(self.program.nodes[node.inputs[0]].shape))
        if isinstance(value, Expression) and chosen is not None and len(value.parts) == 1:
            return replace(value.columns(chosen, node.shape), format=node.format)
        return self.view(node.inputs[0]).index(index)

    def concat(self, place: int, node: Node) -> View:
        axis = node.attributes["axis"] % len(node.shape)
        if axis != len(node.shape) - 1:
            raise Refusal("joins values along another axis than the last, which is not lowered")
        target, strides = self.assembly.target(node.shape)
        at = 0
        for i in node.inputs:
            expression = self.expression(i)
            if not expression.is_sum:
                expression = stored(self.view(i))
            if isinstance(self.values[i], FixedArray):
                expression = stored(self.view(i))
            wide = replace(
                expression,
                quantizer=Quantizer(node.format, Rounding.FLOOR, Overflow.WRAP),
                format=node.format,
            )
            self.assembly.emit(wide, replace(target, offset=at), self.path(place))
            at += self.program.nodes[i].shape[-1]
        return View(target.buffer, 0, dense_axes(node.shape, strides), node.format)

    def lookup(self, place: int, node: Node) -> Expression:
        table = node.attributes["table"]
        e = self.expression(node.inputs[0])
        if e.quantizer is None or e.table is not None or e.quantizer.format != table.input_format:
            exact = Quantizer(table.input_format, Rounding.FLOOR, Overflow.WRAP)
            e = replace(stored(self.view(node.inputs[0])), quantizer=exact)
        return replace(e, table=table, format=node.format)

    def cast(self, place: int, node: Node) -> Any:
        quantizer = node.attributes["quantizer"]
        if not isinstance(quantizer, Quantizer):
            raise Refusal("rounds activations channel by channel; use one quantizer for all channels")
        e = self.expression(node.inputs[0])
        holds = _holds(quantizer.format, e.format)
        if e.quantizer is not None or e.table is not None:
            if holds:  # nothing is lost: the same integers under another name
                return replace(e, format=node.format)
            e = stored(self.view(node.inputs[0]))
        elif isinstance(self.values[node.inputs[0]], View) and holds:
            return self._renamed(node)
        return replace(e, quantizer=quantizer, format=node.format)

    def _renamed(self, node: Node) -> View:
        return replace(self.view(node.inputs[0]), format=node.format)

    def argmax(self, place: int, node: Node) -> View:
        """A search over each pixel's words."""
        if node.attributes["axis"] % len(self.program.nodes[node.inputs[0]].shape) != len(node.shape):
            raise Refusal("searches along another axis than the last, which is not lowered")
        waits = isinstance(self.values[node.inputs[0]], Expression)
        view = self.view(node.inputs[0])
        pixels = prod(node.shape)
        buffer = self.assembly.buffer(self.assembly.layer, pixels)
        flat = view.reshape((pixels, view.shape[-1]))
        for pixel in range(pixels):
            if not waits or pixels > 1:  # else the run that has just been emitted searches as well
                self.assembly.copied(flat.index((slice(pixel, pixel + 1),)), ())
            search = self.assembly.items[-1]
            assert isinstance(search, Kernel)
            search.argmax, search.write = True, waits and pixels == 1
            word = View(buffer, pixel, ((),), node.format)
            self.assembly.items.append(Keep(word, self.path(place)))
        strides = np.cumprod([1, *node.shape[:0:-1]])[::-1].tolist()
        return View(buffer, 0, dense_axes(node.shape, [0, *strides[1:]] if node.shape else []), node.format)


def _over(view: View, over: tuple[Atom, ...], frac: int, maximum: bool) -> Scale:
    channels = prod(atom.size for atom in view.axes[-1])
    taps = 1 if maximum else prod(atom.size for atom in over)
    if maximum:
        taps = prod(atom.size for atom in over)
    return Scale(view, np.ones((taps, channels), np.int64), frac, over, maximum)


def _holds(wide: QFormat, f: QFormat) -> bool:
    """Every integer of f is one of `wide`, and worth the same."""
    return wide.frac_bits == f.frac_bits and wide.int_min <= f.int_min and f.int_max <= wide.int_max


def _per_channel(value: FixedArray) -> bool:
    return value.size == 1 or value.size == value.shape[-1]


def _constant_expression(
    value: FixedArray, assembly: Assembly, shape: tuple[int, ...] | None = None
) -> Expression:
    shape = value.shape if shape is None else shape
    if not _per_channel(value):
        return _repeated(assembly.constant(value), shape, assembly, ())
    channels = shape[-1] if shape else 1
    ints = np.broadcast_to(value.ints.reshape(-1), (channels,))
    return constant(ints, value.format.frac_bits, shape, value.format)


def _columns(index: Any, ndim: int) -> slice | None:
    """The slice of the last axis if that is all that is indexed."""
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items[at : at + 1] = [slice(None)] * (ndim - len(items) + 1)
    if len(items) != ndim or any(item != slice(None) for item in items[:-1]):
        return None
    last = items[-1]
    return last if isinstance(last, slice) and last.step in (None, 1) else None


def _repeated(view: View, shape: tuple[int, ...], assembly: Assembly, path: Path) -> Expression:
    return stored(_wide(view, shape, assembly, path))


def _wide(view: View, shape: tuple[int, ...], assembly: Assembly, path: Path) -> View:
    """The value repeated to a shape: pixels by a stride of 0, channels by a copy of each."""
    if view.shape == shape:
        return view
    axes = [(), *view.axes] if len(view.axes) < len(shape) else list(view.axes)
    axes = [()] * (len(shape) - len(axes)) + axes
    if view.shape and view.shape[-1] != shape[-1]:
        repeated = (*view.axes[:-1], (Atom(shape[-1], 0),))
        view = assembly.copied(replace(view, axes=repeated), path)
        axes = [()] * (len(shape) - len(view.axes)) + list(view.axes)
    for number, (axis, size) in enumerate(zip(axes, shape, strict=True)):
        if not axis and size > 1:
            axes[number] = (Atom(size, 0),)
    return replace(view, axes=tuple(axes))


HANDLERS: dict[str, Callable[[Scope, int, Node], Any]] = {
    "add": Scope.add,
    "sub": Scope.add,
    "mul": Scope.multiply,
    "neg": Scope.negate,
    "dot": Scope.dot,
    "relu": Scope.relu,
    "scaled": Scope.scaled,
    "maximum": Scope.maximum,
    "max": Scope.reduce,
    "sum": Scope.reduce,
    "windows": Scope.windows,
    "reshape": Scope.reshape,
    "index": Scope.index,
    "concat": Scope.concat,
    "lookup": Scope.lookup,
    "cast": Scope.cast,
    "argmax": Scope.argmax,
    "take": tokens.take,
    "scan": recurrence.scan,
    "result": recurrence.result,
}


def input_view(scope: Scope, assembly: Assembly, shape: Sequence[int], format: QFormat, place: int) -> View:
    """Where the host writes a sample."""
    target = scope.targets.get(place)
    if target is not None:
        block = target.stride, scope.blocks[place]
        axes = ((), (Atom(prod(shape) // block[1], block[0]), Atom(block[1], 1)))
        return View(target.buffer, target.offset, axes, format).reshape(shape)
    assembly.layer = "input"
    target, strides = assembly.target(shape, scope.consumers.needs_rows(place))
    return View(target.buffer, 0, dense_axes(shape, strides), format)
