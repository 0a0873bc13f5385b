# SPDX-License-Identifier: MIT
"""Execution of a plan by NumPy: a few calls per operation into preallocated buffers, one product for all gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from fixedpoint_nn.numerics.bounded_ints import BoundedInts, CompactInts, words_for
from fixedpoint_nn.numerics.overflow import Overflow, fit, limits
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding, round_floats

MOST_BITS = 16  # of outputs stored in words of one or two bytes
ROWS = 256  # of the batch per block, so that all slots stay in the cache
_CLIPPED_AT_ONCE = 1 << 14  # elements from which one np.clip is faster than two ufunc calls
_CAST_AT_ONCE = 1 << 14  # codes from which a conversion by way of int32 saves time
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
        self.joined = _joined(plan)
        self.weights = {
            id(p): _scaled_weights(p, dtype) for p in plan.operations if isinstance(p, ProductSum)
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
            for t in range(steps):
                np.copyto(now, x[rows, t], casting="unsafe")
                for call in calls:
                    call()
                np.copyto(ys[rows, t], y, casting="unsafe")
                for slot, part in moves:
                    if slot is not part:
                        np.copyto(slot, part)
            for (slot, _), state in zip(moves, finals, strict=True):
                np.copyto(state[rows], slot)
        self._free = used
        return ys, finals

    def _prepared(self, rows: int) -> _Prepared:
        """Slots for `rows` rows, and the calls of one step on them."""
        slots = self._slots(rows)
        return slots, [call for operation in self.plan.operations for call in self._calls(operation, slots)]

    def _slots(self, rows: int) -> list[Array]:
        slots: list[Any] = [None] * len(self.plan.widths)
        for group in self.joined:
            home = np.empty((rows, sum(self.plan.widths[slot] for slot in group)), self.dtype)
            at = 0
            for slot in group:
                slots[slot] = home[:, at : at + self.plan.widths[slot]]
                at += self.plan.widths[slot]
        return [
            np.empty((rows, width), self.dtype) if slot is None else slot
            for slot, width in zip(slots, self.plan.widths, strict=True)
        ]

    # ---- one operation as calls ----------------------------------------------------------------------------

    def _calls(self, operation: Any, slots: list[Array]) -> Iterator[_Call]:
        match operation:
            case ProductSum():
                yield from self._products(operation, slots)
            case SlotProduct(out, a, b):
                yield _bound(np.multiply, _view(slots, a), _view(slots, b), slots[out])
            case Combine():
                yield from self._combine(operation, slots)
            case Requantize(out, a, shift, quantizer, fits):
                scale = self.dtype.type(2.0**shift)
                yield _bound(np.multiply, _view(slots, a), scale, slots[out])
                yield from _finish(slots[out], slots[out], shift, quantizer, fits)
            case SlotLookup(out, a, table):
                yield from self._lookup(_view(slots, a), table.entries.to(self.dtype), a, slots[out])

    def _products(self, products: ProductSum, slots: list[Array]) -> Iterator[_Call]:
        weights, bias, scaled = self.weights[id(products)]
        rows = len(slots[self.plan.x])
        z = np.empty((rows, products.width), self.dtype) if products.raw is None else slots[products.raw]
        sources = [_view(slots, dot.part) for dot in products.dots]
        group = tuple(dot.part.slot for dot in products.dots)
        if len(group) > 1 and group in self.joined:
            yield _bound(np.matmul, sources[0].base, np.concatenate(weights), z)
        else:
            yield _bound(np.matmul, sources[0], weights[0], z)
            more = np.empty_like(z) if len(sources) > 1 else z
            for source, matrix in zip(sources[1:], weights[1:], strict=True):
                yield _bound(np.matmul, source, matrix, more)
                yield _bound(np.add, z, more, z)
        if bias is not None:
            yield _bound(np.add, z, bias, z)
        for cut in products.cuts:
            yield from self._cut(cut, z[:, cut.start : cut.start + cut.width], slots[cut.out], scaled)

    def _cut(self, cut: RoundedColumns, z: Array, out: Array, scaled: bool) -> Iterator[_Call]:
        if not scaled:
            yield _bound(np.multiply, z, self.dtype.type(2.0**cut.shift), out)
            z = out
        if cut.relu:
            yield _bound(np.maximum, z, self.dtype.type(0), z)
        yield from _finish(z, out, cut.shift, cut.quantizer, cut.fits)

    def _combine(self, operation: Combine, slots: list[Array]) -> Iterator[_Call]:
        out, a = slots[operation.out], _view(slots, operation.a)
        if operation.b is not None and operation.a_factor == 1 and operation.b_factor in (1, -1):
            add = np.add if operation.b_factor == 1 else np.subtract
            yield _bound(add, a, _view(slots, operation.b), out)
        elif operation.b is None and operation.a_factor == -1 and operation.constant is not None:
            yield _bound(np.subtract, operation.constant.astype(self.dtype), a, out)
            return
        else:
            yield _bound(np.multiply, a, self.dtype.type(operation.a_factor), out)
            if operation.b is not None and operation.b_factor == 1:
                yield _bound(np.add, out, _view(slots, operation.b), out)
            elif operation.b is not None:
                more = np.empty_like(out)
                yield _bound(
                    np.multiply, _view(slots, operation.b), self.dtype.type(operation.b_factor), more
                )
                yield _bound(np.add, out, more, out)
        if operation.constant is not None:
            yield _bound(np.add, out, operation.constant.astype(self.dtype), out)

    def _lookup(self, codes: Array, entries: Array, part: Part, out: Array) -> Iterator[_Call]:
        wide = np.empty(codes.shape, np.intp)
        # Many floats convert faster to int32; for few, the additional cast dominates.
        narrow = wide if codes.size < _CAST_AT_ONCE else np.empty(codes.shape, np.int32)
        mask = narrow.dtype.type((1 << part.format.bits) - 1)
        yield lambda: np.copyto(narrow, codes, casting="unsafe")
        yield _bound(np.bitwise_and, narrow, mask, wide)
        yield lambda: entries.take(wide, out=out, mode="clip")


def _bound(ufunc: Any, a: Any, b: Any, out: Array) -> _Call:
    return lambda: ufunc(a, b, out=out)


def _view(slots: Sequence[Array], part: Part) -> Array:
    slot = slots[part.slot]
    return slot if part.width == slot.shape[1] else slot[:, part.columns]


def _joined(plan: LoopPlan) -> tuple[tuple[int, ...], ...]:
    """Groups of slots that one product reads, to be stored contiguously."""
    taken: set[int] = set()
    groups = []
    for operation in plan.operations:
        if not isinstance(operation, ProductSum) or len(operation.dots) < 2:
            continue
        parts = [dot.part for dot in operation.dots]
        group = tuple(part.slot for part in parts)
        whole = all(part.width == plan.widths[part.slot] for part in parts)
        if whole and len(set(group)) == len(group) and not taken & set(group):
            taken |= set(group)
            groups.append(group)
    return tuple(groups)


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
    if shift < 0:
        quick = _ONE_CALL.get(rounding)
        yield (lambda: round_floats(z, rounding, out)) if quick is None else (lambda: quick(z, out))
    elif z is not out:
        yield lambda: np.copyto(out, z)
    if fits:
        return
    low, high = (out.dtype.type(limit) for limit in limits(quantizer.format, overflow))
    if overflow in _CLIPS and out.size < _CLIPPED_AT_ONCE:
        yield _bound(np.maximum, out, low, out)
        yield _bound(np.minimum, out, high, out)
    elif overflow in _CLIPS:
        yield lambda: np.clip(out, low, high, out=out)
    else:
        yield lambda: np.copyto(out, fit(out, quantizer.format, overflow, out))
