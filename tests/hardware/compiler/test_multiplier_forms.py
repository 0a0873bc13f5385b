# SPDX-License-Identifier: MIT
"""A chain and its form give the same code for every sum; and each refusal that keeps it so."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.multiplier_forms import (
    Chain,
    Form,
    _passes,
    each,
    once,
    twice,
)
from fixedpoint_nn.hardware.compiler.step_functions import HIGH_PRODUCT
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

OUT = Quantizer(Q(5, 0), Rounding.HALF_UP, Overflow.SATURATE)
FIRST = Quantizer(Q(12, 0), Rounding.HALF_UP, Overflow.SATURATE)


def constant(ints: Any, frac: int = 0, bits: int = 40) -> FixedArray:
    return FixedArray.from_ints(np.array(ints), QFormat(bits - frac, frac))


def chain(factor: FixedArray, **more: Any) -> Chain:
    return Chain(**{
        "source": 0, "factor": factor, "offset": None, "first": None, "power": None, "last": OUT, "between": (),
        **more,
    })  # fmt: skip


def half_up(value: int, shift: int) -> int:
    return value + (1 << shift >> 1) >> shift


def rounded(value: int, shift: int, rounding: Rounding) -> int:
    """HALF_UP or HALF_AWAY."""
    if rounding is Rounding.HALF_AWAY and value < 0:
        return -half_up(-value, shift)
    return half_up(value, shift)


def clipped(value: int, format: QFormat) -> int:
    return min(max(value, format.int_min), format.int_max)


def requantised(total: int, form: Form, channel: int, last: Quantizer) -> int:
    """What the engine makes of a sum: once rounded, or twice, the first time after 31 bits."""
    factors, shifts, rounds_twice = form
    value, shift = total * factors[channel], shifts[channel]
    if rounds_twice and shift > HIGH_PRODUCT:
        value, shift = half_up(value, HIGH_PRODUCT), shift - HIGH_PRODUCT
    elif rounds_twice:
        return clipped(half_up(value, shift), last.format)
    return clipped(rounded(value, shift, last.rounding), last.format)


# ---- one rounding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frac", "last_frac", "factors", "shifts"),
    [
        (2, 3, (3, 5, 0, -3), (1, 3, 0, 1)),
        (0, 3, (6, 5 * 1, 0, -6), (0, 1, 0, 0)),
        (2, 6, (12, 5, 0, -12), (0, 0, 0, 0)),
        (2, 9, (96, 40, 0, -96), (0, 0, 0, 0)),
    ],
)
def test_a_factor_alone_is_a_multiplier_without_zeros_at_its_end(
    frac: int, last_frac: int, factors: tuple[int, ...], shifts: tuple[int, ...]
) -> None:
    last = replace(OUT, format=Q(9, last_frac))
    made = chain(constant([12, 5, 0, -12], 4), last=last)
    assert once(made, frac, [(-9, 9)] * 4, 32) == (factors, shifts, False)


ENDS = (-700, 900)


def with_offset(ms: Any, offsets: Any, offset_frac: int = 6, **more: Any) -> Chain:
    """Factors with 6 fraction bits, sums with 2."""
    return chain(constant(ms, 6), offset=constant(offsets, offset_frac), **more)


@pytest.mark.parametrize("offset_frac", [8, 7, 6])
@pytest.mark.parametrize(
    ("ms", "offsets"),
    [([13], [8]), ([13, 7, 13], [8, 4, 8]), ([1], [0]), ([5, 1], [4]), ([7], [4]), ([13], [16])],
)
def test_an_offset_is_said_by_another_multiplier(ms: list[int], offsets: list[int], offset_frac: int) -> None:
    form = once(
        with_offset(ms, [o >> 8 - offset_frac for o in offsets], offset_frac), 2, [ENDS] * len(ms), 32
    )
    assert form is not None and form[2]
    for channel, m in enumerate(ms):
        offset = ([*offsets, *offsets, *offsets][channel] >> 8 - offset_frac) << 8 - offset_frac
        for total in range(ENDS[0], ENDS[1] + 1):
            wanted = clipped(half_up(total * m + offset, 8), OUT.format)
            assert requantised(total, form, channel, OUT) == wanted


def test_an_offset_that_two_roundings_do_not_say_may_be_said_by_one() -> None:
    ends = (-9181, 15481)
    form = once(chain(constant([58], 20), offset=constant([3], 20)), 0, [ends], 32)
    assert form is not None and not form[2]
    for total in range(ends[0], ends[1] + 1, 7):
        wanted = clipped(half_up(total * 58 + 3, 20), OUT.format)
        assert requantised(total, form, 0, OUT) == wanted


def test_an_offset_of_0_leaves_the_factors_what_they_were() -> None:
    form = once(with_offset([13, 40, 13, 7], [0]), 2, [ENDS] * 4, 32)
    assert form == ((13 << 23, 40 << 23, 13 << 23, 7 << 23), (31, 31, 31, 31), True)
    few = once(with_offset([13], [0]), 2, [(-60, 60)], 32)
    assert few is not None, "many multipliers do for few sums, and the nearest one is taken"
    assert abs(Fraction(few[0][0], 2 ** few[1][0]) - Fraction(13, 256)) < Fraction(1, 1 << 24)


@pytest.mark.parametrize(
    "more",
    [
        {"offset": constant([16], 9)},  # finer than the product
        {"last": replace(OUT, format=Q(5, 8))},  # nothing is rounded
        {"last": replace(OUT, rounding=Rounding.HALF_AWAY)},
        {"last": replace(OUT, overflow=Overflow.WRAP)},
        {"last": replace(OUT, format=Q(11, 0))},
        {"factor": constant([13, 0], 6)},
        {"factor": constant([13, -13], 6)},
    ],
)
def test_an_offset_with_anything_else_is_no_form(more: dict[str, Any]) -> None:
    made = with_offset([13, 13], [8])
    assert once(made, 2, [ENDS] * 2, 32) is not None
    assert once(replace(made, **more), 2, [ENDS] * 2, 32) is None


def test_an_offset_may_be_rounded_by_one_bit_and_have_codes_of_ten() -> None:
    assert once(with_offset([13], [0], last=replace(OUT, format=Q(-2, 7))), 2, [ENDS], 32) is not None
    assert once(with_offset([13], [0], last=replace(OUT, format=Q(10, 0))), 2, [ENDS], 32) is not None


def test_one_of_many_channels_without_a_form_leaves_none() -> None:
    assert once(with_offset([13, 13], [8, 100]), 2, [ENDS] * 2, 32) is None
    assert once(with_offset([13, 13], [100, 8]), 2, [ENDS] * 2, 32) is None


# ---- two roundings -----------------------------------------------------------------------------------------


def rescaled(m: int, one: int, power: int = 1, two: int = 4, **more: Any) -> Chain:
    """x * m, `one` bits dropped, times a power of two, `two` bits dropped."""
    given: dict[str, Any] = {"first": FIRST, "power": constant([power], two, 48), **more}
    return chain(constant([m], one, 48), **given)


@pytest.mark.parametrize("rounding", [Rounding.HALF_UP, Rounding.HALF_AWAY])
@pytest.mark.parametrize(
    ("m", "one", "power", "two", "factor", "shift"),
    [
        (5, 3, 1, 2, 5 << 28, 33),
        (5, 3, 4, 4, 5 << 28, 33),
        (5, 0, 1, 1, 5 << 31, 32),
        (5 << 28, 31, 1, 3, 5 << 28, 34),
        (5 << 30, 33, 1, 3, 5 << 28, 34),
        (5, 3, 1, 0, 5, 3),
        (5, 3, 4, 2, 5, 3),
        (12, 3, 1, 0, 3, 1),
        (3, 0, 1, 0, 3, 0),
        (3 << 29, 31, 1, 0, 3, 2),
        (12345 << 20, 31, 1, 0, 12345, 11),
    ],
)
def test_two_roundings_are_the_engines_two_or_one_where_the_second_drops_nothing(
    m: int, one: int, power: int, two: int, factor: int, shift: int, rounding: Rounding
) -> None:
    last = replace(OUT, rounding=rounding)
    made = rescaled(m, one, power, two, last=last)
    ends = (-300, 300)
    form = twice(made, 0, [ends])
    assert form == ((factor,), (shift,), True)
    for total in range(ends[0], ends[1] + 1):
        inner = clipped(half_up(total * m, one), FIRST.format)
        wanted = clipped(rounded(inner * power, two, rounding), last.format)
        assert requantised(total, form, 0, last) == wanted


def test_binary_points_move_what_is_dropped() -> None:
    """frac + factor's - first's, then first's + power's - last's."""
    made = chain(
        constant([5], 6),
        first=replace(FIRST, format=Q(10, 5)),
        power=constant([1], 3),
        last=replace(OUT, format=Q(4, 4)),
    )
    assert twice(made, 2, [(-9, 9)]) == ((5 << 28,), (35,), True)


