# SPDX-License-Identifier: MIT
"""Conversions: every rounding and overflow, exhausted where they are small and sampled where they are not."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Overflow, Quantizer, Rounding
from tests.support import oracle

MODES = list(product(Rounding, Overflow))
BYTES = np.arange(-256, 256)  # every integer of every format of up to 8 bits
SHIFTS = range(-10, 8)  # beyond these, every byte is below a quarter, or too large for 6 bits
TARGETS = [QFormat(bits, 0, signed) for bits in range(1, 7) for signed in (True, False)]


@cache
def rounded_bytes(shift: int, rounding: Rounding) -> tuple[int, ...]:
    return tuple(oracle.rounded(Fraction(int(n)) * Fraction(2) ** shift, rounding) for n in BYTES)


@cache
def fitted(integer: int, format: QFormat, overflow: Overflow) -> int:
    return oracle.fitted(integer, format, overflow)


def expected_bytes(shift: int, quantizer: Quantizer) -> np.ndarray:
    rounded = rounded_bytes(shift, quantizer.rounding)
    return np.array([fitted(n, quantizer.format, quantizer.overflow) for n in rounded])


def quantizer_at(frac_bits: int, target: QFormat, rounding: Rounding, overflow: Overflow) -> Quantizer:
    return Quantizer(QFormat(target.bits - frac_bits, frac_bits, target.signed), rounding, overflow)


@pytest.mark.parametrize("rounding", Rounding)
def test_every_byte_into_every_format_up_to_6_bits(rounding: Rounding) -> None:
    """From integers, from floats, and from each source format as a FixedArray; in every container."""
    sources = [QFormat(bits, 0, signed) for bits in range(1, 9) for signed in (True, False)]
    codes = {source: np.arange(source.int_min, source.int_max + 1) for source in sources}
    numbers = {source: FixedArray.from_ints(codes[source], source) for source in sources}
    for overflow, target, shift in product(Overflow, TARGETS, SHIFTS):
        quantizer = quantizer_at(shift, target, rounding, overflow)
        expected = expected_bytes(shift, quantizer)
        assert np.array_equal(quantizer.from_ints(BYTES, 0), expected)
        assert np.array_equal(quantizer.from_floats(BYTES.astype(np.float64)), expected)
        assert np.array_equal(quantizer.from_floats(BYTES.astype(np.float32)), expected)
        for source in sources:
            there = slice(256 + source.int_min, 256 + source.int_max + 1)
            assert np.array_equal(numbers[source].cast(quantizer).ints, expected[there])


@pytest.mark.parametrize("overflow", Overflow)
def test_rounded_floats_are_the_values_of_the_integers(overflow: Overflow) -> None:
    for rounding, target, shift in product(Rounding, TARGETS, (-3, 0, 4)):
        quantizer = quantizer_at(shift, target, rounding, overflow)
        for dtype in (np.float32, np.float64):
            x = BYTES.astype(dtype) / 16
            real = quantizer.round_floats(x)
            assert real.dtype == dtype
            assert np.array_equal(real, quantizer.from_floats(x) * quantizer.format.step)


formats = st.tuples(st.integers(1, 63), st.integers(-40, 90), st.booleans()).map(
    lambda t: QFormat(t[0] - t[1], t[1], t[2])
)
quantizers = st.builds(Quantizer, formats, st.sampled_from(Rounding), st.sampled_from(Overflow))


@st.composite
def number_and_quantizer(draw: st.DrawFn) -> tuple[FixedArray, Quantizer]:
    """A few integers of any format, many near ties and limits; and a quantizer within reach."""
    source = draw(formats)
    any_int = st.integers(source.int_min, source.int_max)
    edge = st.integers(0, min(3, source.int_max)).map(lambda d: source.int_max - d)
    tie = st.integers(0, 62).flatmap(lambda s: st.integers(-3, 3).map(lambda d: (1 << s) + d))
    ints = draw(
        st.lists(any_int | edge | tie.filter(lambda n: source.int_min <= n <= source.int_max), min_size=1)
    )
    bits, shift = draw(st.integers(1, 63)), draw(st.integers(-70, 70))
    frac = source.frac_bits + shift
    target = QFormat(bits - frac, frac, draw(st.booleans()))
    quantizer = Quantizer(target, draw(st.sampled_from(Rounding)), draw(st.sampled_from(Overflow)))
    return FixedArray.from_ints(ints, source), quantizer


@settings(max_examples=250, deadline=None)
@given(number_and_quantizer())
def test_any_format_into_any_format_agrees_with_fractions(case: tuple[FixedArray, Quantizer]) -> None:
    x, quantizer = case
    expected = [oracle.quantized(oracle.value(int(n), x.format), quantizer) for n in x.ints]
    assert x.cast(quantizer).ints.tolist() == expected
    assert quantizer.from_ints(x.ints, x.format.frac_bits).tolist() == expected


floats = st.floats(allow_nan=False, allow_infinity=False)
near_ties = st.builds(
    lambda n, s, ulps: float(
        np.nextafter(np.ldexp(n + 0.5, s), np.inf * ulps) if ulps else np.ldexp(n + 0.5, s)
    ),
    st.integers(-(2**52), 2**52),
    st.integers(-120, 60),
    st.sampled_from([-1, 0, 1]),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(floats | near_ties, min_size=1, max_size=6), quantizers)
def test_any_float_into_any_format_agrees_with_fractions(x: list[float], quantizer: Quantizer) -> None:
    expected = [oracle.quantized(Fraction(v), quantizer) for v in x]
    assert quantizer.from_floats(x).tolist() == expected
    assert FixedArray.from_float(x, quantizer).ints.tolist() == expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=6), quantizers
)
def test_any_float32_into_any_format_agrees_with_fractions(x: list[float], quantizer: Quantizer) -> None:
    expected = [oracle.quantized(Fraction(v), quantizer) for v in x]
    assert quantizer.from_floats(np.array(x, np.float32)).tolist() == expected


EXTREMES = [
    5e-324, -5e-324, 2.0**-1060, 1.5 * 2.0**-1022, 0.49999999999999994, -0.49999999999999994, 0.5, -0.5, 1.5,
    2.5, -0.0, 2.0**52 + 0.5, 2.0**53 + 2, 2.0**62, -(2.0**62), 2.0**63, -(2.0**63), 2.0**64 + 2.0**13,
    1.7e308, -1.7e308,
]  # fmt: skip
CORNERS = [
    Q(1, 62),
    Q(63, 0),
    UQ(63, 0),
    Q(8, 0),
    UQ(1, 0),
    Q(1000, -950),
    Q(-1010, 1070),
    Q(-40, 80),
    Q(33, 30),
]


@pytest.mark.parametrize("format", CORNERS)
def test_subnormal_and_huge_floats_convert_exactly(format: QFormat) -> None:
    for rounding, overflow in MODES:
        quantizer = Quantizer(format, rounding, overflow)
        expected = [oracle.quantized(Fraction(v), quantizer) for v in EXTREMES]
        assert quantizer.from_floats(EXTREMES).tolist() == expected
        narrow = [float(np.float32(v)) for v in EXTREMES if abs(v) < 3e38]
        expected = [oracle.quantized(Fraction(v), quantizer) for v in narrow]
        assert quantizer.from_floats(np.array(narrow, np.float32)).tolist() == expected


@pytest.mark.parametrize("format", CORNERS)
def test_extreme_floats_round_to_the_values_of_their_integers(format: QFormat) -> None:
    """Nearest values of wide formats and of binary points far out, whose steps no float32 holds."""
    for rounding, overflow in MODES:
        quantizer = Quantizer(format, rounding, overflow)
        expected = [
            float(Fraction(oracle.quantized(Fraction(v), quantizer)) / Fraction(2) ** format.frac_bits)
            for v in EXTREMES
        ]
        assert quantizer.round_floats(np.array(EXTREMES)).tolist() == expected


def test_values_that_are_no_numbers_stay_and_the_others_are_rounded() -> None:
    for format in (Q(4, 4), Q(40, 20), Q(-40, 103)):
        for rounding, overflow in MODES:
            quantizer = Quantizer(format, rounding, overflow)
            for dtype in (np.float32, np.float64):
                x = np.array([np.inf, 0.3, np.nan, -np.inf, -1e9], dtype)
                rounded = quantizer.round_floats(x)
                assert rounded.dtype == dtype
                known = np.isfinite(x)
                assert np.array_equal(rounded[~known], x[~known], equal_nan=True)
                assert np.array_equal(rounded[known], quantizer.round_floats(x[known]))


def test_adding_a_half_and_taking_the_floor_would_be_wrong() -> None:
    x = 0.49999999999999994
    assert np.floor(x + 0.5) == 1
    assert Quantizer(Q(4, 0), Rounding.HALF_UP).from_floats(x) == 0


def test_half_even_sends_ties_to_the_even_integer() -> None:
    assert Quantizer(Q(4, 0)).from_floats([0.5, 1.5, 2.5, -0.5, -1.5, -2.5]).tolist() == [0, 2, 2, 0, -2, -2]


def test_all_roundings_of_the_same_ties() -> None:
    x = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.25, -2.25, 2.75, -2.75]
    table = {
        Rounding.FLOOR: [-3, -2, -1, 0, 1, 2, 2, -3, 2, -3],
        Rounding.TOWARD_ZERO: [-2, -1, 0, 0, 1, 2, 2, -2, 2, -2],
        Rounding.HALF_UP: [-2, -1, 0, 1, 2, 3, 2, -2, 3, -3],
        Rounding.HALF_DOWN: [-3, -2, -1, 0, 1, 2, 2, -2, 3, -3],
        Rounding.HALF_AWAY: [-3, -2, -1, 1, 2, 3, 2, -2, 3, -3],
        Rounding.HALF_TOWARD_ZERO: [-2, -1, 0, 0, 1, 2, 2, -2, 3, -3],
        Rounding.HALF_EVEN: [-2, -2, 0, 0, 2, 2, 2, -2, 3, -3],
    }
    for rounding, expected in table.items():
        assert Quantizer(Q(8, 0), rounding).from_floats(x).tolist() == expected


def test_all_overflows_of_the_same_values() -> None:
    x = [7, 8, 9, 15, 16, -7, -8, -9, -16, -17]
    table = {
        Overflow.WRAP: [7, -8, -7, -1, 0, -7, -8, 7, 0, -1],
        Overflow.SATURATE: [7, 7, 7, 7, 7, -7, -8, -8, -8, -8],
        Overflow.SATURATE_SYMMETRIC: [7, 7, 7, 7, 7, -7, -7, -7, -7, -7],
        Overflow.ZERO: [7, 0, 0, 0, 0, -7, -8, 0, 0, 0],
    }
    for overflow, expected in table.items():
        assert Quantizer(Q(4, 0), overflow=overflow).from_floats(x).tolist() == expected


def test_a_large_array_is_converted_block_by_block_to_the_same_integers() -> None:
    x = np.random.default_rng(0).standard_normal((130, 333)) * 4
    quantizer = Quantizer(Q(3, 9))
    whole = quantizer.from_floats(x)
    assert np.array_equal(whole, np.stack([quantizer.from_floats(row) for row in x]))
    assert np.array_equal(whole, np.clip(np.rint(x * 512), -2048, 2047))


def test_views_of_any_stride_convert_alike() -> None:
    x = np.random.default_rng(1).standard_normal((40, 50))
    quantizer = Quantizer(Q(3, 9))
    assert np.array_equal(quantizer.from_floats(x.T[::-2]), quantizer.from_floats(x).T[::-2])


def test_integers_are_exact_values() -> None:
    assert Quantizer(Q(4, 2)).from_floats([1, -3]).tolist() == [4, -12]
    assert Quantizer(Q(60, 0)).from_floats(np.array([2**59 - 1])).tolist() == [2**59 - 1]


# ---- text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
def test_the_text_is_amds_and_parses_back(rounding: Rounding, overflow: Overflow) -> None:
    for format in (Q(4, 12), UQ(0, 8), Q(-2, 10)):
        quantizer = Quantizer(format, rounding, overflow)
        assert Quantizer.parse(str(quantizer)) == quantizer
        assert eval(repr(quantizer)) == quantizer


def test_amds_text_leaves_out_what_amd_leaves_out() -> None:
    assert str(Quantizer(Q(4, 12))) == "ap_fixed<16,4,AP_RND_CONV,AP_SAT>"
    assert Quantizer.parse("ap_fixed<16,4>") == Quantizer(Q(4, 12), Rounding.FLOOR, Overflow.WRAP)
    assert Quantizer.parse("ap_ufixed<8,0,AP_RND>") == Quantizer(UQ(0, 8), Rounding.HALF_UP, Overflow.WRAP)
    assert Quantizer.parse("fixed<16,4,RND_CONV,SAT>") == Quantizer(Q(4, 12))
    assert Quantizer.parse("Q4.12") == Quantizer(Q(4, 12))


def test_a_name_labels_but_does_not_distinguish() -> None:
    named = Quantizer(Q(4, 12), name="fc1.out")
    assert named == Quantizer(Q(4, 12))
    assert hash(named) == hash(Quantizer(Q(4, 12)))
    assert repr(named) == "Quantizer(Q(4, 12), Rounding.HALF_EVEN, Overflow.SATURATE, name='fc1.out')"


# ---- channels ----------------------------------------------------------------------------------------------


def test_channels_have_their_own_binary_points_and_one_format() -> None:
    quantizer = ChannelQuantizer(Quantizer(Q(2, 6)), (0, 1, -2))
    assert quantizer.format == Q(3, 8)
    x = np.random.default_rng(2).standard_normal((50, 3)) * 2
    ints = quantizer.from_floats(x)
    for j, own in enumerate([Q(2, 6), Q(3, 5), Q(0, 8)]):
        expected = Quantizer(own).from_floats(x[:, j]) << 8 - own.frac_bits
        assert np.array_equal(ints[:, j], expected)
    wide = np.ldexp(x, 20).astype(np.int64)
    assert np.array_equal(quantizer.from_ints(wide, 20), quantizer.from_floats(np.ldexp(wide, -20)))
    assert np.array_equal(quantizer.round_floats(x), ints * quantizer.format.step)
    assert np.array_equal(FixedArray.from_float(x, quantizer).ints, ints)


SUBNORMAL64 = [v * sign for v in (5e-324, 1e-310, 2.2250738585072014e-308) for sign in (1, -1)]
SUBNORMAL32 = [float(np.float32(v)) * sign for v in (1e-45, 1e-40, 1.1754944e-38) for sign in (1, -1)]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("format", [Q(8, 0), Q(4, 4), UQ(10, -2), Q(40, -20), Q(-40, 60), Q(-1060, 1074)])
def test_subnormal_floats_round_as_their_integers_say(
    format: QFormat, overflow: Overflow, rounding: Rounding
) -> None:
    plain = Quantizer(format, rounding, overflow)
    channels = ChannelQuantizer(plain, (0, 5, -2, 0, 7, 3) if format.frac_bits < 1000 else (0,) * 6)
    for dtype, values in ((np.float64, SUBNORMAL64), (np.float32, SUBNORMAL32)):
        x = np.array(values, dtype)
        ints = [oracle.quantized(Fraction(float(v)), plain) for v in x]
        assert plain.from_floats(x).tolist() == ints
        assert np.array_equal(plain.round_floats(x), np.ldexp(ints, -format.frac_bits).astype(dtype))
        by_channel = [oracle.quantized(Fraction(float(v)), q) for v, q in zip(x, channels.channels)]
        real = [np.ldexp(float(n), -q.format.frac_bits) for n, q in zip(by_channel, channels.channels)]
        rounded = channels.round_floats(np.stack([x, -x]))
        assert rounded.dtype == dtype
        assert np.array_equal(rounded[0], np.array(real, dtype))
        if format.frac_bits < 1000:
            point = channels.format.frac_bits
            assert np.array_equal(np.ldexp(channels.from_floats(x), -point), real)


def test_a_channels_step_is_its_formats() -> None:
    quantizer = ChannelQuantizer(Quantizer(Q(2, 6)), (0, 1, -2))
    assert quantizer.step.tolist() == [own.step for own in quantizer.channels] == [1 / 64, 1 / 32, 1 / 256]


def test_the_floor_of_the_smallest_float_below_zero_is_one_step_down() -> None:
    x = np.array([[-5e-324, 5e-324]])
    quantizer = ChannelQuantizer(Quantizer(Q(4, 4), Rounding.FLOOR), (0, 3))
    assert quantizer.from_floats(x).tolist() == [[-1, 0]]
    assert quantizer.round_floats(x).tolist() == [[-0.0625, 0]]


@pytest.mark.parametrize("overflow", Overflow)
def test_channels_round_floats_as_their_own_quantizers_do(overflow: Overflow) -> None:
    for rounding in Rounding:
        quantizer = ChannelQuantizer(Quantizer(Q(6, 2), rounding, overflow), (0, -2, 3, 0))
        x = np.random.default_rng(6).standard_normal((2, 9, 4)).astype(np.float32) * 40
        x[0, 0] = np.nan
        rounded = quantizer.round_floats(x)
        for j, own in enumerate(quantizer.channels):
            assert np.array_equal(rounded[..., j], own.round_floats(x[..., j]), equal_nan=True)


# ---- bad input ---------------------------------------------------------------------------------------------

PLAIN = Quantizer(Q(4, 12))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: PLAIN.from_floats([[1.0, np.nan], [np.inf, 0.0]]),
            ValueError,
            "nan cannot be quantised at index (0, 1); replace NaN and infinities first",
        ),
        (
            lambda: PLAIN.from_floats([1.0, -np.inf]),
            ValueError,
            "-inf cannot be quantised at index 1; replace NaN and infinities first",
        ),
        (
            lambda: PLAIN.from_floats(np.where(np.arange(60_000) == 50_001, np.inf, 0.0).reshape(-1, 100)),
            ValueError,
            "inf cannot be quantised at index (500, 1); replace NaN and infinities first",
        ),
        (
            lambda: PLAIN.from_floats(float("nan")),
            ValueError,
            "nan cannot be quantised; replace NaN and infinities first",
        ),
        (
            lambda: PLAIN.from_floats([]),
            ValueError,
            "an array of shape (0,) holds no values; give at least one",
        ),
        (
            lambda: PLAIN.from_floats(np.zeros((3, 0, 2))),
            ValueError,
            "an array of shape (3, 0, 2) holds no values; give at least one",
        ),
        (
            lambda: PLAIN.from_floats([[1.0], [2.0, 3.0]]),
            ValueError,
            "the rows of a nested list differ in length; make them equally long",
        ),
        (
            lambda: PLAIN.from_floats(["1.0"]),
            TypeError,
            "numbers are float64, float32, float16 or integers, not <U3",
        ),
        (
            lambda: PLAIN.from_floats([1j]),
            TypeError,
            "numbers are float64, float32, float16 or integers, not complex128",
        ),
        (
            lambda: PLAIN.from_floats([True]),
            TypeError,
            "numbers are float64, float32, float16 or integers, not bool",
        ),
        (
            lambda: PLAIN.from_floats([None]),
            TypeError,
            "numbers are float64, float32, float16 or integers, not object",
        ),
        (lambda: PLAIN.from_ints([1.5], 0), TypeError, "integers are expected, not float64"),
        (
            lambda: PLAIN.from_ints(np.array([2**63], np.uint64), 0),
            ValueError,
            "9223372036854775808 does not fit into 64 bits with a sign",
        ),
        (
            lambda: Quantizer(Q(4, 12), Rounding.HALF_EVEN, "SAT"),
            TypeError,
            "overflow of a Quantizer is of type Overflow, not 'SAT'",
        ),
        (lambda: Quantizer("Q4.12"), TypeError, "format of a Quantizer is of type QFormat, not 'Q4.12'"),
        (
            lambda: Quantizer(Q(4, 12), saturate=True),
            TypeError,
            "Quantizer.__init__() got an unexpected keyword argument 'saturate'",
        ),
        (
            lambda: Quantizer.parse("Q4,12"),
            ValueError,
            "'Q4,12' is not a quantizer; write it like 'ap_fixed<16,4,AP_RND_CONV,AP_SAT>' or 'Q4.12'",
        ),
        (
            lambda: Quantizer.parse("ap_fixed<16,4,AP_ROUND>"),
            ValueError,
            "'AP_ROUND' in 'ap_fixed<16,4,AP_ROUND>' is no Rounding; use one of "
            "AP_TRN, AP_TRN_ZERO, AP_RND, AP_RND_MIN_INF, AP_RND_INF, AP_RND_ZERO, AP_RND_CONV",
        ),
        (
            lambda: Quantizer.parse("ap_fixed<16,4,AP_RND,AP_CLIP>"),
            ValueError,
            "'AP_CLIP' in 'ap_fixed<16,4,AP_RND,AP_CLIP>' is no Overflow; use one of "
            "AP_WRAP, AP_SAT, AP_SAT_SYM, AP_SAT_ZERO",
        ),
        (
            lambda: Quantizer.parse("ap_fixed<64,4,AP_RND,AP_SAT>"),
            ValueError,
            "a format has 1 to 63 bits, but Q(4, 60) would have 64",
        ),
        (lambda: Quantizer.parse(3), TypeError, "a quantizer is parsed from text, not from 3"),
        (
            lambda: ChannelQuantizer(PLAIN, (0, 1)).from_floats(np.zeros((2, 3))),
            ValueError,
            "2 channel shifts do not fit an array of shape (2, 3)",
        ),
        (
            lambda: ChannelQuantizer(PLAIN, ()),
            ValueError,
            "a ChannelQuantizer has one shift for each channel, and there is none",
        ),
    ],
)
def test_bad_input_is_one_clear_sentence(make, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("fixed<16,6,RND_CONV,SAT,0>", "ap_fixed<16,6,AP_RND_CONV,AP_SAT>"),
        ("ap_ufixed<8,2,AP_TRN,AP_WRAP, 0>", "ap_ufixed<8,2,AP_TRN,AP_WRAP>"),
        ("ap_uint<8>", "ap_ufixed<8,8,AP_TRN,AP_WRAP>"),
        ("ap_int<6>", "ap_fixed<6,6,AP_TRN,AP_WRAP>"),
        ("uint<4>", "ap_ufixed<4,4,AP_TRN,AP_WRAP>"),
        ("int<5>", "ap_fixed<5,5,AP_TRN,AP_WRAP>"),
    ],
)
def test_types_as_high_level_synthesis_writes_them(text: str, same: str) -> None:
    assert str(Quantizer.parse(text)) == same


def test_saturation_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="has 3 saturation bits, and only 0 are modelled"):
        Quantizer.parse("fixed<16,6,RND,SAT,3>")


def test_a_quantizer_of_channels_says_what_it_is() -> None:
    quantizer = ChannelQuantizer(
        Quantizer(Q(2, 6), Rounding.FLOOR, Overflow.WRAP, name="fc1.weight"), (0, 1, -2)
    )
    assert eval(repr(quantizer)) == quantizer
    assert repr(quantizer).startswith("ChannelQuantizer(Quantizer(Q(2, 6), ")
    assert (quantizer.name, quantizer.overflow) == ("fc1.weight", Overflow.WRAP)
