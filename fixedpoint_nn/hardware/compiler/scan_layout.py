# SPDX-License-Identifier: MIT
"""Memory layout of loops over time, so that one run reads [x | h] without a copy.

The engine reads the operands of one sum from adjacent words. So a loop keeps its sequence in rows, one per time step,
with the states beside it:

    row t:  [ temporary | x(t) | h(t-1) ]        h(t) is written into row t + 1

and a register adds t * (row length) to addresses. The state is read last, because it is written last. A state that is
not read together with x stays in one place.

The rows of a batch follow one another, sample by sample: the last state of a sample is written into the first row of
the next one, whose own state has been read by then. So all rows are equally far apart, as a host port needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View, dense_axes
from fixedpoint_nn.numbers.traced.program import Program, TracedNode
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow

# Verbs whose result is a view, or not stored yet.
ELSEWHERE = ("result", "scan", "index", "windows", "concat", "argmax")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one loop.

    `offsets` are the places in a row of the body's values; for states, of those before the step.
    """

    region: Buffer
    register: Register
    stride: int
    steps: int
    offsets: dict[int, int] = field(default_factory=dict)

    @property
    def sample(self) -> int:
        """The words from one sample's rows to the next one's."""
        return self.stride * self.steps


def _root(program: Program, place: int) -> int:
    while program.nodes[place].op in ("reshape", "index"):
        place = program.nodes[place].inputs[0]
    return place


def size_of(node: TracedNode) -> int:
    """The number of words of a sample of this value."""
    return prod(node.shape[1:])


def samples_of(program: Program) -> int:
    """The number of samples that a loop's body works on."""
    return program.nodes[program.inputs[0]].shape[0]


def _sums(body: Program) -> list[tuple[list[int], bool]]:
    """For each sum of several dot products: (values that it reads, whether their order matters)."""
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
        found.append((chain, accumulator is not None and accumulator.overflow is not Overflow.WRAP))
    return found


def _order(body: Program) -> list[int]:
    """The values of a row in an order in which each sum reads adjacent values, if possible."""
    sums = _sums(body)
    if not sums:
        return []
    first = sums[0][0]
    x = first[0]
    if len(set(first)) < len(first):
        return []
    row = list(first)
    for chain, strict in sums[1:]:
        new = [value for value in chain if value not in row]
        if strict or len(chain) != 2 or len(new) != 1 or x not in chain:
            continue
        if row[-1] == x:
            row.append(new[0])
        elif row[0] == x:
            row.insert(0, new[0])
    return row


def plan_rows(
    program: Program, builder: Builder
) -> tuple[dict[int, Rows], dict[int, Target], dict[int, int]]:
    """(rows of every loop, targets of values that are computed directly into them, their block sizes)."""
    plans: dict[int, Rows] = {}
    targets: dict[int, Target] = {}
    blocks: dict[int, int] = {}
    for place, node in enumerate(program.nodes):
        if node.op != "scan":
            continue
        body, lanes = node.body, builder.lanes
        assert body is not None
        order = _order(body)
        if not order:
            continue
        states = [i for i in order if i in body.inputs[1:]]
        offsets, end = _offsets(body, order, states, lanes)
        steps = program.nodes[node.inputs[0]].shape[1]
        stride = -(-end // lanes) * lanes
        words = (samples_of(body) * steps + 1) * stride
        region = builder.buffer("rows", words, used=words)
        rows = Rows(region, Register(stride, span=(steps - 1) * stride), stride, steps, offsets)
        plans[place] = rows
        x = body.inputs[0]
        source = node.inputs[0]
        while program.nodes[source].op == "reshape":
            source = program.nodes[source].inputs[0]
        root = program.nodes[source]
        block = size_of(body.nodes[x])
        last = root.shape[-1] if root.shape else 1
        free = source not in targets and root.op not in ELSEWHERE
        if x in offsets and free and (root.op == "input" or last == block):
            targets[source] = Target(region, offsets[x], stride)
            blocks[source] = block
    return plans, targets, blocks


def in_place(body: Program, builder: Builder, states: Sequence[int]) -> tuple[list[View], dict[int, Target]]:
    """(views of states that stay in one place, targets of values in the same row).

    A state that is read together with other values is in a row with them.
    """
    order = _order(body)
    offsets, end = _offsets(body, order, states, builder.lanes)
    row = builder.buffer("row", end, used=builder.padded(end)) if order else None
    found: dict[int, View] = {}
    targets: dict[int, Target] = {}
    for value in [*order, *(state for state in states if state not in order)]:
        node = body.nodes[value]
        size = size_of(node)
        if value in offsets:
            assert row is not None
            slot = Buffer("slot", size, parent=row, offset=offsets[value])
            if value not in body.inputs:
                targets[value] = Target(slot, 0, size)
        else:
            slot = builder.buffer("state", size)
        if value in states:
            found[value] = View(slot, 0, dense_axes((1, size), (0, 1)), node.format).reshape(node.shape)
    return [found[state] for state in states], targets


def _offsets(
    body: Program, order: Sequence[int], states: Sequence[int], lanes: int
) -> tuple[dict[int, int], int]:
    """(offsets in a row, length); the first state is aligned to a memory row, so that all lanes read it at once."""
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
