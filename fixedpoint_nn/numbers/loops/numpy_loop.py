# SPDX-License-Identifier: MIT
"""Execution of a plan by NumPy: a few calls per operation into preallocated buffers, one product for all gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
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
from fixedpoint_nn.numbers.loops.slot_memory import (
    SlotMemory,
    joined_slots,
    last_reads,
    lasting_slots,
    read_slots,
    slots_in_place,
    written_slots,
)
from fixedpoint_nn.numerics.arrays import Array, clip
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, BoundedInts, CompactInts, words_for
from fixedpoint_nn.numerics.overflow import Overflow, fit, limits
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding, round_floats
from fixedpoint_nn.numerics.tanh_formula import TanhFormula, tanh_formula

MOST_BITS = 16  # of outputs stored in words of one or two bytes
ROWS = 256  # of the batch per block, so that all slots stay in the cache
_CAST_AT_ONCE = 1 << 14  # codes from which a conversion by way of int32 saves time
_BY_FORMULA = 1 << 12  # codes from which a formula of a few calls is faster than gathering entries
_CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
_ONE_CALL: dict[Rounding, np.ufunc] = {
    Rounding.HALF_EVEN: np.rint,
    Rounding.FLOOR: np.floor,
    Rounding.TOWARD_ZERO: np.trunc,
}
_Call = Callable[[], Any]
_Prepared = tuple[list[Array], list[_Call]]


class NumpyLoop:
    """The plan with its weights in the float dtype that holds every sum."""

    def __init__(self, plan: LoopPlan, dtype: np.dtype[Any]) -> None:
        self.plan, self.dtype = plan, dtype
        self._free: dict[int, _Prepared] = {}  # buffers kept between calls, by number of rows
        self.joined = joined_slots(plan)
        self.in_place = slots_in_place(plan)
        self.weights = {
            id(p.dots): _scaled_weights(p, dtype) for p in plan.operations if isinstance(p, ProductSum)
        }

    def run(self, given: BoundedInts, states: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Run all steps: given (batch, steps, columns), states (batch, columns) -> (outputs, final states)."""
        x = given.words if isinstance(given, CompactInts) else given.array
        batch, steps, _ = x.shape
        f = self.plan.y.format
        kind = words_for(f.bits, f.signed) if f.bits <= MOST_BITS else self.dtype
        ys = np.empty((batch, steps, self.plan.y.width), kind)
        finals = [np.array(state, self.dtype) for state in states]
        used: dict[int, _Prepared] = {}
        for start in range(0, batch, ROWS):
            rows = slice(start, start + ROWS)
            count = len(x[rows])
            if count not in used:
                free, self._free = self._free, {}  # so that no other thread uses them
                used[count] = free[count] if count in free else self._prepared(count)
            slots, calls = used[count]
            now, y = slots[self.plan.x], _view(slots, self.plan.y)
            moves = [
                (slots[slot], _view(slots, part))
                for slot, part in zip(self.plan.states, self.plan.after, strict=True)
            ]
            for (slot, _), state in zip(moves, finals, strict=True):
                np.copyto(slot, state[rows])
            xs_of_rows, ys_of_rows = x[rows], ys[rows]
            for t in range(steps):
                now[...] = xs_of_rows[:, t]
                for call in calls:
                    call()
                ys_of_rows[:, t] = y
                for slot, part in moves:
                    if slot is not part:
                        np.copyto(slot, part)
            for (slot, _), state in zip(moves, finals, strict=True):
                np.copyto(state[rows], slot)
        self._free = used
        return ys, finals

    def _prepared(self, rows: int) -> _Prepared:
        """Slots for `rows` rows, and the calls of one step on them."""
        slots, memory = self._lasting(rows), SlotMemory(rows, self.dtype)
        calls: list[_Call] = []
        last, taken = last_reads(self.plan), set[int]()
        for number, operation in enumerate(self.plan.operations):
            for slot in written_slots(operation):
                if slots[slot] is None:
                    slots[slot] = memory.take(self.plan.widths[slot])
                    taken.add(slot)
            calls += self._calls(self._unclipped(operation, rows), slots, memory)
            for slot in [slot for slot in taken if last.get(slot, -1) <= number]:
                memory.give(slots[slot])
                taken.remove(slot)
        return slots, calls

    def _lasting(self, rows: int) -> list[Any]:
        """Memory for the slots that need their own; None for the others."""
        slots: list[Any] = [None] * len(self.plan.widths)
        for group in self.joined:
            # The last column is ones: a product with it adds the bias.
            home = np.ones((rows, sum(self.plan.widths[slot] for slot in group) + 1), self.dtype)
            at = 0
            for slot in group:
                slots[slot] = home[:, at : at + self.plan.widths[slot]]
                at += self.plan.widths[slot]
        for slot in sorted(lasting_slots(self.plan)):
            if slots[slot] is None:
                slots[slot] = np.empty((rows, self.plan.widths[slot]), self.dtype)
        for after, state in self.in_place.items():
            slots[after] = slots[state]
        return slots

    # ---- one operation as calls ----------------------------------------------------------------------------

    def _calls(self, operation: Any, slots: list[Array], memory: SlotMemory) -> Iterator[_Call]:
        match operation:
            case ProductSum():
                yield from self._products(operation, slots, memory)
            case SlotProduct(out, a, b):
                yield _bound(np.multiply, _view(slots, a), _view(slots, b), slots[out])
            case Combine():
                yield from self._combine(operation, slots)
            case Requantize(out, a, shift, quantizer, fits):
                z = _view(slots, a)
                if shift != 0:
                    yield _bound(np.multiply, z, self._scalar(2.0**shift), slots[out])
                    z = slots[out]
                yield from _finish(z, slots[out], shift, quantizer, fits)
            case SlotLookup(out, a, table):
                formula = self._formula(operation, len(slots[out]))
                if formula is None:
                    yield from self._lookup(_view(slots, a), table.entries.to(self.dtype), slots[out])
                else:
                    yield from _by_tanh(formula, _view(slots, a), slots[out])

    def _products(self, products: ProductSum, slots: list[Array], memory: SlotMemory) -> Iterator[_Call]:
        weights, bias, scaled = self.weights[id(products.dots)]
        z = memory.take(products.width) if products.raw is None else slots[products.raw]
        sources = [_view(slots, dot.part) for dot in products.dots]
        group = tuple(dot.part.slot for dot in products.dots)
        if len(group) > 1 and group in self.joined:
            last_row = np.zeros(products.width, self.dtype) if bias is None else bias
            yield _bound(np.matmul, sources[0].base, np.concatenate([*weights, last_row[np.newaxis]]), z)
            bias = None
        else:
            yield _bound(np.matmul, sources[0], weights[0], z)
            for source, matrix in zip(sources[1:], weights[1:], strict=True):
                more = memory.take(products.width)
                yield _bound(np.matmul, source, matrix, more)
                yield _bound(np.add, z, more, z)
                memory.give(more)
        if bias is not None:
            yield _bound(np.add, z, bias, z)
        for cut in products.cuts:
            yield from self._cut(cut, z[:, cut.start : cut.start + cut.width], slots[cut.out], scaled)
        if products.raw is None:
            memory.give(z)

    def _cut(self, cut: RoundedColumns, z: Array, out: Array, scaled: bool) -> Iterator[_Call]:
        if not scaled:
            yield _bound(np.multiply, z, self._scalar(2.0**cut.shift), out)
            z = out
        if cut.relu:
            yield _bound(np.maximum, z, self._scalar(0), z)
        yield from _finish(z, out, cut.shift, cut.quantizer, cut.fits)

    def _combine(self, operation: Combine, slots: list[Array]) -> Iterator[_Call]:
        out, a = slots[operation.out], _view(slots, operation.a)
        if operation.b is not None and operation.a_factor == 1 and operation.b_factor in (1, -1):
            add = np.add if operation.b_factor == 1 else np.subtract
            yield _bound(add, a, _view(slots, operation.b), out)
        elif operation.b is None and operation.a_factor == -1 and operation.constant is not None:
            yield _bound(np.subtract, self._constant(operation.constant), a, out)
            return
        else:
            yield _bound(np.multiply, a, self._scalar(operation.a_factor), out)
            if operation.b is not None and operation.b_factor == 1:
                yield _bound(np.add, out, _view(slots, operation.b), out)
            elif operation.b is not None:
                more = np.empty_like(out)
                yield _bound(np.multiply, _view(slots, operation.b), self._scalar(operation.b_factor), more)
                yield _bound(np.add, out, more, out)
        if operation.constant is not None:
            yield _bound(np.add, out, self._constant(operation.constant), out)

    def _formula(self, lookup: SlotLookup, rows: int) -> TanhFormula | None:
        """The formula of a table, where it is faster."""
        many = self.dtype == FLOAT32 and rows * lookup.a.width >= _BY_FORMULA
        return tanh_formula(lookup.table) if many else None

    def _unclipped(self, operation: Any, rows: int) -> Any:
        """The operation without saturation of codes that only formulas read, which do it themselves."""
        if not isinstance(operation, ProductSum):
            return operation
        cuts = [replace(cut, fits=cut.fits or self._only_for_formulas(cut, rows)) for cut in operation.cuts]
        return replace(operation, cuts=cuts)

    def _only_for_formulas(self, cut: RoundedColumns, rows: int) -> bool:
        readers = [operation for operation in self.plan.operations if cut.out in read_slots(operation)]
        given = {self.plan.y.slot, *(part.slot for part in self.plan.after)}
        if cut.quantizer.overflow is not Overflow.SATURATE or cut.out in given:
            return False
        return all(isinstance(reader, SlotLookup) and self._formula(reader, rows) for reader in readers)

    def _lookup(self, codes: Array, entries: Array, out: Array) -> Iterator[_Call]:
        places = np.empty(codes.shape, np.intp)
        if codes.size >= _CAST_AT_ONCE:  # floats convert faster to int32; for few, one more call costs more
            narrow = np.empty(codes.shape, np.int32)
            yield partial(np.copyto, narrow, codes, casting="unsafe")
            codes = narrow
        yield partial(np.copyto, places, codes, casting="unsafe")
        # The entry of a negative code is at code + 2**bits.
        yield partial(entries.take, places, out=out, mode="wrap")

    def _scalar(self, value: float) -> Array:
        return np.array(value, self.dtype)

    def _constant(self, row: Array) -> Array:
        """The constant of each column, or of all of them, which is faster."""
        return self._scalar(row[0]) if np.all(row == row[0]) else row.astype(self.dtype)


