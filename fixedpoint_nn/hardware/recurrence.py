# SPDX-License-Identifier: MIT
"""Loops over time: where inputs and states stand, so that one run reads [x | h] without a copy.

The engine reads the operands of one sum from neighbouring words. So a loop keeps its sequence in rows, one
per time step, with the states before and after it:

    row t:  [ h(t-1) | x(t) | temporary ]        h(t) is written into row t + 1

and a register adds t * (row length) to addresses. A state that no product reads together with x stays in one
place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from fixedpoint_nn.accumulator import Accumulator
from fixedpoint_nn.fixed import FixedArray
from fixedpoint_nn.hardware.assembly import Assembly, Repeat, Start, Step
from fixedpoint_nn.hardware.kernel import Kernel, Target
from fixedpoint_nn.hardware.refusal import Refusal
from fixedpoint_nn.hardware.views import Atom, Buffer, Register, View, dense_axes
from fixedpoint_nn.overflow import Overflow
from fixedpoint_nn.traced import Node, Program

if TYPE_CHECKING:
    from fixedpoint_nn.hardware.lower import Scope


@dataclass(eq=False)
class Rows:
    """The rows of one loop. `offsets` are those of the body's values, before the step for states."""

    region: Buffer
    register: Register
    stride: int
    offsets: dict[int, int] = field(default_factory=dict)


def _root(program: Program, place: int) -> int:
    while program.nodes[place].op in ("reshape", "index"):
        place = program.nodes[place].inputs[0]
    return place


def _size(node: Node) -> int:
    return prod(node.shape[1:])


def _sums(body: Program) -> list[tuple[list[int], bool]]:
    """For each sum of several dot products: the values that it reads, and whether their order matters."""
    found = []
    continued = {node.inputs[2] for node in body.nodes if node.op == "dot" and len(node.inputs) == 3}
    for place, node in enumerate(body.nodes):
        if node.op != "dot" or len(node.inputs) < 3 or place in continued:
            continue
        chain: list[int] = []
        while True:
            chain.insert(0, _root(body, node.inputs[0]))
            if len(node.inputs) < 3 or body.nodes[node.inputs[2]].op != "dot":
                break
            node = body.nodes[node.inputs[2]]
        accumulator: Accumulator | None = node.attributes["accumulator"]
        found.append((chain, accumulator is not None and accumulator.overflow is Overflow.SATURATE))
    return found


def _order(body: Program) -> list[int]:
    """The values of a row, from left to right, such that each sum reads neighbours if possible."""
    sums = _sums(body)
    if not sums:
        return []
    first, ordered = sums[0]
    x = first[0]
    if len(set(first)) < len(first):
        return []
    row = list(first) if ordered else first[::-1]
    for chain, strict in sums[1:]:
        new = [value for value in chain if value not in row]
        if strict or len(chain) != 2 or len(new) != 1 or x not in chain:
            continue
        if row[-1] == x:
            row.append(new[0])
        elif row[0] == x:
            row.insert(0, new[0])
    return row


