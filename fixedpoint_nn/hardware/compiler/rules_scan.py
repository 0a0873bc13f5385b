# SPDX-License-Identifier: MIT
"""The rule for scan: a loop whose body is lowered once, with registers that advance through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.ir import Item, LoopItem, WriteBack
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.scan_layout import Rows, samples_of, size_of
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
    loop = _Loop(scope, steps, rows, samples_of(body))
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
            results[0] = builder.copied(results[0].flat, (), there)
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

    def __init__(self, scope: Scope, steps: int, rows: Rows | None, samples: int) -> None:
        self.scope, self.steps, self.rows = scope, steps, rows
        self.builder = scope.builder
        self.samples = samples
        self.registers: dict[int, Register] = {}
        if rows is not None:
            self.registers[rows.stride] = rows.register
        self.counter = Register()

    def target(self, buffer: Buffer, size: int, distance: int) -> Target:
        """The target of a value of `size` words in each sample, samples `distance` words apart."""
        return Target(buffer, 0, distance if self.samples > 1 else size)

    def view(self, buffer: Buffer, node: TracedNode, distance: int) -> View:
        """The view of a value in `buffer`, samples `distance` words apart."""
        axes = dense_axes((self.samples, size_of(node)), (distance, 1))
        return View(buffer, 0, axes, node.format).reshape(node.shape)

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
                self.builder.copied(xs.reshape((self.samples, self.steps, words)), (), target)
            return self.view(self._slot(offset, words), body.nodes[x], self.rows.sample)
        time = walk[0].stride if walk else 0
        alias = Buffer("x", xs.buffer.words, parent=xs.buffer, offset=0, loop_register=self.register(time))
        return replace(at, buffer=alias)

    def state(self, body: Program, before: int, after: int, inner: Scope) -> tuple[View, Target | None]:
        """(view of a state before the step, target of the state after it, None if it is free)."""
        node = body.nodes[before]
        size = size_of(node)
        if self.rows is not None and before in self.rows.offsets:
            offset = self.rows.offsets[before]
            target = self.target(self._slot(offset + self.rows.stride, size), size, self.rows.sample)
            if after not in inner.targets and after not in body.inputs:
                inner.targets[after] = target
            return self.view(self._slot(offset, size), node, self.rows.sample), target
        distance = self.builder.padded(size)
        buffer = self.builder.buffer("state", distance * self.samples)
        return self.view(buffer, node, distance), None

    def temporaries(self, body: Program, inner: Scope) -> None:
        """Compute other values of the row directly into it."""
        assert self.rows is not None
        for value, offset in self.rows.offsets.items():
            if value not in body.inputs:
                size = size_of(body.nodes[value])
                inner.targets[value] = self.target(self._slot(offset, size), size, self.rows.sample)

    def begin(self, initial: object, argument: View, scope: Scope, outer: int, name: str) -> None:
        """Append the initialisation of a state."""
        buffer, offset = argument.place
        target = Target(buffer, offset, argument.distance)
        if isinstance(initial, FixedArray) and (initial.ints == initial.ints[:1]).all():
            self.builder.layer = name
            self.builder.fill(initial, target)
        else:
            start = scope.view(outer).flat
            self.builder.layer = name
            self.builder.copied(start, (), target)

    def sequence_target(self, node: TracedNode, steps: int) -> Target:
        """The target of the stacked outputs of all steps."""
        size = size_of(node)
        stride = self.builder.padded(size)
        buffer = self.builder.buffer("outputs", stride * steps * self.samples)
        output = Buffer("output", stride, parent=buffer, loop_register=self.register(stride))
        return self.target(output, size, stride * steps)

    def close_states(
        self, body: Program, inner: Scope, views: Sequence[View], starts: Sequence[tuple[View, Target | None]]
    ) -> list[View]:
        """Write back states that are not where the next step reads them; returns the views of the final states."""
        finals, written_back = [], []
        for number, (view, (argument, target)) in enumerate(zip(views, starts, strict=True)):
            before, after = body.inputs[1 + number], body.outputs[1 + number]
            if target is not None:
                if view.place != target.place or view.buffer.register is not target.buffer.register:
                    self.builder.copied(view.flat, (), target)
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
