# SPDX-License-Identifier: MIT
"""NumPy's loop on plans made by hand: which products are joined, which weights are scaled, and every operation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Overflow, Q, Quantizer, Rounding, Table
from fixedpoint_nn.numbers.loops.numpy_loop import ROWS, NumpyLoop, _scaled_weights
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
from fixedpoint_nn.numbers.loops.slot_memory import (
    joined_slots,
    slots_in_place,
)
from fixedpoint_nn.numerics.bounded_ints import BoundedInts, CompactInts
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.qformat import UQ, QFormat

WIDTHS = (4, 4, 4, 3, 4, 3)  # x, the state, and others
WEIGHTS = np.random.default_rng(0).integers(-9, 10, (2, 4, 4))
FITTED = Quantizer(Q(8, 0), Rounding.HALF_UP)


def part(slot: int, start: int = 0, width: int | None = None, format: QFormat = Q(8, 0)) -> Part:
    return Part(slot, start, WIDTHS[slot] if width is None else width, format, 128, True)


def plan_of(*operations: Operation, y: Part, widths: tuple[int, ...] = WIDTHS) -> LoopPlan:
    return LoopPlan(widths, 0, Q(8, 0), (1,), operations, y, (part(1),), 1 << 20, 1 << 20)


def dot(source: Part, number: int = 0) -> SlotDot:
    return SlotDot(source, BoundedInts.of(WEIGHTS[number][: source.width]))


def products(
    *dots: SlotDot, cuts: tuple[RoundedColumns, ...] = (), bias: Any = None, raw: int | None = None
) -> ProductSum:
    return ProductSum(dots, bias, 4, 1 << 20, list(cuts), raw)


def cut(out: int, start: int, width: int, shift: int, relu: bool = False) -> RoundedColumns:
    return RoundedColumns(out, start, width, relu, shift, FITTED, False)


def test_products_over_whole_slots_are_joined_each_slot_once() -> None:
    both, other = products(dot(part(0)), dot(part(1))), products(dot(part(2)), dot(part(4)))
    crossed = products(dot(part(1)), dot(part(2)))
    for operations, groups in (
        ([both], ((0, 1),)),
        ([both, other], ((0, 1), (2, 4))),
        ([both, crossed], ((0, 1),)),
        ([crossed, both], ((1, 2),)),
        ([both, crossed, products(dot(part(4)), dot(part(2)))], ((0, 1), (4, 2))),
        ([products(dot(part(0)))], ()),
        ([products(dot(part(0)), dot(part(0)))], ()),
        ([products(dot(part(0)), dot(part(1, 0, 3)))], ()),
        ([products(dot(part(0)), dot(part(1)), dot(part(2)))], ((0, 1, 2),)),
        ([SlotProduct(2, part(0), part(1)), both], ((0, 1),)),
    ):
        assert joined_slots(plan_of(*operations, y=part(2))) == groups


def test_weights_take_the_powers_of_two_of_their_cuts_if_each_column_has_one() -> None:
    bias = np.array([100, 200, 300, 400])
    for cuts, raw, factors in (
        ([cut(2, 0, 4, -2)], None, [0.25] * 4),
        ([cut(2, 0, 1, -2), cut(3, 1, 3, -1)], None, [0.25, 0.5, 0.5, 0.5]),
        ([cut(3, 1, 3, -1)], None, None),  # a column that nobody reads
        ([cut(2, 0, 3, -2), cut(3, 1, 1, -1)], None, None),
        ([cut(2, 0, 3, -2), cut(3, 2, 2, -1)], None, None),  # one that is read twice
        ([cut(2, 0, 4, -2)], 4, None),  # the sum itself is asked for
    ):
        weights, scaled_bias, scaled = _scaled_weights(
            products(dot(part(0)), dot(part(1), 1), cuts=tuple(cuts), bias=bias, raw=raw), np.dtype("f4")
        )
        assert scaled is (factors is not None)
        factor = np.array(factors or [1.0] * 4)
        assert all(np.array_equal(one, WEIGHTS[n] * factor) for n, one in enumerate(weights))
        assert scaled_bias is not None and np.array_equal(scaled_bias, bias * factor)
        assert {one.dtype for one in (*weights, scaled_bias)} == {np.dtype("f4")}
    assert _scaled_weights(products(dot(part(0)), cuts=(cut(2, 0, 4, 0),)), np.dtype("f8"))[1] is None


def fitted(values: np.ndarray, shift: int) -> np.ndarray:
    return convert(values, shift, FITTED.format, FITTED.rounding, FITTED.overflow)


BIAS, ROW = np.array([70, -80, 90, -100]), np.array([5, -6, 7])
TABLE = Table("tanh", Q(2, 2), Quantizer(Q(1, 6)))
KEPT = np.asarray(TABLE.ints)
# The operations, where the result stands, and what it is for x and the state, which both have four columns.
FORMULAS: dict[str, tuple[tuple[Operation, ...], Part, Any]] = {
    "a product": (
        (products(dot(part(0)), cuts=(cut(2, 0, 4, -3),), bias=BIAS),),
        part(2),
        lambda x, h: fitted(x @ WEIGHTS[0] + BIAS, -3),
    ),
    "of two slots": (
        (products(dot(part(0)), dot(part(1), 1), cuts=(cut(2, 0, 4, -3),)),),
        part(2),
        lambda x, h: fitted(x @ WEIGHTS[0] + h @ WEIGHTS[1], -3),
    ),
    "of two slots and a row": (
        (products(dot(part(0)), dot(part(1), 1), cuts=(cut(2, 0, 4, -3),), bias=BIAS),),
        part(2),
        lambda x, h: fitted(x @ WEIGHTS[0] + h @ WEIGHTS[1] + BIAS, -3),
    ),
    "of one and a part": (
        (products(dot(part(0)), dot(part(1, 1, 3), 1), dot(part(0), 1), cuts=(cut(2, 0, 4, -3),)),),
        part(2),
        lambda x, h: fitted(x @ WEIGHTS.sum(axis=0) + h[:, 1:] @ WEIGHTS[1][:3], -3),
    ),
    "no bit is dropped": (
        (products(dot(part(0)), cuts=(cut(2, 0, 4, 0),)),),
        part(2),
        lambda x, h: fitted(x @ WEIGHTS[0], 0),
    ),
    "relu": (
        (products(dot(part(0)), cuts=(cut(2, 0, 4, -3, True),)),),
        part(2),
        lambda x, h: fitted(np.maximum(x @ WEIGHTS[0], 0), -3),
    ),
    "a part": (
        (products(dot(part(0)), cuts=(cut(3, 1, 3, -3, True),)),),
        part(3),
        lambda x, h: fitted(np.maximum(x @ WEIGHTS[0], 0), -3)[:, 1:],
    ),
    "two parts": (
        (
            products(dot(part(0)), cuts=(cut(3, 1, 3, -2), cut(2, 0, 4, -3))),
            Combine(5, part(3), 1, part(2, 1, 3), 1, None),
        ),
        part(5),
        lambda x, h: fitted(x @ WEIGHTS[0], -2)[:, 1:] + fitted(x @ WEIGHTS[0], -3)[:, 1:],
    ),
    "a part and the sum": (
        (products(dot(part(0)), cuts=(cut(3, 1, 3, -3),), raw=2), Combine(5, part(3), 1, part(2, 0, 3), 1, None)),
        part(5),
        lambda x, h: fitted(x @ WEIGHTS[0], -3)[:, 1:] + (x @ WEIGHTS[0])[:, :3],
    ),
    "a product of values": ((SlotProduct(2, part(0), part(1)),), part(2), lambda x, h: x * h),
    "a sum": ((Combine(2, part(0), 1, part(1), 1, None),), part(2), lambda x, h: x + h),
    "a difference": ((Combine(2, part(0), 1, part(1), -1, None),), part(2), lambda x, h: x - h),
    "a difference and a row": ((Combine(2, part(0), 1, part(1), -1, BIAS),), part(2), lambda x, h: x - h + BIAS),
    "from a row": ((Combine(2, part(0), -1, None, 0, BIAS),), part(2), lambda x, h: BIAS - x),
    "from one number": (
        (Combine(2, part(0), -1, None, 0, np.full(4, 9)),), part(2), lambda x, h: 9 - x,
    ),
    "and one number": ((Combine(2, part(0), 2, None, 0, np.full(4, 9)),), part(2), lambda x, h: 2 * x + 9),
    "as it is": ((Requantize(2, part(0), 0, Quantizer(Q(6, 0)), False),), part(2), lambda x, h: np.clip(x, -32, 31)),
    "a negative": ((Combine(2, part(0), -1, None, 0, None),), part(2), lambda x, h: -x),
    "four times": ((Combine(2, part(0), 4, None, 0, BIAS),), part(2), lambda x, h: 4 * x + BIAS),
    "at two points": ((Combine(2, part(0), 4, part(1), 1, None),), part(2), lambda x, h: 4 * x + h),
    "at other points": ((Combine(2, part(0), 1, part(1), -8, BIAS),), part(2), lambda x, h: x - 8 * h + BIAS),
    "minus both": ((Combine(2, part(0), -1, part(1), -1, BIAS),), part(2), lambda x, h: BIAS - x - h),
    "rounded": ((Requantize(2, part(0), -2, FITTED, False),), part(2), lambda x, h: fitted(x, -2)),
    "moved up": ((Requantize(2, part(0), 3, FITTED, False),), part(2), lambda x, h: fitted(x, 3)),
    "a table": ((SlotLookup(2, part(0, format=Q(2, 2)), TABLE),), part(2), lambda x, h: KEPT[x & 15]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", FORMULAS)
def test_every_operation_at_every_step_for_every_row(name: str, dtype: str) -> None:
    operations, y, formula = FORMULAS[name]
    loop = NumpyLoop(plan_of(*operations, y=part(y.slot, y.start, y.width, Q(12, 0))), np.dtype(dtype))
    rng = np.random.default_rng(1)
    for batch in (3, 1, ROWS + 2):
        x, state = rng.integers(-128, 128, (batch, 3, 4)), rng.integers(-128, 128, (batch, 4))
        before = state.copy()
        for given in (BoundedInts(x.astype("f4"), 128), CompactInts(x.astype("i1"), 128, True)):
            ys, (final,) = loop.run(given, [state])
            assert ys.dtype == np.int16
            expected = np.stack([formula(x[:, t], state) for t in range(3)], axis=1)
            assert np.array_equal(ys, expected.astype(np.int16))
            assert final.dtype == dtype and np.array_equal(final, before) and np.array_equal(state, before)


# ---- tables by their formula -----------------------------------------------------------------------------


def gated(
    table: Table, overflow: Overflow = Overflow.SATURATE, y: int = 2, another: tuple[Operation, ...] = ()
) -> tuple[NumpyLoop, Quantizer]:
    """16 columns of x, rounded to codes in slot 1, whose entries are in slot 2."""
    codes = Quantizer(table.input_format, Rounding.HALF_EVEN, overflow)
    whole = [Part(n, 0, 16, table.input_format, 1 << 14, True) for n in range(4)]
    weights = BoundedInts.of(np.eye(16, dtype=np.int64))
    sums = ProductSum(
        (SlotDot(whole[0], weights),), None, 16, 1 << 15, [RoundedColumns(1, 0, 16, False, -2, codes, False)]
    )
    operations = (sums, SlotLookup(2, whole[1], table), *another)
    plan = LoopPlan((16,) * 4, 0, Q(16, 0), (), operations, whole[y], (), 1 << 15, 1 << 15)
    return NumpyLoop(plan, np.dtype("f4")), codes


LEVEL, STEEP = Table("sigmoid", Q(4, 6), Quantizer(UQ(0, 8))), Table("tanh", Q(1, 6), Quantizer(Q(1, 7)))
NO_FORMULA = Table("gelu", Q(4, 6), Quantizer(Q(4, 6)))


@pytest.mark.parametrize("batch", [255, 256])
@pytest.mark.parametrize(
    "overflow", [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.WRAP, Overflow.ZERO]
)
@pytest.mark.parametrize("table", [LEVEL, STEEP, NO_FORMULA], ids=str)
def test_many_codes_and_few_have_the_entries_of_the_table(
    table: Table, overflow: Overflow, batch: int
) -> None:
    loop, codes = gated(table, overflow)
    x = np.random.default_rng(4).integers(-9000, 9000, (batch, 2, 16))
    ys, _ = loop.run(BoundedInts(x.astype("f4"), 1 << 14), [])
    rounded = convert(x, -2, codes.format, codes.rounding, overflow)
    assert np.array_equal(ys, table.lookup(rounded))


def clips(loop: NumpyLoop, rows: int) -> int:
    return sum(
        getattr(getattr(call, "func", None), "__name__", "") == "clip" for call in loop._prepared(rows)[1]
    )


def tanhs(loop: NumpyLoop, rows: int) -> int:
    return sum(getattr(call, "func", None) is np.tanh for call in loop._prepared(rows)[1])


def test_a_formula_is_used_for_many_codes_in_single_precision() -> None:
    loop, _ = gated(LEVEL)
    assert (tanhs(loop, 255), tanhs(loop, 256)) == (0, 1)
    wide = NumpyLoop(loop.plan, np.dtype("f8"))
    assert tanhs(wide, 256) == 0
    x = np.random.default_rng(5).integers(-9000, 9000, (256, 1, 16)).astype("f4")
    assert np.array_equal(wide.run(BoundedInts(x, 1 << 14), [])[0], loop.run(BoundedInts(x, 1 << 14), [])[0])


def test_codes_are_saturated_unless_only_formulas_read_them() -> None:
    other = SlotLookup(3, Part(1, 0, 16, Q(4, 6), 1 << 9, True), LEVEL)
    copied = Combine(3, Part(1, 0, 16, Q(4, 6), 1 << 9, True), 1, None, 0, None)
    for loop, few, many in (
        (gated(LEVEL)[0], 1, 1),  # the codes, or the entries
        (gated(LEVEL, another=(other,))[0], 1, 2),
        (gated(STEEP)[0], 1, 1),
        (gated(LEVEL, another=(replace(other, table=NO_FORMULA),))[0], 1, 2),
        (gated(NO_FORMULA)[0], 1, 1),
        (gated(LEVEL, Overflow.SATURATE_SYMMETRIC)[0], 1, 2),
        (gated(LEVEL, y=1)[0], 1, 2),
        (gated(LEVEL, another=(copied,))[0], 1, 2),
    ):
        assert (clips(loop, 255), clips(loop, 256)) == (few, many)
    loop, codes = gated(LEVEL, y=3, another=(copied,))
    x = np.random.default_rng(6).integers(-9000, 9000, (256, 1, 16))
    ys, _ = loop.run(BoundedInts(x.astype("f4"), 1 << 14), [])
    assert np.array_equal(ys, convert(x, -2, codes.format, codes.rounding, codes.overflow))


# ---- states ----------------------------------------------------------------------------------------------


def test_the_next_state_is_written_over_a_state_that_nothing_reads_any_more() -> None:
    early, late = SlotProduct(2, part(0), part(1)), Combine(4, part(2), 1, part(0), 1, None)
    for operations, after, y, found in (
        ((early, late), part(4), part(2), {4: 1}),
        ((early, late), part(4), part(4), {4: 1}),
        ((early, late), part(2), part(4), {}),  # read by what writes it
        ((late, replace(early, out=5)), part(4), part(2), {}),  # read afterwards
        ((early, late), part(4), part(1), {}),  # the output
        ((early, late), part(0), part(2), {}),  # the input
        ((early, late), part(1), part(2), {}),  # the state itself
        ((early, replace(late, out=3)), part(3), part(2), {}),  # of another width
        ((early, late), part(4, 0, 3), part(2), {}),
        ((early, late, products(dot(part(0)), dot(part(4)))), part(4), part(2), {}),  # beside another
        ((products(dot(part(0)), cuts=(cut(4, 0, 4, -1),)),), part(4), part(2), {4: 1}),
        ((products(dot(part(0)), raw=4),), part(4), part(2), {4: 1}),
        ((products(dot(part(1)), raw=4),), part(4), part(2), {}),
    ):
        assert slots_in_place(replace(plan_of(*operations, y=y), after=(after,))) == found
    two = replace(plan_of(early, late, y=part(2)), states=(1, 5), after=(part(4), part(4)))
    assert slots_in_place(replace(two, widths=(4, 4, 4, 3, 4, 4))) == {4: 1}


def test_states_written_in_place_are_those_of_every_step() -> None:
    early, late = SlotProduct(2, part(0), part(1)), Combine(4, part(2), 1, part(0), 1, None)
    loop = NumpyLoop(
        replace(plan_of(early, late, y=part(4, format=Q(16, 0))), after=(part(4),)), np.dtype("f4")
    )
    slots, _ = loop._prepared(3)
    assert slots[4] is slots[1] and slots[2] is not slots[1]
    x = np.random.default_rng(7).integers(-3, 4, (3, 4, 4))
    h = np.random.default_rng(8).integers(-3, 4, (3, 4))
    ys, (final,) = loop.run(BoundedInts(x.astype("f4"), 3), [h])
    for t in range(4):
        h = x[:, t] * h + x[:, t]
        assert np.array_equal(ys[:, t], h)
    assert np.array_equal(final, h)


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("columns", [4, 1 << 14])
def test_what_does_not_fit_overflows_in_few_columns_and_in_many(overflow: Overflow, columns: int) -> None:
    for format in (Q(5, 0), UQ(5, 0)):
        for fits in (True, False):
            quantizer = Quantizer(format, Rounding.HALF_EVEN, overflow)
            width = Part(0, 0, columns, Q(8, 0), 128, True)
            plan = LoopPlan(
                (columns, columns), 0, Q(8, 0), (), (Requantize(1, width, -1, quantizer, fits),),
                Part(1, 0, columns, Q(8, 0), 128, True), (), 1 << 10, 1 << 10,
            )  # fmt: skip
            x = np.random.default_rng(2).integers(-128, 128, (1, 2, columns))
            ys, _ = NumpyLoop(plan, np.dtype("f4")).run(BoundedInts(x.astype("f4"), 128), [])
            wanted = Q(20, 0) if fits else format
            assert np.array_equal(ys, convert(x, -1, wanted, quantizer.rounding, overflow))


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        (Q(8, 0), "i1"),
        (UQ(8, 0), "u1"),
        (Q(16, 0), "i2"),
        (UQ(4, 12), "u2"),
        (Q(17, 0), "f4"),
        (UQ(17, 0), "f4"),
    ],
)
def test_outputs_are_words_of_16_bits_at_most(format: QFormat, kind: str) -> None:
    loop = NumpyLoop(plan_of(SlotProduct(2, part(0), part(1)), y=part(2, format=format)), np.dtype("f4"))
    ys, _ = loop.run(BoundedInts(np.ones((2, 3, 4), np.float32), 1), [np.ones((2, 4))])
    assert ys.dtype == kind and (ys == 1).all()


def test_memory_is_kept_from_one_call_to_the_next_by_its_rows() -> None:
    loop = NumpyLoop(plan_of(SlotProduct(2, part(0), part(1)), y=part(2)), np.dtype("f4"))

    def run(batch: int) -> None:
        loop.run(BoundedInts(np.ones((batch, 1, 4), np.float32), 1), [np.ones((batch, 4))])

    for batch in (ROWS + 5, 5):
        run(batch)
        kept = dict(loop._free)
        assert set(kept) == {ROWS, 5} & {ROWS * (batch // ROWS), batch % ROWS}
    run(5)
    assert loop._free[5] is kept[5]