def _by_tanh(formula: TanhFormula, codes: Array, out: Array) -> Iterator[_Call]:
    yield _bound(np.multiply, codes, formula.inner, out)
    yield partial(np.tanh, out, out=out)
    yield _bound(np.multiply, out, formula.outer, out)
    if formula.added != 0:
        yield _bound(np.add, out, formula.added, out)
    yield partial(np.rint, out, out=out)
    yield partial(clip, out, formula.low, formula.high, out=out)


def _bound(ufunc: Any, a: Any, b: Any, out: Array) -> _Call:
    """A call that costs little itself: no scalar to convert, no function of Python around it."""
    return partial(ufunc, a, b, out=out)


def _view(slots: Sequence[Array], part: Part) -> Array:
    slot = slots[part.slot]
    return slot if part.width == slot.shape[1] else slot[:, part.columns]


def _scaled_weights(products: ProductSum, dtype: np.dtype[Any]) -> tuple[list[Array], Array | None, bool]:
    """(weights, bias, whether scaled): columns are scaled by their cut's power of two if the raw sum is not used."""
    scale = np.zeros(products.width)
    for cut in products.cuts:
        scale[cut.start : cut.start + cut.width] += 2.0**cut.shift
    covered = sum(cut.width for cut in products.cuts) == products.width and bool(scale.all())
    scaled = products.raw is None and covered
    factor = scale if scaled else np.ones(products.width)
    weights = [(dot.weights.to(np.dtype(np.float64)) * factor).astype(dtype) for dot in products.dots]
    bias = None if products.bias is None else (products.bias * factor).astype(dtype)
    return weights, bias, scaled


def _finish(z: Array, out: Array, shift: int, quantizer: Quantizer, fits: bool) -> Iterator[_Call]:
    """The calls that round z into `out`, and handle overflow there."""
    rounding, overflow = quantizer.rounding, quantizer.overflow
    clips = not fits and overflow in _CLIPS
    if shift < 0:
        quick = _ONE_CALL.get(rounding)
        yield partial(round_floats, z, rounding, out) if quick is None else partial(quick, z, out=out)
    elif z is not out and not clips:
        yield partial(np.copyto, out, z)
    if clips:
        low, high = (np.array(limit, out.dtype) for limit in limits(quantizer.format, overflow))
        yield partial(clip, z if shift >= 0 else out, low, high, out=out)
    elif not fits:
        yield lambda: np.copyto(out, fit(out, quantizer.format, overflow, out))
