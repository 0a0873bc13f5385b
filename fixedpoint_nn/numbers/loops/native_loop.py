# SPDX-License-Identifier: MIT
"""A plan in the compiled kernels: one call for all steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.loops.plan import (
    Combine,
    Cut,
    Dot,
    Lookup,
    Multiply,
    Part,
    Plan,
    Products,
    Requantize,
)
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT32_EXACT, BoundedInts
from fixedpoint_nn.numerics.native.library import MOST_SHIFT, SUM_LIMIT, Epilogue, Kernels
from fixedpoint_nn.numerics.native.operands import Operands, operands
from fixedpoint_nn.numerics.native.scan import Operand, Operations, SlotOf, scan
from fixedpoint_nn.numerics.overflow import Overflow

ROWS = 48  # of a batch at a time: what the kernels pack at once
_CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)


class NotCompiled(Exception):
    """The kernels have no such operation."""


class NativeLoop:
    """The operations of a plan for kernels.c; scratch slots are made for each call, so that threads do not meet."""

    def __init__(self, plan: Plan, kernels: Kernels) -> None:
        if plan.bound > FLOAT32_EXACT:
            raise NotCompiled("numbers that float32 does not hold")
        self.plan = plan
        self.widths = list(plan.widths)
        self.operations = Operations(kernels)
        for operation in plan.operations:
            self._add(operation)
        self.output = self._slot(plan.y.width)
        self._copy(plan.y, self.output)
        for state, part in zip(plan.states, plan.after, strict=True):
            if part.slot != state or part.start:
                self._copy(part, state)
        self.compiled = self.operations.array()

    def run(self, x: Array, states: Sequence[Array]) -> tuple[Array, list[Array]]:
        """All steps: (batch, steps, columns) and states (batch, columns) to outputs and last states."""
        batch, steps, _ = x.shape
        block = min(ROWS, batch)
        finals = [np.array(state, np.float32, order="C") for state in states]
        ys = np.empty((batch, steps, self.plan.y.width), np.float32)
        slots = [SlotOf(np.empty((block, width), np.float32)) for width in self.widths]
        slots[self.plan.x] = SlotOf(np.ascontiguousarray(x, np.float32), whole=True)
        slots[self.output] = SlotOf(ys, whole=True)
        for slot, final in zip(self.plan.states, finals, strict=True):
            slots[slot] = SlotOf(final, whole=True)
        if batch:
            scan(self.operations, self.compiled, slots, batch, block, steps)
        return ys, finals

    def _slot(self, width: int) -> int:
        self.widths.append(width)
        return len(self.widths) - 1

    def _operand(self, part: Part | None) -> Operand:
        return Operand() if part is None else Operand(part.slot, part.start)

    def _copy(self, part: Part, out: int) -> None:
        self.operations.combine(out, self._operand(part), 1, Operand(), 0, None, part.width)

    def _add(self, operation: Any) -> None:
        match operation:
            case Products():
                self._products(operation)
            case Multiply(out, a, b):
                self.operations.multiply(out, self._operand(a), self._operand(b), a.width)
            case Combine(out, a, a_factor, b, b_factor, constant):
                row = None if constant is None else constant.astype(np.float32)
                self.operations.combine(
                    out, self._operand(a), a_factor, self._operand(b), b_factor, row, a.width
                )
            case Requantize(out, a, shift, quantizer, fits):
                if not fits and quantizer.overflow not in _CLIPS:
                    raise NotCompiled("a cast that does not saturate")
                self.operations.requantize(out, self._operand(a), a.width, shift, quantizer, fits)
            case Lookup(out, a, table):
                entries = table.entries.to(FLOAT32)
                if table.entries.bound > FLOAT32_EXACT:
                    raise NotCompiled("a table that float32 does not hold")
                self.operations.lookup(out, self._operand(a), a.width, entries, a.format.bits)

    def _products(self, products: Products) -> None:
        """Each cut is a chain of products, the last of which rounds; the bare sum, where it is needed, is one more."""
        if products.bound > SUM_LIMIT:
            raise NotCompiled("sums that 32 bits do not hold")
        for cut in products.cuts:
            if not -MOST_SHIFT <= cut.shift <= 0:
                raise NotCompiled("a shift that is too wide")
            self._chain(products, cut.start, cut.width, cut.out, _epilogue(cut))
        if products.raw is not None:
            self._chain(products, 0, products.width, products.raw, Epilogue())

    def _chain(self, products: Products, start: int, width: int, out: int, epilogue: Epilogue) -> None:
        columns = slice(start, start + width)
        bias = None if products.bias is None else products.bias[columns]
        addend = -1
        dots = sorted(products.dots, key=lambda dot: dot.weights.shape[0])
        if len(dots) > 1 and products.bound > FLOAT32_EXACT:
            raise NotCompiled("partial sums that float32 does not hold")
        for number, dot in enumerate(dots):
            last = number == len(dots) - 1
            weights = BoundedInts(np.ascontiguousarray(dot.weights.array[:, columns]), dot.weights.bound)
            packed = _packed(dot, weights, products.bound)
            total = packed.correction if bias is None or not last else packed.correction + bias
            to = out if last else self._slot(width)
            self.operations.product(
                to,
                self._operand(dot.part),
                packed,
                weights.shape[0],
                np.asarray(total, np.int32),
                addend,
                epilogue if last else Epilogue(),
            )
            addend = to


def _packed(dot: Dot, weights: BoundedInts, bound: int) -> Operands:
    """Weights in the kernels' order; a stand-in with the part's extremes tells how wide its elements are."""
    low = -dot.part.bound if dot.part.signed else 0
    extremes = BoundedInts(np.array([low, dot.part.bound], np.float32), dot.part.bound, dot.part.signed)
    packed = operands(extremes, weights, bound)
    if packed is None or packed.wide:
        raise NotCompiled("operands that are too wide")
    return packed


def _epilogue(cut: Cut) -> Epilogue:
    return Epilogue(cut.relu, -cut.shift, cut.quantizer, cut.fits)


def native_loop(plan: Plan, kernels: Kernels) -> NativeLoop | None:
    """The plan in the compiled kernels, or None where they do not take it."""
    try:
        return NativeLoop(plan, kernels)
    except NotCompiled:
        return None
