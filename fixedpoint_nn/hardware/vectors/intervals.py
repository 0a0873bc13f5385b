# SPDX-License-Identifier: MIT
"""Interval arithmetic over a program: bounds of every element's integers for all inputs.

The intervals follow from formats, tables and the actual weights. They contain every possible value, and maybe others: a
value outside is proven impossible.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import VERBS, Program, TracedNode
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

Interval = tuple[FixedArray, FixedArray]  # lowest and highest values, element by element
NodeObserver = Callable[[Program, int, dict[int, Interval]], None]
RISING = ("sigmoid", "tanh", "exp")  # a correctly rounded table of a monotonic function is monotonic
ARITHMETIC = ("add", "sub", "mul", "neg")
MOST_LEAVES = 4  # operands of an expression that is evaluated at all combinations of their ends


def follow(program: Program, inputs: tuple[Interval, ...], watch: NodeObserver) -> tuple[Interval, ...]:
    """The intervals of a program's outputs; `watch` is called after every node with the intervals so far."""
    values: dict[int, Interval] = {}
    waiting = iter(inputs)
    for place, node in enumerate(program.nodes):
        values[place] = _value(program, place, node, values, waiting, watch)
        watch(program, place, values)
    return tuple(values[place] for place in program.outputs)


def _value(
    program: Program,
    place: int,
    node: TracedNode,
    values: dict[int, Interval],
    waiting: Any,
    watch: NodeObserver,
) -> Interval:
    """The interval of one node's value, from those of its operands."""
    operands = [values[i] for i in node.inputs]
    if node.op == "input":
        return next(waiting)  # type: ignore[no-any-return]
    if node.value is not None:
        return node.value, node.value
    if node.op == "scan":
        return _scanned(node, operands, watch)  # type: ignore[no-any-return]
    if node.op == "result":
        return operands[0][node.attributes["index"]]  # type: ignore[return-value]
    if node.op in ARITHMETIC:
        return _at_all_ends(program, place, values)
    if node.op == "dot":
        return _dot(program, node, operands)
    if node.op == "take":
        return _looked_up(program, node, operands)
    if node.op == "cast":
        return _cast(node, operands[0])
    if node.op in ("argmax", "matmul") or (node.op == "lookup" and node.attributes["function"] not in RISING):
        return everything(node.format, node.shape)
    # The others are monotonic in every operand, so ends map to ends.
    low, high = (VERBS[node.op](*(operand[end] for operand in operands), **node.attributes) for end in (0, 1))
    return low, high


def everything(format: QFormat, shape: tuple[int, ...]) -> Interval:
    """The interval of all values of a format, for every element."""
    low, high = (
        FixedArray.from_ints(np.full(shape, end, np.int64), format)
        for end in (format.int_min, format.int_max)
    )
    return low, high


def _scanned(node: TracedNode, operands: list[Interval], watch: NodeObserver) -> Any:
    """The intervals of a scan: its output sequence, then its final states."""
    assert node.body is not None
    x, *states = operands
    results: list[Interval] = []
    for t in range(x[0].shape[1]):
        now = (x[0][:, t], x[1][:, t])
        y, *states = follow(node.body, (now, *states), watch)
        results.append(y)
    joined = []
    for end in (0, 1):
        parts = [y[end].reshape(y[end].shape[0], 1, *y[end].shape[1:]) for y in results]
        joined.append(parts[0].concat(parts[1:], axis=1))
    return [(joined[0], joined[1]), *states]


def _at_all_ends(program: Program, place: int, values: dict[int, Interval]) -> Interval:
    """The interval of a multilinear expression: its extremes are at the ends of its operands."""
    degrees = _degrees(program, place)
    leaves = list(degrees)
    if len(leaves) > MOST_LEAVES or max(degrees.values(), default=0) > 1:
        leaves = [i for i in dict.fromkeys(program.nodes[place].inputs) if program.nodes[i].value is None]
        if max(map(program.nodes[place].inputs.count, leaves), default=0) > 1:
            return everything(program.nodes[place].format, program.nodes[place].shape)
    lows, highs = [], []
    for ends in product((0, 1), repeat=len(leaves)):
        chosen = {leaf: values[leaf][end] for leaf, end in zip(leaves, ends, strict=True)}
        value = _evaluated(program, place, chosen)
        lows.append(value.ints)
        highs.append(value.ints)
    return (
        FixedArray.from_ints(np.minimum.reduce(lows), value.format),
        FixedArray.from_ints(np.maximum.reduce(highs), value.format),
    )