@pytest.mark.parametrize(
    "made",
    [
        rescaled(5, 3, offset=constant([1])),
        rescaled(5, 3, first=replace(FIRST, rounding=Rounding.FLOOR)),
        rescaled(5, 3, first=replace(FIRST, format=Q(8, 4))),  # finer than the product
        rescaled(5, 3, power=8, two=2),  # a left shift
        rescaled((1 << 33) + 1, 33, two=3),  # more bits than the first rounding's 31
        rescaled((1 << 33) + 1, 33, two=0),
    ],
)
def test_other_chains_of_two_roundings_are_no_form(made: Chain) -> None:
    assert twice(made, 0, [(-1, 1)]) is None


def test_one_channel_that_is_shifted_left_leaves_no_form() -> None:
    made = replace(rescaled(5, 3), power=constant([1, 32, 1], 4))
    assert twice(made, 0, [(-9, 9)] * 3) is None
    fine = replace(made, power=constant([1, 16, 1], 4))
    assert twice(fine, 0, [(-9, 9)] * 3) == ((5 << 28, 5, 5 << 28), (35, 3, 35), True)


def test_each_channel_is_asked_for_its_own_ends() -> None:
    wrapping = rescaled(8, 3, first=replace(FIRST, overflow=Overflow.WRAP))
    assert twice(wrapping, 0, [(-2048, 2047)]) is not None
    assert twice(wrapping, 0, [(-2049, 0)]) is None
    assert twice(wrapping, 0, [(0, 2048)]) is None
    assert twice(wrapping, 0, [(0, 9), (0, 2048)]) is None
    negative = rescaled(-8, 3, first=replace(FIRST, overflow=Overflow.WRAP))
    assert twice(negative, 0, [(-2047, 2048)]) is not None
    assert twice(negative, 0, [(-2048, 0)]) is None


