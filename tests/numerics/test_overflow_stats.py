# SPDX-License-Identifier: MIT
"""The statistics count what a loop in Fractions counts, and nothing while it is closed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics import overflow_stats as module
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import limits
from fixedpoint_nn.numerics.overflow_stats import OverflowCounts, OverflowStats, OverflowTotals
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from tests.support import oracle


def bits_for(lo: int, hi: int, signed: bool) -> int:
    """Bits of the smallest format for lo..hi, found by trying."""
    bits = 0
    while not (-(2**bits) <= lo and hi < 2**bits):
        bits += 1
    return bits + (signed or lo < 0)


def counted(values: list[Fraction], shape: tuple[int, ...], quantizer: Quantizer) -> OverflowCounts:
    """The entry of these values, one by one."""
    f = quantizer.format
    scaled = [v * Fraction(2) ** f.frac_bits for v in values]
    whole = [oracle.rounded(v, quantizer.rounding) for v in scaled]
    lowest = -f.int_max if quantizer.overflow is Overflow.SATURATE_SYMMETRIC and f.signed else f.int_min
    outside = [not lowest <= n <= f.int_max for n in whole]
    wraps = quantizer.overflow is Overflow.WRAP
    first = tuple(int(i) for i in np.unravel_index(outside.index(True), shape)) if any(outside) else None
    return OverflowCounts(
        values=len(values),
        saturated=0 if wraps else sum(outside),
        wrapped=sum(outside) if wraps else 0,
        rounded=sum(n != v for n, v in zip(whole, scaled, strict=True)),
        first=first,
        headroom_bits=f.bits - bits_for(min(whole), max(whole), f.signed),
    )


SOURCES = [(Q(4, 4), 200), (UQ(3, 5), 200), (Q(20, 10), 30), (Q(50, 10), 30)]
TARGETS = [Q(2, 2), UQ(2, 2), Q(6, 6), Q(8, 4), Q(4, -2), Q(40, 20)]


@pytest.mark.parametrize(("source", "count"), SOURCES)
def test_a_cast_is_counted_value_by_value(source: QFormat, count: int) -> None:
    rng = np.random.default_rng(0)
    ints = rng.integers(source.int_min, source.int_max + 1, (count // 5, 5))
    x = FixedArray.from_ints(ints, source)
    values = [oracle.value(int(n), source) for n in ints.reshape(-1)]
    for target, rounding, overflow in product(TARGETS, Rounding, Overflow):
        quantizer = Quantizer(target, rounding, overflow, name="here")
        with OverflowStats() as stats:
            x.cast(quantizer)
        assert stats["here"] == counted(values, x.shape, quantizer)
        with OverflowStats(count_rounded=False) as quick:
            x.cast(quantizer)
        assert quick["here"].rounded == 0
        assert (quick["here"].saturated, quick["here"].first) == (
            stats["here"].saturated,
            stats["here"].first,
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count_rounded", [True, False])
def test_floats_are_counted_value_by_value(dtype: type, count_rounded: bool) -> None:
    ties = np.arange(-70, 70) / 8
    x = (
        np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)])
        .astype(dtype)
        .reshape(-1, 7)
    )
    values = [Fraction(float(v)) for v in x.reshape(-1)]
    for target, rounding, overflow in product([*TARGETS, Q(3, 50)], Rounding, Overflow):
        quantizer = Quantizer(target, rounding, overflow, name="input")
        with OverflowStats(count_rounded) as stats:
            FixedArray.from_float(x, quantizer)
        expected = counted(values, x.shape, quantizer)
        seen = stats["input"]
        assert (seen.values, seen.saturated, seen.wrapped, seen.first, seen.headroom_bits) == (
            expected.values, expected.saturated, expected.wrapped, expected.first, expected.headroom_bits,
        )  # fmt: skip
        assert seen.rounded == (expected.rounded if count_rounded else 0)


@pytest.mark.parametrize("overflow", Overflow)
def test_floats_beside_limits_that_no_float_holds_are_counted(overflow: Overflow) -> None:
    """Of Q(61, 0), the lowest integer is a double, the highest is not."""
    edge = 2.0**60
    x = np.array(
        [-edge, edge, np.nextafter(-edge, 0), np.nextafter(edge, 0), np.nextafter(-edge, -np.inf), 1e300]
    )
    quantizer = Quantizer(Q(61, 0), Rounding.FLOOR, overflow, name="input")
    with OverflowStats() as stats:
        FixedArray.from_float(x, quantizer)
    expected = counted([Fraction(float(v)) for v in x], x.shape, quantizer)
    seen = stats["input"]
    assert (seen.values, seen.saturated, seen.wrapped, seen.first, seen.headroom_bits) == (
        expected.values, expected.saturated, expected.wrapped, expected.first, expected.headroom_bits,
    )  # fmt: skip


def test_integers_are_counted_on_their_way_into_a_format() -> None:
    quantizer = Quantizer(Q(4, 2), name="input")
    with OverflowStats() as stats:
        FixedArray.from_float(np.array([7, -8, 8, 3, -9]), quantizer)
    assert stats["input"] == OverflowCounts(
        5, saturated=2, wrapped=0, rounded=0, first=(2,), headroom_bits=-1
    )


@pytest.mark.parametrize("bits", [10, 13, 16, 24])
@pytest.mark.parametrize("format", [Q, UQ])
def test_accumulators_are_watched_at_every_step_where_it_matters(bits: int, format) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(1)
    a, w = rng.integers(-8, 8, (40, 30)), rng.integers(-128, 128, (30, 6))
    a[::3] *= 10
    x, weight = FixedArray.from_ints(a, Q(8, 0)), FixedArray.from_ints(w, Q(8, 0))
    f = format(bits, 0)
    total, outside, extremes = np.zeros((40, 6), np.int64), np.zeros((40, 6), bool), [0, 0]
    for k in range(30):
        total = total + a[:, k, None] * w[k]
        extremes = [min(extremes[0], total.min()), max(extremes[1], total.max())]
        outside |= (total < f.int_min) | (total > f.int_max)
        total = np.clip(total, f.int_min, f.int_max)
    with OverflowStats() as stats:
        result = x.dot(weight, Accumulator(f, Overflow.SATURATE, name="acc"))
    assert np.array_equal(result.ints, total)
    entry = stats["acc"]
    assert (entry.values, entry.saturated, entry.wrapped) == (240, outside.sum(), 0)
    assert entry.first == (tuple(np.argwhere(outside)[0]) if outside.any() else None)
    if outside.any():
        assert entry.headroom_bits == bits - bits_for(int(extremes[0]), int(extremes[1]), f.signed)

    with OverflowStats() as stats:
        x.dot(weight, Accumulator(f, Overflow.WRAP, name="acc"))
    sums = a @ w
    outside = (sums < f.int_min) | (sums > f.int_max)
    assert (stats["acc"].wrapped, stats["acc"].saturated) == (outside.sum(), 0)
    assert stats["acc"].headroom_bits == bits - bits_for(int(sums.min()), int(sums.max()), f.signed)


def test_entries_add_up_over_calls_and_keep_the_first_place() -> None:
    quantizer = Quantizer(Q(4, 0), name="out")
    with OverflowStats() as stats:
        FixedArray.from_ints([1, 2], Q(8, 0)).cast(quantizer)
        stats.first_row = 2
        FixedArray.from_ints([3, 100], Q(8, 0)).cast(quantizer)
        stats.first_row = 4
        FixedArray.from_ints([-100, 0], Q(8, 0)).cast(quantizer)
    assert stats["out"] == OverflowCounts(6, saturated=2, wrapped=0, rounded=0, first=(3,), headroom_bits=-4)


def test_nothing_is_collected_outside_of_the_block_and_the_outer_statistics_comes_back() -> None:
    quantizer = Quantizer(Q(4, 0), name="out")
    x = FixedArray.from_ints([100], Q(8, 0))
    assert module.active() is None
    with OverflowStats() as outer:
        with OverflowStats() as inner:
            x.cast(quantizer)
        assert module.active() is outer
        with pytest.raises(ZeroDivisionError), OverflowStats():
            1 / 0  # noqa: B018
        assert module.active() is outer
    x.cast(quantizer)
    assert module.active() is None
    assert (len(outer), inner["out"].values) == (0, 1)


def test_each_thread_has_statistics_of_its_own() -> None:
    quantizer = Quantizer(Q(4, 0), name="out")
    x = FixedArray.from_ints([100], Q(8, 0))

    def cast_often(times: int) -> int:
        with OverflowStats() as stats:
            for _ in range(times):
                x.cast(quantizer)
                barrier.wait()
        return stats["out"].saturated

    barrier = threading.Barrier(2)
    with OverflowStats() as outer, ThreadPoolExecutor(2) as executor:
        assert list(executor.map(cast_often, (20, 20))) == [20, 20]
    assert len(outer) == 0


def test_unnamed_casts_stand_under_their_text() -> None:
    with OverflowStats() as stats:
        FixedArray.from_ints([100], Q(8, 0)).cast(Quantizer(Q(4, 0)))
    assert list(stats) == ["ap_fixed<4,4,AP_RND_CONV,AP_SAT>"]


def test_it_prints_as_a_table() -> None:
    with OverflowStats() as stats:
        FixedArray.from_ints([100, 1], Q(8, 4)).cast(Quantizer(Q(4, 0), name="fc1.out"))
    assert str(stats).splitlines() == [
        "             values  saturated    wrapped    rounded  headroom  first",
        "fc1.out           2          0          0          2         0  -",
    ]


def test_a_table_of_nothing_is_its_head() -> None:
    assert str(OverflowStats()) == "      values  saturated    wrapped    rounded  headroom  first"


def test_floats_whose_steps_no_float_holds_count_as_two_to_the_1024() -> None:
    with OverflowStats() as stats:
        FixedArray.from_float([1e308], Quantizer(Q(3, 60), name="above"))
        FixedArray.from_float([-1e308], Quantizer(Q(3, 60), name="below"))
    assert stats["above"].headroom_bits == 63 - 1026
    assert stats["below"].headroom_bits == 63 - 1025
    assert stats["above"].saturated == stats["below"].saturated == 1


def test_what_is_shifted_out_whole_has_lost_a_fraction() -> None:
    for frac in (-1, -2, -3):
        with OverflowStats() as stats:
            FixedArray.from_ints([0, 5, -(1 << 59)], Q(-2, 62)).cast(Quantizer(Q(6, frac), name="out"))
        assert stats["out"].rounded == 2


def test_an_accumulator_rounds_nothing_at_its_end() -> None:
    a, b = FixedArray.from_ints([[3, 5]], Q(4, 4)), FixedArray.from_ints([[1], [7]], Q(4, 4))
    with OverflowStats() as stats:
        a.dot(b, Accumulator(Q(8, 8), name="fc1.acc"))
    assert stats["fc1.acc"].rounded == 0
    assert stats["fc1.acc"].values == 1


def test_a_name_that_was_not_seen_is_one_sentence() -> None:
    with OverflowStats() as stats:
        FixedArray.from_ints([1], Q(8, 0)).cast(Quantizer(Q(4, 0), name="fc1"))
    with pytest.raises(KeyError) as caught:
        stats["fc2"]
    assert caught.value.args == ("nothing was cast at 'fc2'; the statistics hold fc1",)


BLOCK = 1 << 17  # elements that a conversion takes at a time


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("largest", [0, 1, 2])
def test_extremes_and_counts_are_those_of_all_blocks(dtype: type, largest: int) -> None:
    """Each block in turn holds what is too large: 20 above and 300 below, of which the quantizer rounds all."""
    x = np.full(2 * BLOCK + 5, 0.25, dtype)
    place = largest * BLOCK + 3
    x[place], x[(place + BLOCK) % x.size] = 20.25, -300.25
    quantizer = Quantizer(Q(4, 0), Rounding.HALF_EVEN, name="in")
    with OverflowStats() as stats:
        FixedArray.from_float(x, quantizer)
    assert stats["in"] == OverflowCounts(
        x.size,
        saturated=2,
        rounded=x.size,
        first=(min(place, (place + BLOCK) % x.size),),
        headroom_bits=4 - bits_for(-300, 20, True),
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_sums_are_those_of_all_blocks_of_rows(sign: int) -> None:
    """Rows beyond one block, of which the first, a middle or the last one alone has the largest sum."""
    rows, accumulator = 40_000, Accumulator(Q(8, 0), Overflow.SATURATE, name="acc")
    for row in (0, rows // 2, rows - 1):
        a = np.ones((rows, 2), np.int64)
        a[row] = sign * 1000, -sign * 500
        with OverflowStats() as stats:
            FixedArray.from_ints(a, Q(12, 0)).dot(FixedArray.from_ints([[1], [1]], Q(2, 0)), accumulator)
        # The first step leaves at +-1000, of which saturation leaves 127 or -128; the second one at -373 or 372.
        lo, hi = (-373, 1000) if sign > 0 else (-1000, 372)
        assert stats["acc"].headroom_bits == 8 - bits_for(lo, hi, True)
        assert (stats["acc"].saturated, stats["acc"].first) == (1, (row, 0))


def test_one_product_of_saturated_and_safe_rows_has_the_extremes_of_both() -> None:
    """The safe row's sum is the largest of all, and the ordered rows' the smallest."""
    a = np.array([[90, 30, 0], [-100, -100, 100], [1, 1, 1]])
    with OverflowStats() as stats:
        FixedArray.from_ints(a, Q(8, 0)).dot(
            FixedArray.from_ints([[1], [1], [1]], Q(2, 0)),
            Accumulator(Q(8, 0), Overflow.SATURATE, name="acc"),
        )
    assert stats["acc"].headroom_bits == 8 - bits_for(-200, 120, True)
    assert stats["acc"].first == (1, 0)


def test_an_empty_array_is_cast_and_counted_as_nothing() -> None:
    empty = FixedArray.from_ints([[1, 2]], Q(4, 4))[:0]
    with OverflowStats() as stats:
        assert empty.cast(Quantizer(Q(2, 0), name="out")).shape == (0, 2)
    assert "out" not in stats


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_at_the_limits_fit(overflow: Overflow, dtype: type) -> None:
    quantizer = Quantizer(Q(4, 0), Rounding.FLOOR, overflow, name="in")
    lowest = -7 if overflow is Overflow.SATURATE_SYMMETRIC else -8
    for values in ([lowest, 7], [lowest, 0], [0, 7]):
        with OverflowStats() as stats:
            assert FixedArray.from_float(np.array(values, dtype), quantizer).ints.tolist() == values
        assert (stats["in"].saturated, stats["in"].wrapped, stats["in"].first) == (0, 0, None)


@pytest.mark.parametrize("format", [Q(8, 0), UQ(8, 0)])
def test_zeros_need_no_bit_but_a_sign(format: QFormat) -> None:
    with OverflowStats() as stats:
        FixedArray.from_ints([0, 0], Q(4, 0)).cast(Quantizer(format, name="out"))
    assert stats["out"].headroom_bits == 8 - format.signed


def test_totals_are_added_by_name_and_by_what_overflows_do() -> None:
    narrow = Quantizer(Q(2, 2), name="narrow")
    wrapping = Quantizer(Q(2, 2), overflow=Overflow.WRAP)
    totals = OverflowTotals()
    for values, outside in ((10, 3), (5, 1)):
        totals.record_total(narrow, values, outside)
        totals.record_total(wrapping, values, outside)
    for name, saturated, wrapped in (("narrow", 4, 0), (str(wrapping), 0, 4)):
        entry = totals[name]
        assert (entry.values, entry.saturated, entry.wrapped) == (15, saturated, wrapped)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC])
@pytest.mark.parametrize("format", [Q(3, 0), UQ(3, 0), Q(1, 0)])
def test_what_is_representable_is_found_by_trying(
    format: QFormat, overflow: Overflow, rounding: Rounding
) -> None:
    quantizer = Quantizer(format, rounding, overflow)
    lowest, highest = limits(format, overflow)
    for shift in (-3, -2, -1, 0, 1, 2):
        fit = [
            n
            for n in range(-200, 201)
            if lowest <= oracle.rounded(n * Fraction(2) ** shift, rounding) <= highest
        ]
        assert module.representable_range(shift, quantizer) == (fit[0], fit[-1])


def test_totals_count_no_rounded_values() -> None:
    x = FixedArray.from_ints(np.arange(-9, 9), Q(5, 3))
    with OverflowTotals() as totals:
        x.cast(Quantizer(Q(2, 1), name="coarse"))
    with OverflowStats() as stats:
        x.cast(Quantizer(Q(2, 1), name="coarse"))
    assert (totals["coarse"].rounded, totals["coarse"].saturated) == (0, stats["coarse"].saturated)
    assert stats["coarse"].rounded > 0


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
def test_the_ends_of_what_fits_are_the_first_that_are_not_counted(
    rounding: Rounding, overflow: Overflow
) -> None:
    """Every integer near the ends of a small format, alone on its side, against its own cast."""
    for format in (Q(3, 0), UQ(2, 0)):
        quantizer = Quantizer(format, rounding, overflow, name="ends")
        for drop in (0, 1, 2, 3):
            values = np.arange(-9 << drop, (9 << drop) + 1)
            exact = Quantizer(Q(40, 0), rounding).from_ints(values, drop)
            lo, hi = limits(format, overflow)
            fits = values[(exact >= lo) & (exact <= hi)]
            assert module.representable_range(-drop, quantizer) == (fits.min(), fits.max())
            for some in (values, values[values >= fits.min()], values[values <= fits.max()], fits):
                with OverflowStats() as stats:
                    FixedArray.from_ints(some, Q(20, drop)).cast(quantizer)
                counts = stats["ends"]
                assert counts.saturated + counts.wrapped == np.count_nonzero(~np.isin(some, fits))