def plan_rows(scope: Scope) -> dict[int, Rows]:
    """Rows for every loop of the program; what they are to hold is computed straight into them."""
    plans = {}
    for place, node in enumerate(scope.program.nodes):
        if node.op != "scan":
            continue
        body, lanes = node.body, scope.assembly.lanes
        assert body is not None
        order = _order(body)
        if not order:
            continue
        states = [i for i in order if i in body.inputs[1:]]
        offsets, end = _offsets(body, order, states, lanes)
        steps = scope.program.nodes[node.inputs[0]].shape[1]
        stride = -(-end // lanes) * lanes
        region = scope.assembly.buffer("rows", (steps + 1) * stride)
        rows = Rows(region, Register(stride), stride, offsets)
        region.used = (steps + 1) * stride
        rows.register.span = (steps - 1) * stride
        plans[place] = rows
        x = body.inputs[0]
        root = scope.program.nodes[node.inputs[0]]
        source = node.inputs[0]
        while root.op == "reshape":
            source = root.inputs[0]
            root = scope.program.nodes[source]
        block = _size(body.nodes[x])
        last = root.shape[-1] if root.shape else 1
        free = source not in scope.targets and root.op not in (
            "result",
            "scan",
            "index",
            "windows",
            "concat",
            "argmax",
        )
        if x in offsets and free and (root.op == "input" or last == block):
            scope.targets[source] = Target(region, offsets[x], stride)
            scope.blocks[source] = block
    return plans


def scan(scope: Scope, place: int, node: Node) -> list[View]:
    """Emit the loop; the views of its results."""
    from fixedpoint_nn.hardware.lower import Scope

    assembly, body = scope.assembly, node.body
    assert body is not None
    if scope.prefix:
        raise Refusal("has a loop inside of a loop, which is not lowered")
    xs = scope.view(node.inputs[0])
    steps = xs.shape[1]
    rows = scope.rows.get(place)
    loop = _Loop(scope, steps, rows)
    inner = Scope(assembly, body, (place,))
    arguments = [loop.sequence(xs, body)]
    if rows is not None:
        loop.temporaries(body, inner)
    starts = []
    for number, outer in enumerate(node.inputs[1:]):
        argument, after = loop.state(body, body.inputs[1 + number], body.outputs[1 + number], inner)
        initial = scope.values[outer]
        loop.begin(initial, argument, scope, outer)
        arguments.append(argument)
        starts.append((argument, after))
    y = body.outputs[0]
    if y not in inner.targets:
        inner.targets[y] = loop.sequence_target(body.nodes[y], steps)
    begin = loop.open()
    results = inner.run(*arguments)
    there = inner.targets[y]
    if results[0].place != there.place or results[0].buffer.register is not there.buffer.register:
        results[0] = assembly.copied(results[0].reshape((1, prod(results[0].shape))), (), there)
    finals = loop.close_states(body, inner, results[1:], starts)
    loop.close(begin)
    return [loop.stacked(results[0], inner.targets[y], steps), *finals]


def result(scope: Scope, place: int, node: Node) -> View:
    """One of a loop's results."""
    views: list[View] = scope.values[node.inputs[0]]
    view: View = views[node.attributes["index"]]
    return view


class _Loop:
    """Registers, and where the sequences and states of one loop are."""

    def __init__(self, scope: Scope, steps: int, rows: Rows | None) -> None:
        self.scope, self.steps, self.rows = scope, steps, rows
        self.assembly = scope.assembly
        self.registers: dict[int, Register] = {}
        if rows is not None:
            self.registers[rows.stride] = rows.register
        self.counter = Register(0)

    def register(self, stride: int) -> Register:
        return self.registers.setdefault(stride, Register(stride))

    def _slot(self, offset: int, words: int) -> Buffer:
        assert self.rows is not None
        return Buffer("row", words, parent=self.rows.region, offset=offset, moves=self.rows.register)

    def sequence(self, xs: View, body: Program) -> View:
        """x at time t."""
        x = body.inputs[0]
        at = xs.index((slice(None), 0))
        if self.rows is not None and x in self.rows.offsets:
            offset, words = self.rows.offsets[x], _size(body.nodes[x])
            time = xs.axes[1][0].stride if xs.axes[1] else self.rows.stride
            if xs.place != (self.rows.region, offset) or time != self.rows.stride or len(xs.axes[1]) > 1:
                target = Target(self.rows.region, offset, self.rows.stride)
                self.assembly.copied(xs.reshape((1, self.steps, words)), (), target)
            return View(self._slot(offset, words), 0, dense_axes((1, words), (0, 1)), xs.format).reshape(
                at.shape
            )
        if len(xs.axes[1]) > 1:
            raise Refusal("loops over an axis that was made of several; keep time an axis of its own")
        time = xs.axes[1][0].stride if xs.axes[1] else 0
        alias = Buffer("x", xs.buffer.words, parent=xs.buffer, offset=0, moves=self.register(time))
        return replace(at, buffer=alias)

    def state(self, body: Program, before: int, after: int, inner: Scope) -> tuple[View, Target | None]:
        """A state before the step, and where the step is to put it; None: wherever it likes."""
        node = body.nodes[before]
        size = _size(node)
        axes = dense_axes((1, size), (0, 1))
        if self.rows is not None and before in self.rows.offsets:
            offset = self.rows.offsets[before]
            target = Target(self._slot(offset + self.rows.stride, size), 0, size)
            if after not in inner.targets and after not in body.inputs:
                inner.targets[after] = target
            return View(self._slot(offset, size), 0, axes, node.format).reshape(node.shape), target
        buffer = self.assembly.buffer("state", size)
        return View(buffer, 0, axes, node.format).reshape(node.shape), None

    def temporaries(self, body: Program, inner: Scope) -> None:
        """Other values of the row are computed straight into it."""
        assert self.rows is not None
        for value, offset in self.rows.offsets.items():
            if value not in body.inputs:
                size = _size(body.nodes[value])
                inner.targets[value] = Target(self._slot(offset, size), 0, size)

    def begin(self, initial: object, argument: View, scope: Scope, outer: int) -> None:
        """The first state."""
        buffer, offset = argument.place
        target = Target(buffer, offset, prod(argument.shape))
        if isinstance(initial, FixedArray) and initial.size == prod(argument.shape):
            self.assembly.fill(initial, target)
        else:
            self.assembly.copied(scope.view(outer).reshape((1, prod(argument.shape))), (), target)

    def sequence_target(self, node: Node, steps: int) -> Target:
        """Where the outputs of all steps are stacked."""
        size = _size(node)
        stride = self.assembly.padded(size)
        buffer = self.assembly.buffer("outputs", stride * steps)
        return Target(Buffer("output", stride, parent=buffer, moves=self.register(stride)), 0, size)

    def open(self) -> int:
        """Set the registers; the first item of the body."""
        self.assembly.items.append(Start(self.counter, self.steps))
        self.assembly.take_register(self.counter)
        self.starts = len(self.assembly.items)
        return self.starts

    def close_states(
        self, body: Program, inner: Scope, views: Sequence[View], starts: Sequence[tuple[View, Target | None]]
    ) -> list[View]:
        """Whatever is not yet where the next step expects it is moved there."""
        finals = []
        for number, (view, (argument, target)) in enumerate(zip(views, starts, strict=True)):
            before, after = body.inputs[1 + number], body.outputs[1 + number]
            if target is not None:
                if view.place != target.place or view.buffer.register is not target.buffer.register:
                    self.assembly.copied(view.reshape((1, prod(view.shape))), (), target)
                assert self.rows is not None
                offset = self.rows.offsets[before] + self.rows.stride * self.steps
                final = View(self.rows.region, offset, argument.axes, argument.format)
            else:
                if after != before:
                    give_back(self.assembly, self.starts, view, argument, after in body.inputs)
                final = argument
            finals.append(final)
        return finals

    def close(self, begin: int) -> None:
        """Step the registers, and go back."""
        moving = [register for register in self.registers.values() if register.stride]
        for register in self.registers.values():
            self.assembly.take_register(register)
        self.assembly.items[begin - 1 : begin - 1] = [
            Start(register, 0) for register in self.registers.values()
        ]
        shift = len(self.registers)
        self.assembly.items += [Step(register) for register in moving]
        self.assembly.items.append(Repeat(self.counter, begin + shift))
        for register in (*self.registers.values(), self.counter):
            self.assembly.give_register(register)

    def stacked(self, view: View, target: Target, steps: int) -> View:
        """The outputs of all steps, time on axis 1."""
        register = target.buffer.register
        stride = register.stride if register is not None else 0
        root, offset = target.place
        axes = (view.axes[0], (Atom(steps, stride),) if steps > 1 else (), *view.axes[1:])
        return View(root, offset, axes, view.format)


def give_back(assembly: Assembly, starts: int, view: View, argument: View, is_argument: bool) -> None:
    """The new state becomes the old one: in place if nothing reads the old one any more, else by copies."""
    items = assembly.items[starts:]
    writers = [
        n for n, item in enumerate(items) if isinstance(item, Kernel) and item.target.buffer is view.buffer
    ]
    readers = [
        n
        for n, item in enumerate(items)
        if isinstance(item, Kernel)
        and any(operand.buffer is argument.buffer for operand in (*item.operands, *item.factors))
    ]
    free = (
        view.buffer.parent is None and view.buffer.moves is None and view.offset == 0 and not view.buffer.tied
    )
    if not is_argument and free and writers and max(readers, default=-1) <= min(writers):
        assembly.buffers.remove(view.buffer)
        view.buffer.put(argument.buffer, 0)
        return
    copy = assembly.copied(view.reshape((1, prod(view.shape))), ())
    assembly.copied(copy, (), Target(argument.buffer, argument.offset, prod(argument.shape)))


def in_place(scope: Scope, states: Sequence[int]) -> list[View]:
    """States that stay where they are; one that is read beside other values stands in a row with them."""
    body, assembly = scope.program, scope.assembly
    order = _order(body)
    offsets, end = _offsets(body, order, states, assembly.lanes)
    row = assembly.buffer("row", end) if order else None
    if row is not None:
        row.used = row.words
    views = []
    for value in [*order, *(state for state in states if state not in order)]:
        node = body.nodes[value]
        size = _size(node)
        if value in offsets:
            assert row is not None
            slot = Buffer("slot", size, parent=row, offset=offsets[value])
            if value not in body.inputs:
                scope.targets[value] = Target(slot, 0, size)
        else:
            slot = assembly.buffer("state", size)
        if value in states:
            views.append(
                (value, View(slot, 0, dense_axes((1, size), (0, 1)), node.format).reshape(node.shape))
            )
    found = dict(views)
    return [found[state] for state in states]


def _offsets(
    body: Program, order: Sequence[int], states: Sequence[int], lanes: int
) -> tuple[dict[int, int], int]:
    """Offsets in a row; the first state begins a row of the memory, so that all lanes read it at once."""
    before = 0
    for value in order:
        if value in states:
            break
        before += _size(body.nodes[value])
    at, offsets = -before % lanes, {}
    for value in order:
        offsets[value] = at
        at += _size(body.nodes[value])
    return offsets, at
