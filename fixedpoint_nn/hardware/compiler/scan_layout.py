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
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View, dense_axes
from fixedpoint_nn.numbers.traced.program import Node, Program
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow

if TYPE_CHECKING:
    from fixedpoint_nn.hardware.compiler.scope import Scope


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


def size_of(node: Node) -> int:
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
        block = size_of(body.nodes[x])
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
        size = size_of(node)
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
        before += size_of(body.nodes[value])
    at, offsets = -before % lanes, {}
    for value in order:
        offsets[value] = at
        at += size_of(body.nodes[value])
    return offsets, at