def _degrees(program: Program, place: int) -> dict[int, int]:
    """The degree of an expression in each of its operands."""
    node = program.nodes[place]
    if node.value is not None:
        return {}
    if node.op not in ARITHMETIC:
        return {place: 1}
    parts = [_degrees(program, i) for i in node.inputs]
    combine = sum if node.op == "mul" else max
    return {
        leaf: combine([part.get(leaf, 0) for part in parts])
        for leaf in dict.fromkeys(leaf for part in parts for leaf in part)
    }


def _evaluated(program: Program, place: int, chosen: dict[int, FixedArray]) -> FixedArray:
    node = program.nodes[place]
    if place in chosen:
        return chosen[place]
    if node.value is not None:
        return node.value
    result: FixedArray = VERBS[node.op](*(_evaluated(program, i, chosen) for i in node.inputs))
    return result


def _dot(program: Program, node: TracedNode, operands: list[Interval]) -> Interval:
    """The interval of a product with constant weights; that of its format for any other."""
    weights = program.nodes[node.inputs[1]].value
    if weights is None or node.attributes.get("accumulator") is not None:
        return everything(node.format, node.shape)
    source = program.nodes[node.inputs[0]]
    if (
        source.op == "take"
        and len(operands) == 2
        and (rows := program.nodes[source.inputs[0]].value) is not None
    ):
        results = rows.dot(weights)  # the product of each row, of which one is looked up
        if source.attributes["axis"] == 0:
            return _ends(results, node.shape)
    (low, high), ints = operands[0], weights.ints
    above, below = (
        FixedArray.from_ints(part, weights.format) for part in (np.maximum(ints, 0), np.minimum(ints, 0))
    )
    ends = low.dot(above) + high.dot(below), high.dot(above) + low.dot(below)
    if len(operands) == 3:
        ends = ends[0] + operands[2][0], ends[1] + operands[2][1]
    return ends


def _looked_up(program: Program, node: TracedNode, operands: list[Interval]) -> Interval:
    rows = program.nodes[node.inputs[0]].value
    if rows is None or node.attributes["axis"] != 0:
        return everything(node.format, node.shape)
    first, last = int(operands[1][0].ints.min()), int(operands[1][1].ints.max())
    return _ends(rows[max(first, 0) : last + 1], node.shape)


def _ends(rows: FixedArray, shape: tuple[int, ...]) -> Interval:
    """The interval of any row of a weight, for every element of a lookup."""
    low, high = (
        FixedArray.from_ints(np.broadcast_to(end, shape).copy(), rows.format)
        for end in (rows.ints.min(axis=0), rows.ints.max(axis=0))
    )
    return low, high


def _cast(node: TracedNode, interval: Interval) -> Interval:
    quantizer = node.attributes["quantizer"]
    saturates = isinstance(quantizer, Quantizer) and quantizer.overflow in (
        Overflow.SATURATE,
        Overflow.SATURATE_SYMMETRIC,
    )
    if not saturates:
        return everything(node.format, node.shape)
    return interval[0].cast(quantizer), interval[1].cast(quantizer)


def inputs(program: Program, codes: range) -> Interval:
    """The interval of the program's only input, whose elements are in `codes`."""
    node = program.nodes[program.inputs[0]]
    low, high = (
        FixedArray.from_ints(np.full(node.shape, end, np.int64), node.format) for end in (codes[0], codes[-1])
    )
    return low, high


def zeros(program: Program, place: int) -> int:
    """The number of low bits that are 0 in every integer at this node, for all inputs."""
    node = program.nodes[place]
    if node.value is not None:
        joined = int(np.bitwise_or.reduce(node.value.ints.ravel(), initial=0))
        return (joined & -joined).bit_length() - 1 if joined else 62
    if node.op in ("take", "reshape", "transpose", "index", "windows", "max", "sum", "relu", "neg"):
        return zeros(program, node.inputs[0])
    if node.op == "mul" or (
        node.op == "dot" and len(node.inputs) == 2 and not node.attributes["accumulator"]
    ):
        return sum(zeros(program, i) for i in node.inputs)
    if node.op in ("add", "sub"):
        finer = [node.format.frac_bits - program.nodes[i].format.frac_bits for i in node.inputs]
        return min(zeros(program, i) + shift for i, shift in zip(node.inputs, finer, strict=True))
    return 0
