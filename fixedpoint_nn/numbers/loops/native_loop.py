# SPDX-License-Identifier: MIT
"""Execution of a plan by the compiled kernels: one call for all steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.loops.plan import (
    Combine,
    LoopPlan,
    Part,
    ProductSum,
    Requantize,
    RoundedColumns,
    SlotLookup,
    SlotProduct,
)
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import (
    FLOAT32,
    FLOAT32_EXACT,
    FLOAT64,
    INT64,
    BoundedInts,
    CompactInts,
    words_for,
)
from fixedpoint_nn.numerics.native.library import Epilogue, Kernels
from fixedpoint_nn.numerics.native.scan import Factor, Operand, Operations, SlotOf, scan
from fixedpoint_nn.numerics.native.steps import INT8, NotCompiled, bytes_for
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat

MOST_BITS = 16  # of inputs and outputs, which are stored in words
ROWS = 48  # of the batch per block: what the kernels pack at once
_CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)


class NativeLoop:
    """The operations of a plan for kernels.c; scratch slots are made per call, for thread safety."""

    def __init__(self, plan: LoopPlan, kernels: Kernels) -> None:
        self.plan = plan
        self.dtype = FLOAT32 if plan.bound <= FLOAT32_EXACT else FLOAT64
        self.widths = list(plan.widths)
        self.kernels = kernels
        self.operations = Operations(kernels, self.dtype)
        self.input = self._words_of(plan.input_format)
        self.given = self._slot(plan.widths[plan.x])
        self.operations.load(plan.x, self.given, plan.widths[plan.x], self.input)
        for operation in plan.operations:
            self._add(operation)
        self.result = self._words_of(plan.y.format)
        self.output = self._slot(plan.y.width)
        self.operations.store(self.output, self._operand(plan.y), plan.y.width, self.result)
        for state, part in zip(plan.states, plan.after, strict=True):
            if part.slot != state or part.start:
                self._copy(part, state)
        self.compiled = self.operations.array()

    @staticmethod
    def _words_of(format: QFormat) -> np.dtype[Any]:
        if format.bits > MOST_BITS:
            raise NotCompiled("words of more than 16 bits")
        return words_for(format.bits, format.signed)

    def run(self, x: BoundedInts, states: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Run all steps: x (batch, steps, columns), states (batch, columns) -> (outputs, final states)."""
        given = x.words if isinstance(x, CompactInts) else x.array
        batch, steps, _ = x.shape
        block = min(ROWS, batch)
        finals = [np.array(state, self.dtype, order="C") for state in states]
        ys = np.empty((batch, steps, self.plan.y.width), self.result)
        slots = [SlotOf(np.empty((block, width), self.dtype)) for width in self.widths]
        slots[self.given] = SlotOf(np.ascontiguousarray(given, self.input), whole=True)
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
            case ProductSum():
                self._products(operation)
            case SlotProduct(out, a, b):
                self.operations.multiply(out, self._operand(a), self._operand(b), a.width)
            case Combine(out, a, a_factor, b, b_factor, constant):
                self.operations.combine(
                    out, self._operand(a), a_factor, self._operand(b), b_factor, constant, a.width
                )
            case Requantize(out, a, shift, quantizer, fits):
                if not fits and quantizer.overflow not in _CLIPS:
                    raise NotCompiled("a cast that does not saturate")
                self.operations.requantize(out, self._operand(a), a.width, shift, quantizer, fits)
            case SlotLookup(out, a, table):
                self.operations.lookup(out, self._operand(a), a.width, table.ints, a.format.bits)

    def _products(self, products: ProductSum) -> None:
        """Add one product of all factors for each cut, and one more for the unrounded sum if needed."""
        parts = [_ends(dot.part) for dot in products.dots]
        narrow = all(dot.weights.within(-INT8, INT8 - 1) for dot in products.dots)
        size = max(bytes_for(self.kernels, low, high, narrow) for low, high in parts)
        factors = [
            Factor(self._operand(dot.part), low, high, dot.weights.to(INT64))
            for dot, (low, high) in zip(products.dots, parts, strict=True)
        ]
        cuts = [(cut.out, slice(cut.start, cut.start + cut.width), _epilogue(cut)) for cut in products.cuts]
        if products.raw is not None:
            cuts.append((products.raw, slice(0, products.width), Epilogue()))
        bias = np.zeros(products.width, np.int64) if products.bias is None else products.bias
        if any(cut.shift > 0 for cut in products.cuts):
            raise NotCompiled("a sum that is shifted to the left")
        self.operations.products(factors, size, bias, products.bound, cuts)


def _ends(part: Part) -> tuple[int, int]:
    """(lowest, highest) integer of a part."""
    low = max(-part.bound, part.format.int_min) if part.signed else 0
    return low, min(part.bound, part.format.int_max)


def _epilogue(cut: RoundedColumns) -> Epilogue:
    return Epilogue(cut.relu, -cut.shift, cut.quantizer, cut.fits)


def native_loop(plan: LoopPlan, kernels: Kernels) -> NativeLoop | None:
    """The plan for the compiled kernels, or None if they do not support it."""
    try:
        return NativeLoop(plan, kernels)
    except NotCompiled:
        return None
