# SPDX-License-Identifier: MIT
"""Modelled accumulators against the loop over steps, in Fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.accumulate import Products
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from tests.support import oracle


def expected(
    a: FixedArray, b: FixedArray, acc: Accumulator, initial: FixedArray | None = None
) -> list[list[int]]:
    def exact(x: FixedArray) -> list[list[Fraction]]:
        return [[oracle.value(int(n), x.format) for n in row] for row in x.ints]

    rows, columns = exact(a), list(zip(*exact(b), strict=True))
    starts = exact(initial) if initial is not None else [[Fraction(0)] * len(columns)] * len(rows)
    return [
        [oracle.accumulated(row, column, acc, starts[i][j]) for j, column in enumerate(columns)]
        for i, row in enumerate(rows)
    ]


@st.composite
def cases(draw: st.DrawFn) -> tuple[FixedArray, FixedArray, Accumulator, FixedArray | None]:
    """Operands of any width, and an accumulator that is too small as often as not."""

    def array(rows: int, columns: int, format: QFormat) -> FixedArray:
        entry = st.integers(format.int_min, format.int_max) | st.sampled_from(
            [format.int_min, format.int_max]
        )
        flat = draw(st.lists(entry, min_size=rows * columns, max_size=rows * columns))
        return FixedArray.from_ints(np.array(flat).reshape(rows, columns), format)

    def format(bits: int) -> QFormat:
        frac = draw(st.integers(-3, 10))
        return QFormat(bits - frac, frac, draw(st.booleans()))

    widest = draw(st.sampled_from([6, 16, 40, 63]))
    a_format, b_format = format(draw(st.integers(1, widest))), format(draw(st.integers(1, widest)))
    frac = a_format.frac_bits + b_format.frac_bits
    product = None
    if draw(st.booleans()):
        frac += draw(st.integers(-12, 4))
        bits = draw(st.integers(1, 40))
        target = QFormat(bits - frac, frac, draw(st.booleans()))
        product = Quantizer(target, draw(st.sampled_from(Rounding)), draw(st.sampled_from(Overflow)))
    shift = draw(st.integers(0, 5))
    bits = draw(st.integers(1, 63))
    acc_format = QFormat(bits - frac - shift, frac + shift, draw(st.booleans()))
    acc = Accumulator(acc_format, draw(st.sampled_from(Overflow)), product)
    terms = draw(st.integers(1, 6))
    a, b = array(2, terms, a_format), array(terms, 2, b_format)
    return a, b, acc, array(2, 2, acc_format) if draw(st.booleans()) else None


@settings(max_examples=250, deadline=None)
@given(cases())
def test_any_accumulator_agrees_with_fractions(
    case: tuple[FixedArray, FixedArray, Accumulator, FixedArray | None],
) -> None:
    a, b, acc, initial = case
    result = a.dot(b, acc, initial)
    assert result.format == acc.format
    assert result.ints.tolist() == expected(a, b, acc, initial)


def test_saturating_at_every_step_is_not_saturating_at_the_end() -> None:
    a = FixedArray.from_ints([[1, 1, 1]], Q(2, 0))
    b = FixedArray.from_ints([[100], [100], [-100]], Q(8, 0))
    assert a.dot(b, Accumulator(Q(8, 0), Overflow.SATURATE)).ints.tolist() == [[27]]
    assert a.dot(b).cast(Quantizer(Q(8, 0))).ints.tolist() == [[100]]
    assert a.dot(b, Accumulator(Q(8, 0), Overflow.WRAP)).ints.tolist() == [[100]]
    assert a.dot(b, Accumulator(Q(8, 0), Overflow.ZERO)).ints.tolist() == [[-100]]
    assert (-a).dot(b, Accumulator(Q(8, 0), Overflow.SATURATE_SYMMETRIC)).ints.tolist() == [[-27]]


def test_the_order_of_the_steps_is_k_0_1_2() -> None:
    acc = Accumulator(Q(8, 0), Overflow.SATURATE)
    a, b = [[1, 1, 1]], [[100], [100], [-100]]
    forward = FixedArray.from_ints(a, Q(2, 0)).dot(FixedArray.from_ints(b, Q(8, 0)), acc)
    backward = FixedArray.from_ints(a, Q(2, 0)).dot(FixedArray.from_ints(b[::-1], Q(8, 0)), acc)
    assert (forward.ints.item(), backward.ints.item()) == (27, 100)


@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SATURATE])
def test_two_halves_continue_one_accumulation(overflow: Overflow) -> None:
    rng = np.random.default_rng(0)
    x = FixedArray.from_ints(rng.integers(-128, 128, (9, 40)), Q(8, 0))
    w = FixedArray.from_ints(rng.integers(-128, 128, (40, 7)), Q(8, 0))
    for bits in (12, 15, 17, 24):
        acc = Accumulator(Q(bits, 0), overflow)
        whole = x.dot(w, acc)
        halves = x[:, 25:].dot(w[25:], acc, initial=x[:, :25].dot(w[:25], acc))
        assert np.array_equal(whole.ints, halves.ints)


def test_only_the_rows_that_may_saturate_are_computed_in_order() -> None:
    """Rows of every kind in one product: safe, saturating on the way, saturating at the end."""
    rng = np.random.default_rng(1)
    a = rng.integers(-8, 9, (200, 50))
    a[::7] *= 15
    x = FixedArray.from_ints(a, Q(8, 0))
    w = FixedArray.from_ints(rng.integers(-128, 128, (50, 6)), Q(8, 0))
    acc = Accumulator(Q(16, 0), Overflow.SATURATE)
    total = np.zeros((200, 6), np.int64)
    for k in range(50):
        total = np.clip(total + a[:, k, None] * w.ints[k], -32768, 32767)
    assert not np.array_equal(total, np.clip(a @ w.ints, -32768, 32767))
    assert np.array_equal(x.dot(w, acc).ints, total)


@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SATURATE])
@pytest.mark.parametrize("product", [None, Quantizer(Q(6, 2), Rounding.HALF_UP, Overflow.WRAP)])
def test_groups_accumulate_separately(overflow: Overflow, product: Quantizer | None) -> None:
    rng = np.random.default_rng(2)
    x = FixedArray.from_ints(rng.integers(-128, 128, (5, 3, 2, 6)), Q(4, 4))
    w = FixedArray.from_ints(rng.integers(-128, 128, (2, 6, 4)), Q(4, 4))
    acc = Accumulator(Q(7, 8), overflow, product)
    result = x.dot(w, acc)
    assert result.shape == (5, 3, 8)
    for g in range(2):
        own = x[:, :, g].dot(w[g], acc)
        assert np.array_equal(result[:, :, 4 * g : 4 * g + 4].ints, own.ints)
        assert own[0].ints.tolist() == expected(x[0, :, g], w[g], acc)


def test_a_vector_meets_an_accumulator_too() -> None:
    x, w = FixedArray.from_ints([100, 100, -100], Q(8, 0)), FixedArray.from_ints([1, 1, 1], Q(2, 0))
    result = x.dot(w, Accumulator(Q(8, 0), Overflow.SATURATE))
    assert result.shape == ()
    assert int(result.ints) == 27


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Accumulator(Q(8, 0), "ZERO"),
            TypeError,
            "overflow of an Accumulator is an Overflow, not 'ZERO'",
        ),
        (lambda: Accumulator("Q8.0"), TypeError, "format of an Accumulator is a QFormat, not 'Q8.0'"),
        (
            lambda: Accumulator(Q(8, 0), product=Q(8, 0)),
            TypeError,
            "product of an Accumulator is a Quantizer or None, not Q(8, 0)",
        ),
        (
            lambda: FixedArray.from_ints([[1]], Q(4, 4)).dot(
                FixedArray.from_ints([[1]], Q(4, 4)), Accumulator(Q(8, 6))
            ),
            ValueError,
            "the accumulator Q(8, 6) has 2 fraction bits fewer than its products; "
            "widen it, or give it a product quantizer that rounds them",
        ),
        (
            lambda: FixedArray.from_ints([[1]], Q(4, 4)).dot(
                FixedArray.from_ints([[1]], Q(4, 4)),
                Accumulator(Q(8, 8)),
                FixedArray.from_ints([[1]], UQ(8, 8)),
            ),
            ValueError,
            "an accumulator of Q(8, 8) does not go on from UQ(8, 8)",
        ),
    ],
)
def test_errors_are_sentences(make, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_repr_makes_the_accumulator_again() -> None:
    acc = Accumulator(Q(8, 12), Overflow.SATURATE, Quantizer(Q(4, 12)), name="fc1")
    assert eval(repr(acc)) == acc
    assert eval(repr(acc)).name == "fc1"


FORMATS = [QFormat(bits, 0, signed) for bits in (1, 2, 3, 4) for signed in (True, False)]


@pytest.mark.parametrize("a", FORMATS)
@pytest.mark.parametrize("b", FORMATS)
def test_the_range_of_products_is_that_of_every_product(a: QFormat, b: QFormat) -> None:
    every = [x * y for x in range(a.int_min, a.int_max + 1) for y in range(b.int_min, b.int_max + 1)]
    assert Products.of(a, b) == Products(0, min(every), max(every))


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("bits", [4, 5, 6, 7, 8])
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_product_quantizer_counts_from_the_first_product_that_it_changes(
    overflow: Overflow, bits: int, extra: int
) -> None:
    """Every product of two Q(4, 0), beside each format that just holds them all, or just does not."""
    codes = FixedArray.from_ints(np.arange(-8, 8), Q(4, 0))
    for signed in (True, False):
        quantizer = Quantizer(QFormat(bits, extra, signed), Rounding.HALF_UP, overflow)
        accumulator = Accumulator(Q(20, 4), Overflow.WRAP, quantizer)
        result = codes.reshape(16, 1).dot(codes.reshape(1, 16), accumulator)
        exact = np.arange(-8, 8)[:, None] * np.arange(-8, 8)
        expected = [
            [oracle.quantized(Fraction(int(n)), quantizer) << 4 - extra for n in row] for row in exact
        ]
        assert result.ints.tolist() == expected


def test_an_accumulators_name_labels_but_does_not_distinguish() -> None:
    assert Accumulator(Q(8, 0), name="one") == Accumulator(Q(8, 0), name="other")
    assert Accumulator(Q(8, 0), name="one") != Accumulator(Q(9, 0), name="one")
