# SPDX-License-Identifier: MIT
"""Tables: every entry correctly rounded, and certificates that can say no."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from fixedpoint_nn.numerics.exact_functions import EXACT_FUNCTIONS
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.table import Certificate, Table, _quarters
from tests.support import oracle

FUNCTIONS = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "exp": mpmath.exp,
    "reciprocal": lambda x: 1 / x,
    "erf": mpmath.erf,
    "gelu": lambda x: x * mpmath.ncdf(x),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "inverse": lambda x: 1 / x,
    "step": lambda x: mpmath.mpf(x > 0),
}
ELSEWHERE = {"reciprocal": "int_max", "rsqrt": "int_max", "log": "int_min", "sqrt": None}  # where x <= 0


def exact(function: str, x: Fraction) -> Fraction:
    """The real value to 300 bits: an error far below the distance of any of these from a tie."""
    with mpmath.workprec(300):
        y = FUNCTIONS[function](mpmath.mpf(x.numerator) / x.denominator)
        sign, mantissa, exponent, _ = y._mpf_
        return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent


def entry(table: Table, code: int) -> int:
    if table.function in ELSEWHERE and code <= 0:
        end = ELSEWHERE[table.function]
        return 0 if end is None else int(getattr(table.output.format, end))
    if table.function == "inverse" and code == 0:
        return table.output.format.int_max if table.output.overflow is Overflow.SATURATE else 0
    if table.function in ("reciprocal", "inverse"):
        return oracle.quantized(1 / oracle.value(code, table.input_format), table.output)
    return oracle.quantized(exact(table.function, oracle.value(code, table.input_format)), table.output)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(
    ("function", "source", "output"),
    [
        ("sigmoid", Q(4, 4), UQ(0, 8)),
        ("sigmoid", Q(8, -1), Q(1, 15)),
        ("sigmoid", UQ(4, 4), Q(2, 30)),
        ("tanh", Q(4, 4), Q(1, 7)),
        ("tanh", Q(-4, 12), Q(1, 40)),
        ("exp", Q(5, 3), UQ(1, 7)),
        ("exp", Q(8, 0), Q(16, 4)),
        ("exp", Q(4, 4), Q(4, -2)),
        ("reciprocal", UQ(4, 4), UQ(1, 11)),
        ("reciprocal", Q(4, 4), Q(6, -1)),
        ("erf", Q(4, 4), Q(1, 7)),
        ("erf", Q(3, 3), Q(2, 40)),
        ("gelu", Q(5, 3), Q(5, 5)),
        ("gelu", Q(5, 1), Q(6, 20)),
        ("gelu", Q(3, 3), Q(2, 40)),
        ("softplus", Q(5, 3), UQ(5, 5)),
        ("softplus", Q(9, 0), Q(10, 30)),
        ("log", Q(4, 4), Q(4, 6)),
        ("log", UQ(4, 4), Q(3, 40)),
        ("sqrt", UQ(4, 4), UQ(2, 6)),
        ("sqrt", Q(4, 4), Q(3, 40)),
        ("rsqrt", UQ(4, 4), UQ(3, 7)),
        ("rsqrt", Q(4, 5), Q(3, 30)),
        ("inverse", Q(4, 4), Q(4, 7)),
        ("inverse", Q(4, 2), Q(3, 0)),
        ("gelu", Q(4, 3), Q(5, 1)),
        ("softplus", Q(4, 3), Q(5, 1)),
        ("step", Q(4, 4), Q(2, 6)),
    ],
)
def test_every_entry_is_correctly_rounded(
    function: str, source: QFormat, output: QFormat, rounding: Rounding
) -> None:
    for overflow in (Overflow.SATURATE, Overflow.WRAP):
        table = Table(function, source, Quantizer(output, rounding, overflow))
        codes = range(source.int_min, source.int_max + 1)
        assert [int(table.ints[c]) for c in codes] == [entry(table, c) for c in codes]


def test_a_sixteen_bit_table_agrees_with_mpmath_at_its_hardest_entries() -> None:
    """Where the value lies closest to a tie, a float estimate decides nothing."""
    table = Table("tanh", Q(4, 12), Quantizer(Q(1, 30)))
    codes = np.arange(-32768, 32768)
    halves = np.ldexp(np.tanh(codes / 4096), 31)
    hardest = codes[np.argsort(np.abs(halves - np.rint(halves)))[:60]]
    assert [int(table.ints[c]) for c in hardest] == [entry(table, int(c)) for c in hardest]


def test_the_float_estimate_alone_would_be_wrong() -> None:
    table = Table("sigmoid", Q(4, 8), Quantizer(Q(2, 52)))
    codes = np.arange(-2048, 2048)
    naive = np.rint(np.ldexp(1 / (1 + np.exp(-codes / 256)), 52)).astype(np.int64)
    assert not np.array_equal(table.lookup(codes), naive)
    wrong = codes[table.lookup(codes) != naive][:20]
    assert [int(table.ints[c]) for c in wrong] == [entry(table, int(c)) for c in wrong]


def test_entries_stand_at_the_inputs_bit_pattern() -> None:
    table = Table("sigmoid", Q(2, 1), Quantizer(UQ(0, 8)))
    assert table.ints.tolist() == [128, 159, 187, 209, 31, 47, 69, 97]
    codes = np.array([-4, -1, 0, 3])
    assert np.array_equal(table.lookup(codes), table.ints[codes & 7])
    assert np.array_equal(table.on_floats(codes / 2), table.lookup(codes) / 256)


def test_the_reciprocal_of_nothing_or_less_saturates() -> None:
    for overflow in Overflow:
        table = Table("reciprocal", Q(3, 1), Quantizer(UQ(2, 4), overflow=overflow))
        assert table.lookup(np.array([0, -1, -8])).tolist() == [63, 63, 63]
        assert table.lookup(np.array([1, 2, 3])).tolist() == [32, 16, 11]


def test_the_same_table_is_built_once_and_cannot_be_written_to() -> None:
    table = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))
    assert table.ints is Table("tanh", Q(4, 4), Quantizer(Q(1, 7), name="elsewhere")).ints
    with pytest.raises(ValueError, match="read-only"):
        table.ints[0] = 1


def test_certificates_hold_over_all_codes() -> None:
    symmetric = Quantizer(Q(1, 15), overflow=Overflow.SATURATE_SYMMETRIC)
    sigmoid = Table("sigmoid", Q(4, 8), Quantizer(Q(2, 14))).certificate()
    assert (sigmoid.monotonic, sigmoid.symmetric) == (True, True)
    assert 0.49 < sigmoid.max_error_lsb <= 0.5
    tanh = Table("tanh", Q(3, 8), symmetric).certificate()
    assert (tanh.monotonic, tanh.symmetric) == (True, True)
    assert 0.49 < tanh.max_error_lsb < 1  # 1 itself is not in Q(1, 15)
    assert Table("erf", Q(3, 4), symmetric).certificate().symmetric is True
    exp = Table("exp", Q(4, 4), Quantizer(UQ(12, 4))).certificate()
    assert (exp.monotonic, exp.symmetric) == (True, None)
    reciprocal = Table("reciprocal", UQ(4, 4), Quantizer(UQ(5, 8))).certificate()
    assert (reciprocal.monotonic, reciprocal.symmetric) == (True, None)
    assert reciprocal.max_error_lsb <= 0.5


def test_certificates_can_say_no() -> None:
    wrapped = Table("exp", Q(4, 4), Quantizer(UQ(2, 4), overflow=Overflow.WRAP)).certificate()
    assert not wrapped.monotonic
    assert wrapped.max_error_lsb > 1000
    falling = Table("reciprocal", UQ(4, 2), Quantizer(UQ(1, 0), overflow=Overflow.WRAP)).certificate()
    assert not falling.monotonic  # 4, 2, 1: 0, 0, 1
    floored = Table("tanh", Q(3, 4), Quantizer(Q(1, 7), Rounding.FLOOR)).certificate()
    assert floored.symmetric is False
    assert 0.5 < floored.max_error_lsb <= 1
    # 0.5 as UQ(0, 8) is 128, and 1 - 0.5 too; but 1 - 0 is 256, which saturates to 255.
    assert Table("sigmoid", Q(6, 4), Quantizer(UQ(0, 8))).certificate().symmetric is False


def test_a_certificates_error_is_the_largest_one() -> None:
    table = Table("sigmoid", Q(3, 3), Quantizer(Q(1, 7), Rounding.TOWARD_ZERO))
    codes = range(-32, 32)
    errors = [
        abs(int(table.ints[c]) - exact("sigmoid", oracle.value(c, table.input_format)) * 128) for c in codes
    ]
    assert table.certificate() == Certificate(pytest.approx(float(max(errors)), abs=1e-9), True, False)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Table("sinh", Q(4, 4), Quantizer(Q(1, 7))),
            ValueError,
            "there is no table of 'sinh'; there are sigmoid, tanh, exp, reciprocal, erf, gelu, inverse, step, "
            "softplus, log, sqrt, rsqrt",
        ),
        (
            lambda: Table("tanh", Q(12, 12), Quantizer(Q(1, 7))),
            ValueError,
            "a table over Q(12, 12) would have 2**24 entries; cast its input to 20 bits or fewer",
        ),
        (
            lambda: Table("tanh", Q(4, 4), Quantizer(Q(1, 60))),
            ValueError,
            "a table's output has at most 60 bits, unlike Q(1, 60)",
        ),
        (
            lambda: Table("tanh", "Q4.4", Quantizer(Q(1, 7))),
            TypeError,
            "input_format of a Table is a QFormat, not 'Q4.4'",
        ),
        (lambda: Table("tanh", Q(4, 4), Q(1, 7)), TypeError, "output of a Table is a Quantizer, not Q(1, 7)"),
    ],
)
def test_errors_are_sentences(make, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_a_table_of_the_widest_output_is_exact_to_its_last_bit() -> None:
    table = Table("reciprocal", UQ(3, 0), Quantizer(UQ(1, 59)))
    assert table.ints[3] == ((1 << 59) + 1) // 3
    with pytest.raises(ValueError, match="at most 60 bits"):
        Table("reciprocal", UQ(3, 0), Quantizer(UQ(2, 59)))


@pytest.mark.parametrize(
    ("x", "lsb_bits", "quarters"), [(1, -5, 1), (3, 0, 81), (3, -1, 41), (0, 3, 32), (1, 3, 87)]
)
def test_a_value_is_known_to_a_quarter_of_a_step(x: int, lsb_bits: int, quarters: int) -> None:
    """Twice the half steps below exp(x), and one more unless it is exactly there."""
    assert _quarters(EXACT_FUNCTIONS["exp"], Fraction(x), lsb_bits) == quarters


@pytest.mark.parametrize(
    ("function", "entries"),
    [
        ("gelu", {100: 99, -100: -1}),  # a hair below 100, and below 0
        ("softplus", {100: 100, -100: 0}),  # a hair above
        ("erf", {100: 0, -100: -1}),  # a hair below 1, and above -1
    ],
)
def test_far_out_a_function_stays_on_its_side_of_the_line(function: str, entries: dict[int, int]) -> None:
    table = Table(function, Q(8, 0), Quantizer(Q(8, 0), Rounding.FLOOR))
    assert {code: int(table.ints[code]) for code in entries} == entries
    towards_zero = Table(function, Q(8, 0), Quantizer(Q(8, 0), Rounding.TOWARD_ZERO))
    assert int(towards_zero.ints[-100]) == 0


def test_a_function_that_turns_is_not_said_to_rise() -> None:
    assert not Table("gelu", Q(4, 4), Quantizer(Q(4, 4))).certificate().monotonic
    assert Table("rsqrt", UQ(4, 4), Quantizer(UQ(4, 8))).certificate().monotonic


def test_entries_are_not_written_to() -> None:
    table = Table("tanh", Q(3, 3), Quantizer(Q(1, 5)))
    with pytest.raises(ValueError, match="read-only"):
        table.ints[0] = 1
