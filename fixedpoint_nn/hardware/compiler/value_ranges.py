# SPDX-License-Identifier: MIT
"""Ranges of the integers of a traced program's values, per channel or for all channels.

They follow from formats, constants, tables and weights, for every input. For unsupported verbs and values in loops the
range is that of the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.traced.program import Program, TracedNode
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import shift_right

MOST_BITS = 62  # of a range's limits, so that sums of two fit int64
SAME_INTEGERS = ("reshape", "index", "windows", "dilated_windows", "transpose", "max", "scaled")


@dataclass(frozen=True)
class Range:
    """A range of integers; `low` and `high` are () or (channels,)."""

    low: Array
    high: Array

    @property
    def ends(self) -> tuple[int, int]:
        """(lowest, highest) integer over all channels."""
        return int(self.low.min()), int(self.high.max())

    def joined(self) -> Range:
        """One range for all channels."""
        low, high = self.ends
        return Range(np.asarray(low), np.asarray(high))

    def fits(self, format: QFormat) -> bool:
        """Whether the format holds every integer of the range."""
        low, high = self.ends
        return format.int_min <= low and high <= format.int_max


def whole_range(format: QFormat) -> Range:
    """The range of all integers of a format."""
    return Range(np.asarray(format.int_min), np.asarray(format.int_max))


def value_ranges(program: Program) -> list[Range]:
    """The range of each value of a program, in steps of its format."""
    ranges: list[Range] = []
    for node in program.nodes:
        found = _range(program, node, ranges)
        possible = found is not None and max(map(abs, found.ends)).bit_length() <= MOST_BITS
        ranges.append(found if found is not None and possible else whole_range(node.format))
    return ranges


def _range(program: Program, node: TracedNode, ranges: Sequence[Range]) -> Range | None:
    """The range of a value from its operands' ranges; None for that of the format."""
    if node.value is not None:
        ints = node.value.ints.reshape(-1, node.value.shape[-1]) if node.value.ndim else node.value.ints
        return Range(ints.min(axis=0), ints.max(axis=0)) if ints.size else None
    operands = [ranges[i] for i in node.inputs]
    match node.op:
        case "zeros":
            return Range(np.asarray(0), np.asarray(0))
        case "add" | "sub":
            a, b = (_aligned(program, i, ranges[i], node.format) for i in node.inputs)
            return Range(a.low + b.low, a.high + b.high) if node.op == "add" else _difference(a, b)
        case "neg":
            return Range(-operands[0].high, -operands[0].low)
        case "mul":
            return _product(*operands)
        case "dot":
            return _dot(program, node, operands[0]) if len(operands) == 2 else None
        case "relu":
            return Range(np.maximum(operands[0].low, 0), np.maximum(operands[0].high, 0))
        case "cast":
            return _cast(program, node, operands[0])
        case "lookup":
            return _looked_up(node, operands[0])
        case "sum":
            return _summed(program, node, operands[0])
        case "concat":
            if len({program.nodes[i].format.frac_bits for i in node.inputs} | {node.format.frac_bits}) > 1:
                return None
            low, high = min(r.ends[0] for r in operands), max(r.ends[1] for r in operands)
            return Range(np.asarray(low), np.asarray(high))
    if node.op not in SAME_INTEGERS:
        return None
    moved = operands[0].joined()
    if any(sum(pad) for pad in node.attributes.get("padding", ())):
        edge = node.format.int_min if node.attributes.get("lowest") else 0
        return Range(np.minimum(moved.low, edge), np.maximum(moved.high, edge))
    return moved


def _aligned(program: Program, place: int, range: Range, format: QFormat) -> Range:
    """The range in steps of a format with at least as many fraction bits."""
    up = format.frac_bits - program.nodes[place].format.frac_bits
    if up >= MOST_BITS or max(map(abs, range.ends)).bit_length() + up > MOST_BITS:
        return whole_range(format)
    return Range(range.low << up, range.high << up)


def _difference(a: Range, b: Range) -> Range:
    return Range(a.low - b.high, a.high - b.low)


def _product(a: Range, b: Range) -> Range | None:
    if max(map(abs, a.ends)) * max(map(abs, b.ends)) >> MOST_BITS:
        return None
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Range(np.minimum.reduce(corners), np.maximum.reduce(corners))


def _dot(program: Program, node: TracedNode, x: Range) -> Range | None:
    weights = program.nodes[node.inputs[1]].value
    if weights is None or weights.ndim < 2 or node.attributes.get("accumulator") is not None:
        return None
    ints, (low, high) = weights.ints, x.ends
    up, down = np.maximum(ints, 0).sum(axis=-2).reshape(-1), np.minimum(ints, 0).sum(axis=-2).reshape(-1)
    if max(-low, high) * int((up - down).max()) >> MOST_BITS:
        return None
    return Range(up * low + down * high, up * high + down * low)


def _cast(program: Program, node: TracedNode, x: Range) -> Range | None:
    """The range after a cast: rounding and saturation are monotonic; None if values can wrap."""
    quantizer = node.attributes["quantizer"]
    if not isinstance(quantizer, Quantizer):
        return None
    shift = program.nodes[node.inputs[0]].format.frac_bits - quantizer.format.frac_bits
    if shift < 0:
        return None
    low, high = (shift_right(end, shift, quantizer.rounding) for end in (x.low, x.high))
    f = quantizer.format
    if Range(low, high).fits(f):
        return Range(low, high)
    if quantizer.overflow is not Overflow.SATURATE:
        return None
    return Range(np.clip(low, f.int_min, f.int_max), np.clip(high, f.int_min, f.int_max))


def _looked_up(node: TracedNode, x: Range) -> Range:
    table: Any = node.attributes["table"]
    low, high = x.ends
    codes = np.arange(low, high + 1) & (1 << table.input_format.bits) - 1
    if len(codes) > len(table.ints):
        codes = np.arange(len(table.ints))
    entries = np.asarray(table.ints)[codes]
    return Range(np.asarray(entries.min()), np.asarray(entries.max()))


def _summed(program: Program, node: TracedNode, x: Range) -> Range | None:
    before, after = program.nodes[node.inputs[0]].shape, node.shape
    terms = int(np.prod(before)) // max(int(np.prod(after)), 1)
    low, high = x.ends
    if max(-low, high) * terms >> MOST_BITS:
        return None
    return Range(np.asarray(low * terms), np.asarray(high * terms))
