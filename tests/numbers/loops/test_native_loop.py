# SPDX-License-Identifier: MIT
"""Which form of a plan the compiled kernels are given: containers, words, bytes of operands, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Overflow, Q, Quantizer
from fixedpoint_nn.numbers.loops.native_loop import ROWS, NativeLoop, native_loop
from fixedpoint_nn.numbers.loops.plan import (
    Combine,
    LoopPlan,
    Operation,
    Part,
    ProductSum,
    Requantize,
    RoundedColumns,
    SlotDot,
    SlotProduct,
)
from fixedpoint_nn.numerics.bounded_ints import BoundedInts, CompactInts
from fixedpoint_nn.numerics.native.library import available
from fixedpoint_nn.numerics.native.scan import COMBINE, LOAD, PRODUCT, STORE
from fixedpoint_nn.numerics.native.steps import NotCompiled
from fixedpoint_nn.numerics.qformat import UQ, QFormat

LEVELS = available()
pytestmark = pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")
# Kernels with products of bytes that only pretend to run.
BYTES: Any = SimpleNamespace(level=2, network_columns=64, network_lanes=16)
WORD = Q(8, 0)


def part(slot: int, width: int = 3, format: QFormat = WORD, start: int = 0) -> Part:
    return Part(slot, start, width, format, format.magnitude, format.signed)


def plan_of(
    *operations: Operation,
    x: QFormat = WORD,
    y: Part | None = None,
    after: Part | None = None,
    bound: int = 255,
    widths: tuple[int, ...] = (3, 3, 3, 3),
) -> LoopPlan:
    """Slot 0 is x, 1 the state, and what 2 holds is given and kept unless it is said."""
    return LoopPlan(widths, 0, x, (1,), operations, y or part(2), (after or part(2),), bound, bound)


COPY = Combine(2, part(0), 1, None, 0, None)


@pytest.mark.parametrize(
    ("bound", "dtype"), [(255, "f4"), (1 << 24, "f4"), ((1 << 24) + 1, "f8"), (1 << 40, "f8")]
)
def test_slots_are_of_floats_that_hold_everything(bound: int, dtype: str) -> None:
    loop = NativeLoop(plan_of(COPY, bound=bound), LEVELS[-1])
    assert loop.dtype == loop.operations.dtype == dtype


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        (Q(8, 0), "i1"),
        (UQ(8, 0), "u1"),
        (Q(9, 0), "i2"),
        (UQ(3, 13), "u2"),
        (Q(16, 0), "i2"),
        (Q(17, 0), None),
    ],
)
def test_inputs_and_outputs_are_words_of_16_bits_at_most(format: QFormat, kind: str | None) -> None:
    for plan in (plan_of(COPY, x=format), plan_of(COPY, y=part(2, format=format))):
        if kind is None:
            with pytest.raises(NotCompiled, match=r"^words of more than 16 bits$"):
                NativeLoop(plan, LEVELS[-1])
            assert native_loop(plan, LEVELS[-1]) is None
            continue
        loop = NativeLoop(plan, LEVELS[-1])
        assert (loop.input, loop.result) == ((kind, "i1") if plan.input_format == format else ("i1", kind))
        load, *_, store, _ = loop.operations._made
        assert (load.kind, load.bytes, load.word_signed) == (
            LOAD,
            loop.input.itemsize,
            loop.input.kind == "i",
        )
        assert (store.kind, store.bytes) == (STORE, loop.result.itemsize)


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("fits", [True, False])
def test_a_cast_saturates_or_nothing_overflows(overflow: Overflow, fits: bool) -> None:
    plan = plan_of(Requantize(2, part(0), 0, Quantizer(WORD, overflow=overflow), fits))
    taken = fits or overflow in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
    assert (native_loop(plan, LEVELS[-1]) is not None) is taken


def product(
    *weights: int, shift: int = 0, x: QFormat = WORD, bound: int | None = None, raw: int | None = None
) -> ProductSum:
    matrix = np.zeros((3, 3), np.int64)
    matrix[0, : len(weights)] = weights
    source = part(0, format=x)
    source = source if bound is None else replace(source, bound=bound)
    cut = RoundedColumns(2, 0, 3, False, shift, Quantizer(WORD), False)
    return ProductSum((SlotDot(source, BoundedInts.of(matrix)),), None, 3, 1 << 20, [cut], raw)


@pytest.mark.parametrize(
    ("sums", "size"),
    [
        (product(-128, 127), 1),
        (product(-129, 127), 2),
        (product(-128, 128), 2),
        (product(1, x=UQ(8, 0)), 1),
        (product(1, x=Q(9, 0)), 2),
        (product(1, x=Q(9, 0), bound=127), 1),
        (product(1, x=Q(9, 0), bound=129), 2),
        (product(1, x=UQ(9, 0), bound=255), 1),
        (product(1, x=UQ(9, 0), bound=256), 2),
    ],
)
def test_operands_are_bytes_where_all_of_them_and_the_weights_are(sums: ProductSum, size: int) -> None:
    made = [one for one in NativeLoop(plan_of(sums), BYTES).operations._made if one.kind == PRODUCT]
    assert [one.bytes for one in made] == [size]
    wide = replace(sums, dots=(*sums.dots, *product(1, x=Q(12, 0)).dots))
    made = [one for one in NativeLoop(plan_of(wide), BYTES).operations._made if one.kind == PRODUCT]
    assert [(one.bytes, one.source_count) for one in made] == [(2, 2)]


def test_a_sum_is_cut_and_kept_bare_where_it_is_needed() -> None:
    made = [
        one for one in NativeLoop(plan_of(product(1, raw=3)), BYTES).operations._made if one.kind == PRODUCT
    ]
    assert [(one.out, one.width) for one in made] == [(2, 3), (3, 3)]
    assert native_loop(plan_of(product(1, shift=-3)), BYTES) is not None
    assert native_loop(plan_of(product(1)), BYTES) is not None
    with pytest.raises(NotCompiled, match=r"^a sum that is shifted to the left$"):
        NativeLoop(plan_of(product(1, shift=1)), BYTES)


@pytest.mark.parametrize(
    ("after", "widths", "copied"),
    [
        (part(2), (3, 3, 3), True),
        (part(1), (3, 3, 3), False),
        (part(1, start=2), (3, 5, 3), True),
        (part(2, start=1), (3, 3, 4), True),
    ],
)
def test_a_state_is_copied_unless_it_stands_in_its_slot(
    after: Part, widths: tuple[int, ...], copied: bool
) -> None:
    loop = NativeLoop(plan_of(COPY, after=after, widths=widths), LEVELS[-1])
    kinds = [one.kind for one in loop.operations._made]
    assert kinds == [LOAD, COMBINE, STORE, *([COMBINE] if copied else [])]
    if copied:
        last = loop.operations._made[-1]
        assert (last.out, last.a, last.a_column, last.b, last.width) == (1, after.slot, after.start, -1, 3)
        assert (last.a_factor, last.row) == (1, None)


@pytest.mark.parametrize("kernels", LEVELS, ids=lambda kernels: kernels.name)
@pytest.mark.parametrize("batch", [0, 1, ROWS, ROWS + 1, 3 * ROWS])
def test_every_row_of_a_batch_has_its_own_state(kernels: Any, batch: int) -> None:
    """The state is multiplied with x, which comes in words, in floats, with gaps and in Fortran's order."""
    loop = NativeLoop(plan_of(SlotProduct(2, part(0), part(1)), bound=1 << 30), kernels)
    rng = np.random.default_rng(batch)
    x = rng.integers(-2, 3, (batch, 4, 3))
    state = rng.integers(-9, 10, (batch, 3))
    ends = np.cumprod(np.concatenate([state[:, None], x], axis=1), axis=1)[:, 1:]
    gaps = np.zeros((batch, 4, 6))
    gaps[..., ::2] = x
    for given in (
        CompactInts(x.astype(np.int8), 2, True),
        CompactInts(np.asfortranarray(x.astype(np.int8)), 2, True),
        BoundedInts(x.astype(np.float32), 2),
        BoundedInts(gaps[..., ::2], 2),
    ):
        for start in (state, np.asfortranarray(state.astype(np.float32))):
            before = start.copy()
            ys, (final,) = loop.run(given, [start])
            assert ys.dtype == np.int8 and ys.shape == (batch, 4, 3)
            assert np.array_equal(ys, ends.astype(np.int8))
            assert np.array_equal(final, ends[:, -1] if batch else state)
            assert np.array_equal(start, before), "the given state stays"
