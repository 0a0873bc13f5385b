# SPDX-License-Identifier: MIT
"""Formats: their ranges, their text, and how they grow."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat

SMALL = [
    QFormat(bits - frac, frac, signed)
    for bits in (1, 2, 3, 5)
    for frac in (-1, 0, 2)
    for signed in (True, False)
]


def values(format: QFormat) -> list[int]:
    return list(range(format.int_min, format.int_max + 1))


def holds(format: QFormat, integer: int, frac_bits: int) -> bool:
    """Whether integer / 2**frac_bits is a value of the format."""
    shift = format.frac_bits - frac_bits
    if shift < 0 and integer % (1 << -shift):
        return False
    scaled = integer << shift if shift >= 0 else integer >> -shift
    return format.int_min <= scaled <= format.int_max


def narrower(format: QFormat) -> QFormat | None:
    """One bit less on the left."""
    if format.bits == 1:
        return None
    return QFormat(format.int_bits - 1, format.frac_bits, format.signed)


def check_smallest(format: QFormat, integers: set[int], frac_bits: int) -> None:
    """Sufficient: holds all of them. Necessary: one bit less does not, on the left or on the right."""
    assert format.frac_bits == frac_bits
    assert all(holds(format, n, frac_bits) for n in integers)
    smaller = narrower(format)
    assert smaller is None or not all(holds(smaller, n, frac_bits) for n in integers)


def test_q_4_12_is_16_bits_with_the_sign_among_the_integer_bits() -> None:
    f = Q(4, 12)
    assert (f.bits, f.int_min, f.int_max) == (16, -32768, 32767)
    assert (f.min, f.max, f.step) == (-8.0, 7.999755859375, 2.0**-12)


def test_an_unsigned_format_starts_at_zero() -> None:
    f = UQ(0, 8)
    assert (f.bits, f.int_min, f.int_max, f.min, f.max) == (8, 0, 255, 0.0, 255 / 256)


@pytest.mark.parametrize("format", [Q(-3, 10), UQ(12, -4), Q(1, 0), UQ(63, 0), Q(63, 0), Q(0, 63)])
def test_either_part_may_be_negative_and_repr_makes_the_format_again(format: QFormat) -> None:
    assert eval(repr(format)) == format
    assert QFormat.parse(repr(format)) == format


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("Q4.12", Q(4, 12)),
        ("UQ0.8", UQ(0, 8)),
        ("Q-2.10", Q(-2, 10)),
        ("Q12.-4", Q(12, -4)),
        (" Q4.12 ", Q(4, 12)),
        ("Q(4, 12)", Q(4, 12)),
        ("fxp-s16/12", Q(4, 12)),
        ("fxp-u8/8", UQ(0, 8)),
        ("fxp-s8/-2", Q(10, -2)),
        ("ap_fixed<16,4>", Q(4, 12)),
        ("ap_fixed< 16 , 4 >", Q(4, 12)),
        ("ap_ufixed<8,0>", UQ(0, 8)),
        ("ap_fixed<8,-2>", Q(-2, 10)),
        ("fixed<16,4>", Q(4, 12)),
        ("ufixed<8,0>", UQ(0, 8)),
    ],
)
def test_every_notation_of_the_field_is_read(text: str, format: QFormat) -> None:
    assert QFormat.parse(text) == format


@pytest.mark.parametrize(
    "text", ["", "Q", "Q4", "Q4.12.1", "4.12", "q4.12", "ap_fixed<16>", "fxp-s16/12-complex", "int8"]
)
def test_other_text_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        QFormat.parse(text)
    assert str(caught.value) == (
        f"{text!r} is not a format; write it like 'Q4.12', 'UQ0.8', 'fxp-s16/12' or 'ap_fixed<16,4>'"
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Q(0, 0), ValueError, "a format has 1 to 63 bits, but Q(0, 0) would have 0"),
        (lambda: Q(-3, 2), ValueError, "a format has 1 to 63 bits, but Q(-3, 2) would have -1"),
        (lambda: UQ(32, 32), ValueError, "a format has 1 to 63 bits, but UQ(32, 32) would have 64"),
        (
            lambda: QFormat.parse("ap_fixed<64,4>"),
            ValueError,
            "a format has 1 to 63 bits, but Q(4, 60) would have 64",
        ),
        (lambda: Q(4.0, 12), TypeError, "int_bits of a format is an integer, not 4.0"),
        (lambda: Q(4, True), TypeError, "frac_bits of a format is an integer, not True"),
        (lambda: QFormat(4, 12, 1), TypeError, "signed of a format is True or False, not 1"),
        (lambda: QFormat.parse(16), TypeError, "a format is parsed from text, not from 16"),
        (
            lambda: Q(-1074, 1075),
            ValueError,
            "Q(-1074, 1075) has values outside the range of a double; use -960 to 1074 fraction bits",
        ),
        (
            lambda: QFormat.enclosing(3, 2, 0),
            ValueError,
            "the range 3..2 is empty; give the smaller integer first",
        ),
        (
            lambda: QFormat.enclosing(-1, 2, 0, signed=False),
            ValueError,
            "an unsigned format does not hold -1",
        ),
        (
            lambda: QFormat.for_sum(Q(32, 31), Q(32, 31)),
            ValueError,
            "the sum of Q(32, 31) and Q(32, 31) needs 64 bits, and 63 is the most; cast to fewer bits first",
        ),
        (
            lambda: QFormat.for_product(Q(32, 0), Q(16, 16)),
            ValueError,
            "the product of Q(32, 0) and Q(16, 16) needs 64 bits, and 63 is the most; "
            "cast to fewer bits first",
        ),
        (
            lambda: QFormat.for_dot(Q(24, 0), Q(24, 0), 1 << 20),
            ValueError,
            "the sum of 1048576 products of Q(24, 0) and Q(24, 0) needs 68 bits, and 63 is the most; "
            "cast to fewer bits first",
        ),
        (lambda: QFormat.for_dot(Q(4, 0), Q(4, 0), 0), ValueError, "a sum has one term or more, not 0"),
        (
            lambda: QFormat.for_sum(Q(4, 0)),
            TypeError,
            "for_sum takes a second format, or terms=, and not both",
        ),
    ],
)
def test_errors_are_sentences(make, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_numpy_integers_make_the_same_format() -> None:
    assert Q(np.int32(4), np.uint8(12)) == Q(4, 12)
    assert type(Q(np.int32(4), 12).int_max) is int


@pytest.mark.parametrize("signed", [True, False])
def test_enclosing_is_the_smallest_format_for_every_small_range(signed: bool) -> None:
    for lo, hi in product(range(-17 if signed else 0, 18), repeat=2):
        if lo <= hi:
            check_smallest(QFormat.enclosing(lo, hi, 3, signed), {lo, hi}, 3)


def pairs() -> list[tuple[QFormat, QFormat]]:
    return list(product(SMALL, repeat=2))


def test_for_sum_is_sufficient_and_necessary() -> None:
    for a, b in pairs():
        frac = max(a.frac_bits, b.frac_bits)
        sums = {(x << frac - a.frac_bits) + (y << frac - b.frac_bits) for x in values(a) for y in values(b)}
        check_smallest(QFormat.for_sum(a, b), sums, frac)
        assert QFormat.for_sum(a, b).signed == (a.signed or b.signed)


def test_for_difference_and_negation_are_sufficient_and_necessary() -> None:
    for a, b in pairs():
        frac = max(a.frac_bits, b.frac_bits)
        differences = {
            (x << frac - a.frac_bits) - (y << frac - b.frac_bits) for x in values(a) for y in values(b)
        }
        check_smallest(QFormat.for_difference(a, b), differences, frac)
    for a in SMALL:
        check_smallest(QFormat.for_negation(a), {-x for x in values(a)}, a.frac_bits)


def test_for_product_is_sufficient_and_necessary() -> None:
    for a, b in pairs():
        products = {x * y for x in values(a) for y in values(b)}
        check_smallest(QFormat.for_product(a, b), products, a.frac_bits + b.frac_bits)


def test_for_dot_and_a_sum_of_terms_are_sufficient_and_necessary() -> None:
    for a, b in pairs():
        products = [x * y for x in values(a) for y in values(b)]
        for terms in (1, 2, 3, 4, 5, 7, 8, 9):
            reached = {terms * min(products), terms * max(products)}
            check_smallest(QFormat.for_dot(a, b, terms), reached, a.frac_bits + b.frac_bits)
    for a in SMALL:
        for terms in (1, 2, 3, 4, 5, 8, 9):
            check_smallest(
                QFormat.for_sum(a, terms=terms), {terms * a.int_min, terms * a.int_max}, a.frac_bits
            )


def test_for_maximum_is_sufficient_and_necessary() -> None:
    for a, b in pairs():
        frac = max(a.frac_bits, b.frac_bits)
        larger = {max(x << frac - a.frac_bits, y << frac - b.frac_bits) for x in values(a) for y in values(b)}
        check_smallest(QFormat.for_maximum(a, b), larger, frac)


def test_for_minimum_is_sufficient_and_necessary() -> None:
    for a, b in pairs():
        frac = max(a.frac_bits, b.frac_bits)
        less = {min(x << frac - a.frac_bits, y << frac - b.frac_bits) for x in values(a) for y in values(b)}
        check_smallest(QFormat.for_minimum(a, b), less, frac)


def test_for_any_holds_every_value_of_each_format() -> None:
    for a, b in pairs():
        frac = max(a.frac_bits, b.frac_bits)
        both = {x << frac - f.frac_bits for f in (a, b) for x in values(f)}
        check_smallest(QFormat.for_any([a, b]), both, frac)


def test_a_dot_product_with_one_corner_less_needs_one_bit_less() -> None:
    """-8 * -8 is the only product of two Q(4, 0) that needs an eighth bit."""
    assert QFormat.for_product(Q(4, 0), Q(4, 0)) == Q(8, 0)
    assert QFormat.for_product(Q(4, 0), UQ(4, 0)) == Q(8, 0)
    assert QFormat.for_product(UQ(4, 0), UQ(4, 0)) == UQ(8, 0)
    assert QFormat.for_product(UQ(1, 0), Q(8, 0)) == Q(8, 0)


def test_a_maximum_is_unsigned_exactly_if_one_of_the_two_never_is_negative() -> None:
    for a, b in pairs():
        assert QFormat.for_maximum(a, b).signed == (a.int_min < 0 and b.int_min < 0)
    assert QFormat.for_maximum(Q(4, 0), UQ(3, 0)) == UQ(3, 0)
    assert QFormat.for_maximum(Q(4, 0), Q(3, 1)) == Q(4, 1)


def test_formats_without_a_value_below_0_are_unsigned() -> None:
    assert QFormat.of_int(0) == UQ(1, 0)
    assert QFormat.of_int(1) == UQ(1, 0)
    assert QFormat.of_int(-1) == Q(1, 0)
    assert QFormat.for_minimum(UQ(4, 0), UQ(5, 0)) == UQ(4, 0)
    assert QFormat.for_minimum(UQ(4, 2), UQ(3, 3)) == UQ(3, 3)
    assert QFormat.for_minimum(UQ(4, 0), Q(3, 0)) == Q(3, 0)
    assert QFormat.for_maximum(UQ(4, 0), Q(3, 0)) == UQ(4, 0)


def test_results_of_63_bits_are_the_widest() -> None:
    assert QFormat.for_sum(Q(62, 0), Q(62, 0)) == Q(63, 0)
    with pytest.raises(ValueError, match="needs 64 bits, and 63 is the most; cast to fewer bits first"):
        QFormat.for_sum(Q(63, 0), Q(62, 0))


def test_the_point_moves_as_far_as_doubles_reach() -> None:
    assert (Q(961, -960).bits, Q(-1073, 1074).bits) == (1, 1)
    for beyond in (961, -1075):
        with pytest.raises(ValueError, match="values outside the range of a double"):
            Q(beyond + 1, -beyond)
