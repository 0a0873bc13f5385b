# SPDX-License-Identifier: MIT
"""Planning: from the traced program of one step to its plan, or `NoLoopPlan`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.loops.plan import (
    Combine,
    LoopPlan,
    Operation,
    Part,
    ProductSum,
    Requantize,
    RoundedColumns,
    SlotDot,
    SlotLookup,
    SlotProduct,
)
from fixedpoint_nn.numbers.traced.program import VERBS, Program, TracedNode
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT64_EXACT, BoundedInts
from fixedpoint_nn.numerics.overflow import Overflow, limits
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

WIDEST_SHIFT = 60  # powers of two by which floats are scaled: well within their exponents


class NoLoopPlan(Exception):
    """Raised for a step that plans cannot express; it then runs verb by verb."""


@dataclass(frozen=True)
class _Sum:
    """Columns of a sum of products that are not rounded yet."""

    of: ProductSum
    start: int
    width: int
    format: QFormat
    relu: bool = False
    shared: bool = False  # used by several operations, so it must not be changed in place


_Value = Part | _Sum | FixedArray


class LoopPlanner:
    """Walks the program of one step, and collects values and operations."""

    def __init__(self, body: Program) -> None:
        self.body = body
        self.widths: list[int] = []
        self.operations: list[Operation] = []
        self.values: list[_Value] = []
        self.bound = 0
        self.uses = Counter(place for node in body.nodes for place in node.inputs) + Counter(body.outputs)

    def plan(self) -> LoopPlan:
        """The plan of the whole step."""
        rules = _rules()
        inputs = []
        for node in self.body.nodes:
            if node.op == "input":
                value: _Value = self._new(node)
                inputs.append(value)
            elif node.op == "constant":
                assert node.value is not None
                value = node.value
            else:
                if node.op not in rules:
                    raise NoLoopPlan(node.op)
                operands = [self._operand(place) for place in node.inputs]
                if all(isinstance(operand, FixedArray) for operand in operands) and node.op in VERBS:
                    value = VERBS[node.op](*operands, **node.attributes)
                else:
                    value = rules[node.op](self, node, operands)
            self.values.append(value)
        y, *after = (self._part(self.values[place]) for place in self.body.outputs)
        x, *states = (part.slot for part in inputs if isinstance(part, Part))
        after = [self._apart(part, {x, *states} - {own}) for part, own in zip(after, states, strict=True)]
        sums = [operation.bound for operation in self.operations if isinstance(operation, ProductSum)]
        sum_bound = max(sums, default=0)
        if max(self.bound, sum_bound) > FLOAT64_EXACT:
            raise NoLoopPlan("wider than a double")
        return LoopPlan(
            tuple(self.widths),
            x,
            self.body.nodes[self.body.inputs[0]].format,
            tuple(states),
            tuple(self.operations),
            y,
            tuple(after),
            self.bound,
            sum_bound,
        )

    # ---- slots ---------------------------------------------------------------------------------------------

    def _new(self, node: TracedNode, bound: int | None = None, signed: bool | None = None) -> Part:
        """A new slot for a node's value."""
        if len(node.shape) != 2:
            raise NoLoopPlan("values that are no rows")
        return self._slot(node.shape[1], node.format, bound, signed)

    def _slot(
        self, width: int, format: QFormat, bound: int | None = None, signed: bool | None = None
    ) -> Part:
        self.widths.append(width)
        bound = format.magnitude if bound is None else bound
        self.bound = max(self.bound, bound)
        return Part(
            len(self.widths) - 1, 0, width, format, bound, format.signed if signed is None else signed
        )

    def _operand(self, place: int) -> _Value:
        value = self.values[place]
        return replace(value, shared=True) if isinstance(value, _Sum) and self.uses[place] > 1 else value

    def _apart(self, part: Part, others: set[int]) -> Part:
        """The part, or a copy of an input that the next step would overwrite."""
        if part.slot not in others:
            return part
        out = self._slot(part.width, part.format, part.bound, part.signed)
        self.operations.append(Combine(out.slot, part, 1, None, 0, None))
        return out

    def _part(self, value: _Value) -> Part:
        """The value as columns of a slot."""
        if isinstance(value, Part):
            return value
        if isinstance(value, FixedArray) or value.relu:
            raise NoLoopPlan("a constant, or a ReLU without a cast")
        products = value.of
        if products.raw is None:
            self.bound = max(self.bound, products.bound)
            self.widths.append(products.width)
            products.raw = len(self.widths) - 1
        return Part(products.raw, value.start, value.width, value.format, products.bound, True)

    # ---- verbs ---------------------------------------------------------------------------------------------

    def dot(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """rows @ weights, plus an optional sum of products or rows."""
        source, weights = self._part(operands[0]), operands[1]
        if (
            not isinstance(weights, FixedArray)
            or weights.ndim != 2
            or node.attributes["accumulator"] is not None
        ):
            raise NoLoopPlan("a product with something else than a constant matrix")
        format = QFormat.for_dot(source.format, weights.format, weights.shape[0])
        product = self._products(source, BoundedInts.of(weights.ints), format)
        return product if len(operands) == 2 else self._total(node, operands[2], product)

    def _products(self, source: Part, weights: BoundedInts, format: QFormat) -> _Sum:
        columns = weights.columns
        bound = source.bound * (columns.norm if source.signed else columns.one_sided)
        width = weights.shape[1]
        products = ProductSum((SlotDot(source, weights),), None, width, bound, [])
        self.operations.append(products)
        return _Sum(products, 0, width, format)

    def add(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """The sum of two values."""
        return self._total(node, *operands)

    def sub(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """The difference of two values in slots."""
        return self._combined(node, operands, (1, -1))

    def neg(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """The negative of a value in a slot."""
        part = self._part(operands[0])
        out = self._new(node, part.bound)
        self.operations.append(Combine(out.slot, part, -1, None, 0, None))
        return out

    def _total(self, node: TracedNode, a: _Value, b: _Value) -> _Value:
        for one, other in ((a, b), (b, a)):
            if isinstance(one, _Sum) and self._open(one):
                shift = node.format.frac_bits - one.format.frac_bits
                if isinstance(other, FixedArray) and other.size in (1, one.width):
                    bias = np.broadcast_to(other.ints.reshape(-1), (one.width,))
                    moved = node.format.frac_bits - other.format.frac_bits
                    return self._with_bias(node, self._scaled_up(one, shift), _shifted(bias, moved))
        if (
            isinstance(a, _Sum)
            and isinstance(b, _Sum)
            and self._open(a)
            and self._open(b)
            and a.of is not b.of
        ):
            return self._joined(node, a, b)
        return self._combined(node, (a, b), (1, 1))

    @staticmethod
    def _open(value: _Sum) -> bool:
        """Whether the sum is whole and not used yet."""
        products = value.of
        used = products.cuts or products.raw is not None or value.relu or value.shared
        return not used and value.width == products.width

    def _replaced(self, old: ProductSum, new: ProductSum) -> None:
        """Replace `old` by `new`, at the end of the operations, where all that it reads is computed."""
        self.operations.remove(old)
        self.operations.append(new)

    def _with_bias(self, node: TracedNode, value: _Sum, bias: Array) -> _Sum:
        products = value.of
        total = bias if products.bias is None else products.bias + bias
        bound = products.bound + int(np.abs(bias).max())
        new = ProductSum(products.dots, total, products.width, bound, [])
        self._replaced(products, new)
        return _Sum(new, 0, value.width, node.format)

    def _scaled_up(self, value: _Sum, shift: int) -> _Sum:
        """The sum with its weights and bias times 2**shift."""
        if shift == 0:
            return value
        if not 0 < shift <= WIDEST_SHIFT:
            raise NoLoopPlan("a sum at a coarser binary point")
        products = value.of
        dots = tuple(SlotDot(dot.part, dot.weights.shifted(shift)) for dot in products.dots)
        bias = None if products.bias is None else _shifted(products.bias, shift)
        new = ProductSum(dots, bias, products.width, products.bound << shift, [])
        self._replaced(products, new)
        return replace(value, of=new)

    def _joined(self, node: TracedNode, a: _Sum, b: _Sum) -> _Sum:
        a, b = (self._scaled_up(one, node.format.frac_bits - one.format.frac_bits) for one in (a, b))
        biases = [one.of.bias for one in (a, b) if one.of.bias is not None]
        bias = sum(biases[1:], biases[0]) if biases else None
        dots = (*a.of.dots, *b.of.dots)
        new = ProductSum(dots, bias, a.width, a.of.bound + b.of.bound, [])
        self.operations.remove(a.of)
        self._replaced(b.of, new)
        return _Sum(new, 0, a.width, node.format)

    def _combined(self, node: TracedNode, operands: Sequence[_Value], signs: tuple[int, int]) -> Part:
        """The signed sum of both, aligned; one may be a constant."""
        parts, factors, constant, bound = [], [], None, 0
        for value, sign in zip(operands, signs, strict=True):
            moved = node.format.frac_bits - value.format.frac_bits
            if isinstance(value, FixedArray):
                if value.size not in (1, node.shape[-1]):
                    raise NoLoopPlan("a constant of another shape")
                constant = _shifted(np.broadcast_to(value.ints.reshape(-1), node.shape[-1:]), moved) * sign
                bound += int(np.abs(constant).max())
                continue
            part = self._part(value)
            if part.width != node.shape[-1]:
                raise NoLoopPlan("values that are repeated")
            parts.append(part)
            factors.append(sign << moved)
            bound += part.bound << moved
        out = self._new(node, bound)
        b, b_factor = (parts[1], factors[1]) if len(parts) == 2 else (None, 0)
        self.operations.append(Combine(out.slot, parts[0], factors[0], b, b_factor, constant))
        return out

    def mul(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """The product of two values in slots."""
        a, b = map(self._part, operands)
        if a.width != b.width:
            raise NoLoopPlan("values that are repeated")
        out = self._new(node, a.bound * b.bound, a.signed or b.signed)
        self.operations.append(SlotProduct(out.slot, a, b))
        return out

    def relu(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """ReLU of a sum of products, to be fused with its cast."""
        (value,) = operands
        if not isinstance(value, _Sum) or not self._open(value):
            raise NoLoopPlan("a ReLU of something else than a sum of products")
        return replace(value, relu=True, format=node.format)

    def scaled(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """The value with its binary point moved."""
        return replace(self._part(operands[0]), format=node.format)

    def reshape(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """The value, if its shape does not change."""
        (value,) = operands
        if isinstance(value, FixedArray) or len(node.shape) != 2 or node.shape[-1] != value.width:
            raise NoLoopPlan("another shape")
        return value

    def index(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """A slice of the columns."""
        (value,), index = operands, node.attributes["index"]
        if isinstance(value, FixedArray):
            raise NoLoopPlan("a part of a constant")
        items = index if isinstance(index, tuple) else (index,)
        whole = [item for item in items[:-1] if item is not Ellipsis]
        last = items[-1]
        named = len(items) == 2
        if not named or any(item != slice(None) for item in whole) or not isinstance(last, slice):
            raise NoLoopPlan("an index of something else than columns")
        start, stop, step = last.indices(value.width)
        if step != 1 or stop <= start:
            raise NoLoopPlan("columns that are not side by side")
        return replace(value, start=value.start + start, width=stop - start)

    def lookup(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """The table's entries at the value."""
        part, table = self._part(operands[0]), node.attributes["table"]
        out = self._new(node, table.entries.bound)
        self.operations.append(SlotLookup(out.slot, part, table))
        return out

    def cast(self, node: TracedNode, operands: Sequence[_Value]) -> _Value:
        """The value rounded and fitted; a sum of products in the same pass."""
        (value,), quantizer = operands, node.attributes["quantizer"]
        if not isinstance(quantizer, Quantizer) or isinstance(value, FixedArray):
            raise NoLoopPlan("a cast of each channel by itself")
        shift = quantizer.format.frac_bits - value.format.frac_bits
        if abs(shift) > WIDEST_SHIFT or quantizer.format.magnitude > FLOAT64_EXACT:
            raise NoLoopPlan("a shift that is too wide")
        if isinstance(value, Part) or value.of.raw is not None or shift > 0:
            part = self._part(value)
            fits, bound = _outcome(part.bound, shift, quantizer)
            self.bound = max(self.bound, part.bound << max(shift, 0))
            out = self._new(node, bound)
            self.operations.append(Requantize(out.slot, part, shift, quantizer, fits))
            return out
        fits, bound = _outcome(value.of.bound, shift, quantizer)
        out = self._new(node, bound)
        value.of.cuts.append(
            RoundedColumns(out.slot, value.start, value.width, value.relu, shift, quantizer, fits)
        )
        return out


def _rules() -> dict[str, Callable[[LoopPlanner, TracedNode, Sequence[_Value]], _Value]]:
    names = ("dot", "add", "sub", "neg", "mul", "relu", "scaled", "reshape", "index", "lookup", "cast")
    return {name: getattr(LoopPlanner, name) for name in names}


def _outcome(bound: int, shift: int, quantizer: Quantizer) -> tuple[bool, int]:
    """(whether everything fits after the shift, the bound then)."""
    lo, hi = limits(quantizer.format, quantizer.overflow)
    scaled = bound << shift if shift >= 0 else -(-bound >> -shift)
    fits = scaled <= hi and scaled <= -lo
    if quantizer.overflow is Overflow.WRAP and not fits:
        return fits, quantizer.format.magnitude
    return fits, min(scaled, quantizer.format.magnitude)


def _shifted(ints: Any, shift: int) -> Array:
    """Integers times 2**shift, in int64."""
    if not 0 <= shift <= WIDEST_SHIFT or int(np.abs(ints).max()) << shift > FLOAT64_EXACT:
        raise NoLoopPlan("constants that are too wide")
    moved: Array = np.asarray(ints, np.int64) << np.int64(shift)
    return moved


def plan_of(body: Program) -> LoopPlan | None:
    """The plan of one step's program, or None."""
    try:
        return LoopPlanner(body).plan()
    except NoLoopPlan:
        return None