BYTE = Quantizer(Q(8, 0), Rounding.HALF_UP, Overflow.SATURATE)
NIBBLE = Quantizer(Q(4, 0), Rounding.HALF_UP, Overflow.SATURATE)
WRAPPED = replace(NIBBLE, overflow=Overflow.WRAP)


@pytest.mark.parametrize(
    ("first", "last", "second", "products", "expected"),
    [
        (BYTE, WRAPPED, 4, (-512, 508), True),  # it cuts nothing off
        (BYTE, WRAPPED, 4, (-500, 500), True),
        (BYTE, WRAPPED, 4, (-515, 500), False),
        (BYTE, WRAPPED, 4, (-500, 510), False),
        (BYTE, NIBBLE, 4, (-900, 900), True),  # the last one cuts off more
        (BYTE, replace(NIBBLE, format=Q(5, 0)), 4, (-900, 900), False),
        (BYTE, replace(NIBBLE, format=Q(4, 0)), 5, (-900, 900), False),
        (BYTE, WRAPPED, 4, (-900, 900), False),
        (replace(BYTE, overflow=Overflow.WRAP), NIBBLE, 4, (-900, 900), False),
        (replace(BYTE, format=UQ(8, 0)), Quantizer(UQ(4, 0), Rounding.FLOOR), 4, (-4000, 4000), True),
        (replace(BYTE, format=UQ(8, 0)), Quantizer(UQ(5, 0), Rounding.FLOOR), 4, (-4000, 4000), False),
        (replace(BYTE, format=UQ(8, 0)), NIBBLE, 4, (-4000, 4000), False),
        (BYTE, Quantizer(UQ(3, 0)), 4, (-900, 900), True),
        (BYTE, Quantizer(UQ(4, 0)), 4, (-900, 900), False),
    ],
)
def test_the_first_cast_leaves_no_trace_where_the_last_one_cuts_off_as_much(
    first: Quantizer, last: Quantizer, second: int, products: tuple[int, int], expected: bool
) -> None:
    assert _passes(first, last, second, 2, products) is expected


def test_there_is_one_for_each_channel() -> None:
    assert each(np.array(5), 3) == [5, 5, 5]
    assert each(np.array([[5, 6, 7]]), 3) == [5, 6, 7]
