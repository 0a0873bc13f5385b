# SPDX-License-Identifier: MIT
"""The rule for scan: a loop whose body is lowered once, with registers that advance through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.ir import Item, LoopItem, WriteBack
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.scan_layout import Rows, size_of
from fixedpoint_nn.hardware.compiler.scope import Scope
from fixedpoint_nn.hardware.compiler.strided_view import (
    Atom,
    Buffer,
    Register,
    View,
    dense_axes,
    merge,
)
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program, TracedNode


def scan(scope: Scope, place: int, node: TracedNode) -> list[View]:
    """Lower scan; returns the views of its results."""
    builder, body = scope.builder, node.body
    assert body is not None
    if scope.prefix:
        raise LoweringError("has a loop inside of a loop, which is not lowered")
    xs = scope.view(node.inputs[0])
    steps = xs.shape[1]
    rows = scope.rows.get(place)
    loop = _Loop(scope, steps, rows)
    inner = Scope(builder, body, scope.rules, (place,))
    arguments = [loop.sequence(xs, body)]
    if rows is not None:
        loop.temporaries(body, inner)
    starts = []
    for number, outer in enumerate(node.inputs[1:]):
        argument, after = loop.state(body, body.inputs[1 + number], body.outputs[1 + number], inner)
        initial = scope.values[outer]
        name = inner.consumers.name(body.outputs[1 + number])
        loop.begin(initial, argument, scope, outer, f"{name or 'state'} (initial)")
        arguments.append(argument)
        starts.append((argument, after))
    y = body.outputs[0]
    if y not in inner.targets:
        inner.targets[y] = loop.sequence_target(body.nodes[y], steps)
    with builder.block() as items:
        results = inner.run(*arguments)
        there = inner.targets[y]
        if results[0].place != there.place or results[0].buffer.register is not there.buffer.register:
            results[0] = builder.copied(results[0].reshape((1, prod(results[0].shape))), (), there)
        finals = loop.close_states(body, inner, results[1:], starts)
    builder.registers(loop.counter, *loop.registers.values())
    builder.items.append(loop.closed(items))
    return [loop.stacked(results[0], inner.targets[y], steps), *finals]


def result(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower result: one of a loop's results."""
    views = scope.values[node.inputs[0]]
    assert isinstance(views, list)
    view: View = views[node.attributes["index"]]
    return view


class _Loop:
    """The registers, sequences and states of one loop."""

    def __init__(self, scope: Scope, steps: int, rows: Rows | None) -> None:
        self.scope, self.steps, self.rows = scope, steps, rows
        self.builder = scope.builder
        self.registers: dict[int, Register] = {}
        if rows is not None:
            self.registers[rows.stride] = rows.register
        self.counter = Register()

    def register(self, stride: int) -> Register:
        return self.registers.setdefault(stride, Register(stride))

    def _slot(self, offset: int, words: int) -> Buffer:
        assert self.rows is not None
        return Buffer("row", words, parent=self.rows.region, offset=offset, loop_register=self.rows.register)

    def sequence(self, xs: View, body: Program) -> View:
        """The view of x at time t."""
        x = body.inputs[0]
        at = xs.index((slice(None), 0))  # raises for a time axis made of several axes
        walk = merge(xs.axes[1])
        if self.rows is not None and x in self.rows.offsets:
            offset, words = self.rows.offsets[x], size_of(body.nodes[x])
            time = walk[0].stride if walk else self.rows.stride
            if xs.place != (self.rows.region, offset) or time != self.rows.stride:
                target = Target(self.rows.region, offset, self.rows.stride)
                self.builder.copied(xs.reshape((1, self.steps, words)), (), target)
            return View(self._slot(offset, words), 0, dense_axes((1, words), (0, 1)), xs.format).reshape(
                at.shape
            )
        time = walk[0].stride if walk else 0
        alias = Buffer("x", xs.buffer.words, parent=xs.buffer, offset=0, loop_register=self.register(time))
        return replace(at, buffer=alias)

    def state(self, body: Program, before: int, after: int, inner: Scope) -> tuple[View, Target | None]:
        """(view of a state before the step, target of the state after it, None if it is free)."""
        node = body.nodes[before]
        size = size_of(node)
        axes = dense_axes((1, size), (0, 1))
        if self.rows is not None and before in self.rows.offsets:
            offset = self.rows.offsets[before]
            target = Target(self._slot(offset + self.rows.stride, size), 0, size)
            if after not in inner.targets and after not in body.inputs:
                inner.targets[after] = target
            return View(self._slot(offset, size), 0, axes, node.format).reshape(node.shape), target
        buffer = self.builder.buffer("state", size)
        return View(buffer, 0, axes, node.format).reshape(node.shape), None

    def temporaries(self, body: Program, inner: Scope) -> None:
        """Compute other values of the row directly into it."""
        assert self.rows is not None
        for value, offset in self.rows.offsets.items():
            if value not in body.inputs:
                size = size_of(body.nodes[value])
                inner.targets[value] = Target(self._slot(offset, size), 0, size)

    def begin(self, initial: object, argument: View, scope: Scope, outer: int, name: str) -> None:
        """Append the initialisation of a state."""
        buffer, offset = argument.place
        size = prod(argument.shape)
        target = Target(buffer, offset, size)
        if isinstance(initial, FixedArray) and initial.size == size:
            self.builder.layer = name
            self.builder.fill(initial, target)
        else:
            start = scope.view(outer).reshape((1, size))
            self.builder.layer = name
            self.builder.copied(start, (), target)

    def sequence_target(self, node: TracedNode, steps: int) -> Target:
        """The target of the stacked outputs of all steps."""
        size = size_of(node)
        stride = self.builder.padded(size)
        buffer = self.builder.buffer("outputs", stride * steps)
        return Target(Buffer("output", stride, parent=buffer, loop_register=self.register(stride)), 0, size)

    def close_states(
        self, body: Program, inner: Scope, views: Sequence[View], starts: Sequence[tuple[View, Target | None]]
    ) -> list[View]:
        """Write back states that are not where the next step reads them; returns the views of the final states."""
        finals, written_back = [], []
        for number, (view, (argument, target)) in enumerate(zip(views, starts, strict=True)):
            before, after = body.inputs[1 + number], body.outputs[1 + number]
            if target is not None:
                if view.place != target.place or view.buffer.register is not target.buffer.register:
                    self.builder.copied(view.reshape((1, prod(view.shape))), (), target)
                assert self.rows is not None
                offset = self.rows.offsets[before] + self.rows.stride * self.steps
                final = View(self.rows.region, offset, argument.axes, argument.format)
            else:
                if after != before:
                    layer, refused = self.builder.layer, self.builder.refused
                    written_back.append(WriteBack(layer, refused, view, argument, after in body.inputs))
                final = argument
            finals.append(final)
        self.builder.items += written_back  # last, because the old states are read until then
        return finals

    def closed(self, body: Sequence[Item]) -> LoopItem:
        """The loop with the items of one step as its body."""
        return LoopItem(self.counter, self.steps, tuple(self.registers.values()), tuple(body))

    def stacked(self, view: View, target: Target, steps: int) -> View:
        """The view of the outputs of all steps, with time on axis 1."""
        register = target.buffer.register
        stride = register.stride if register is not None else 0
        root, offset = target.place
        axes = (view.axes[0], (Atom(steps, stride),) if steps > 1 else (), *view.axes[1:])
        return View(root, offset, axes, view.format)
