# SPDX-License-Identifier: MIT
"""Each formula of a network: whether a plan holds it, its ends, and that plans give the integers verb by verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Overflow, Q, Quantizer, Rounding, Table
from fixedpoint_nn.numbers.networks.native_network import native_network
from fixedpoint_nn.numbers.networks.numpy_network import numpy_network
from fixedpoint_nn.numbers.networks.plan import (
    Convolve,
    Image,
    ImageLookup,
    ImageSum,
    NetworkPlan,
    WindowAverage,
    WindowMaximum,
)
from fixedpoint_nn.numbers.networks.planner import NetworkPlanner, NoNetworkPlan, _outcome, plan_of
from fixedpoint_nn.numbers.sliding_windows import windows
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import Traced, trace
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.native.library import available
from fixedpoint_nn.numerics.qformat import UQ, QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.numerics.value_table import ValueTable

Net = Callable[[Any], Any]

OUT = Quantizer(Q(4, 4), Rounding.HALF_AWAY)
POSITIVE = Quantizer(UQ(3, 3), Rounding.HALF_UP)
WRAPPED = Quantizer(Q(3, 3), Rounding.FLOOR, Overflow.WRAP)
NARROW = Quantizer(Q(3, 1), Rounding.HALF_EVEN)
WIDE = Quantizer(Q(6, 8))
TANH = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))
SHAPE = (5, 4, 2)  # of an image
VALID, SAME = ((0, 0), (0, 0)), ((1, 1), (1, 1))


def ints(*shape: int, format: QFormat = Q(2, 3), seed: int = 0) -> FixedArray:
    rng = np.random.default_rng(seed)
    return FixedArray.from_ints(rng.integers(format.int_min, format.int_max + 1, shape), format)


POINT, MORE, TAPS, ALL = ints(2, 3), ints(3, 2, seed=1), ints(18, 3, seed=2), ints(40, 3, seed=3)
B, C, ONE = ints(3, format=Q(3, 6), seed=4), ints(3, format=Q(3, 6), seed=5), ints(format=Q(3, 6), seed=6)
COARSE_B, FINE_B = ints(3, format=Q(4, 2), seed=7), ints(3, format=Q(3, 9), seed=8)
FACTOR, MINUS = FixedArray.from_ints(np.array(5), Q(0, 4)), FixedArray.from_ints(np.array([-3]), Q(0, 4))


def conv(x: Any, weight: Any = TAPS, stride: Any = (1, 1), padding: Any = SAME) -> Any:
    slid = x.windows((3, 3), stride, padding)
    return slid.reshape(-1, *slid.shape[1:3], 18) @ weight


def oblong(x: Any) -> Any:
    slid = x.windows((2, 3), (2, 1), ((0, 0), (2, 1)))
    return slid.reshape(-1, *slid.shape[1:3], 12) @ TAPS[:12]


def pool(x: Any, padding: Any = VALID) -> Any:
    return x.windows((2, 3), (2, 1), padding, lowest=True).max(axis=3)


def average(x: Any, padding: Any = VALID) -> Any:
    return x.windows((2, 3), (2, 1), padding).sum(axis=3)


def flat(x: Any, *shape: int) -> Any:
    return x.reshape(-1, *shape)


PLANNED: dict[str, Net] = {
    "rows of pixels": lambda x: (x @ POINT).cast(OUT),
    "pixels in one axis": lambda x: (flat(x, 20, 2) @ POINT).cast(OUT),
    "the whole image": lambda x: (flat(x, 40) @ ALL).cast(OUT),
    "a bare product": lambda x: flat(x, 40) @ ALL,
    "a bare product and a bias": lambda x: flat(x, 40) @ ALL + B,
    "a convolution": lambda x: conv(x).cast(OUT),
    "strides": lambda x: conv(x, stride=(2, 1)).cast(OUT),
    "edges of all sizes": lambda x: conv(x, stride=(2, 2), padding=((0, 2), (3, 1))).cast(OUT),
    "oblong windows": lambda x: (oblong(x).cast(OUT) @ MORE).cast(OUT),
    "an average with edges": lambda x: (average(x, ((0, 0), (0, 3))) * FACTOR).cast(OUT),
    "two layers": lambda x: ((x @ POINT).cast(OUT) @ MORE).cast(OUT),
    "a bias": lambda x: (x @ POINT + B).cast(OUT),
    "a bias before": lambda x: (B + x @ POINT).cast(OUT),
    "two biases": lambda x: (x @ POINT + B + C).cast(OUT),
    "one bias for all": lambda x: (x @ POINT + ONE).cast(OUT),
    "a coarse bias": lambda x: (x @ POINT + COARSE_B).cast(OUT),
    "a fine bias": lambda x: (x @ POINT + FINE_B).cast(OUT),
    "fine after another": lambda x: (x @ POINT + B + FINE_B).cast(OUT),
    "relu": lambda x: (x @ POINT).relu().cast(POSITIVE),
    "relu after the cast": lambda x: (x @ POINT).cast(OUT).relu(),
    "relu of the input": lambda x: x.relu().cast(NARROW),
    "a bare relu of a value": lambda x: x.relu(),
    "two casts": lambda x: (x @ POINT).cast(WIDE).cast(NARROW),
    "a cast to a finer point": lambda x: x.cast(WIDE).cast(OUT),
    "a sum at a finer point": lambda x: (x @ POINT + B).cast(Quantizer(Q(7, 9))).cast(OUT),
    "wrapping": lambda x: (x @ POINT).cast(WRAPPED),
    "the largest": lambda x: pool(x),
    "the largest after a sum": lambda x: pool((x @ POINT).cast(OUT)),
    "the largest of two sizes": lambda x: pool((x @ POINT).relu().cast(POSITIVE), ((1, 1), (2, 0))),
    "the largest of all": lambda x: flat(x, 20, 2).max(axis=1),
    "the sum": lambda x: average(x).cast(OUT),
    "an average": lambda x: (average(x) * FACTOR).cast(OUT),
    "an average from the left": lambda x: (FACTOR * average(x, SAME)).cast(OUT),
    "a negative average": lambda x: (average(x) * MINUS).relu().cast(POSITIVE),
    "an average at a finer point": lambda x: (average(x) * FACTOR).cast(Quantizer(Q(6, 9))).cast(OUT),
    "the average of all": lambda x: (flat(x, 20, 2).sum(axis=1) * FACTOR).cast(OUT),
    "a residual": lambda x: (x + (x @ ints(2, 2)).cast(OUT)).cast(OUT),
    "at a finer point": lambda x: (x + (x @ ints(2, 2)).cast(OUT)).cast(Quantizer(Q(6, 7))).cast(OUT),
    "all of two values": lambda x: (flat(x, 40) + flat((x @ ints(2, 2)).cast(OUT), 40)).cast(OUT),
    "the largest at a finer point": lambda x: pool(x).cast(OUT).cast(WIDE),
    "twice": lambda x: (x + x).relu().cast(POSITIVE),
    "a bare sum of values": lambda x: x.cast(OUT) + x,
    "other points": lambda x: (x.scaled(2) + x.cast(OUT).scaled(-1)).cast(OUT),
    "a table": lambda x: (x @ POINT).cast(OUT).lookup("tanh", TANH),
    "after a table": lambda x: (x.cast(OUT).lookup("tanh", TANH) @ POINT).cast(OUT),
    "another shape at the end": lambda x: flat((x @ POINT).cast(OUT), 60),
    "another shape in between": lambda x: (flat((x @ POINT).cast(OUT), 20, 3) @ MORE).cast(OUT),
    "constants of the program": lambda x: (x @ POINT + (x._operand(B) + C)).cast(OUT),
}  # fmt: skip
NOT_PLANNED: dict[str, tuple[Net, str]] = {
    "difference": (lambda x: x - x, "sub"),
    "several outputs": (lambda x: (x, x), "several inputs or outputs"),
    "windows as a value": (lambda x: x.windows((1, 1), (1, 1), VALID).relu(), "windows or constants as a value"),
    "a bias of windows": (lambda x: x.windows((3, 3), (1, 1), VALID) + B[:2], "a constant that is no bias"),
    "windows in another shape": (lambda x: flat(x.windows((3, 3), (1, 1), SAME), 20, 9, 2), "windows in another shape"),
    "groups": (lambda x: x.windows((3, 3), (1, 1), SAME, 2), "windows in groups, or of something else than an image"),
    "windows of another shape": (
        lambda x: flat(x, 4, 5, 2).windows((3, 3), (1, 1), SAME),
        "windows in groups, or of something else than an image",
    ),
    "lowest edges": (lambda x: pool(x, ((0, 0), (0, 1))), "edges that are not zero"),
    "an accumulator": (lambda x: x.dot(POINT, Accumulator(Q(8, 6), Overflow.SATURATE)), "a modelled accumulator"),
    "an initial sum": (lambda x: x.dot(POINT, None, (x @ POINT).cast(OUT)), "a modelled accumulator"),
    "a product of values": (lambda x: flat(x, 40).dot(flat(x, 40)[0]), "index"),
    "a vector": (lambda x: x @ POINT[:, 0], "a product with something else than a constant matrix"),
    "windows that are no rows": (
        lambda x: x.windows((3, 3), (1, 1), SAME) @ POINT,
        "windows that are not rows",
    ),
    "some pixels": (lambda x: flat(x, 10, 4) @ ints(4, 3), "rows that are neither pixels nor the whole image"),
    "a constant added": (lambda x: x + B[:2], "a constant that is no bias"),
    "a constant after relu": (lambda x: (x @ POINT).relu() + B, "a constant that is no bias"),
    "a constant after the largest": (lambda x: pool(x) + B[:2], "a constant that is no bias"),
    "a constant after a sum": (lambda x: average(x) + B[:2], "a constant that is no bias"),
    "a bias of pixels": (lambda x: x @ POINT + ints(4, 3), "a bias of another shape"),
    "a bias of two axes": (lambda x: x @ POINT + B.reshape(1, 3), "a bias of another shape"),
    "a bias that repeats": (lambda x: x @ POINT[:, :1] + B, "a bias of another shape"),
    "repeated values": (lambda x: x + flat(x, 40)[:, :1], "index"),
    "repeated rows": (lambda x: x + flat(x, 20, 2).max(axis=1), "values that are repeated"),
    "another image": (lambda x: flat(x, 40) + (flat(x, 40) @ ints(40, 40)).cast(OUT), "values that are repeated"),
    "a sum over columns": (lambda x: x.sum(axis=2), "a reduction of something else than pixels"),
    "a sum that keeps its axis": (
        lambda x: flat(x, 20, 2).sum(axis=1, keepdims=True),
        "a reduction of something else than pixels",
    ),
    "a sum over channels": (lambda x: flat(x, 20, 2).sum(axis=2), "a reduction of something else than pixels"),
    "the largest of other pixels": (lambda x: flat(x, 10, 4).max(axis=1), "a reduction of something else than pixels"),
    "the largest channel of windows": (
        lambda x: x.windows((2, 3), (2, 1), VALID).max(axis=4),
        "a reduction of something else than windows",
    ),
    "windows that keep their axis": (
        lambda x: x.windows((2, 3), (2, 1), VALID).sum(axis=3, keepdims=True),
        "a reduction of something else than windows",
    ),
    "windows without channels": (
        lambda x: (lambda slid: flat(slid, *slid.shape[1:3], 12).max(axis=3))(x.windows((2, 3), (2, 1), VALID)),
        "a reduction of something else than windows",
    ),
    "a product with a row": (lambda x: average(x) * B[:2], "a product of two values"),
    "two factors": (lambda x: average(x) * FACTOR * FACTOR, "a product of two values"),
    "a factor of a product": (lambda x: (x @ POINT) * FACTOR, "a product of two values"),
    "a factor of a value": (lambda x: x * FACTOR, "a product of two values"),
    "a factor after relu": (lambda x: average(x).relu() * FACTOR, "a product of two values"),
    "a square": (lambda x: x * x, "a product of two values"),
    "channels": (lambda x: x.cast(ChannelQuantizer(Quantizer(Q(2, 3)), (0, 1))), "a cast of each channel by itself"),
    "a shift to the right": (lambda x: x.cast(Quantizer(Q(80, -58))), "a shift that is too wide"),
    "scaled windows": (lambda x: x.windows((1, 1), (1, 1), VALID).scaled(1), "windows at another binary point"),
}  # fmt: skip


def planned(net: Net, format: QFormat = Q(2, 3), shape: tuple[int, ...] = SHAPE) -> NetworkPlan:
    return NetworkPlanner(trace(net, shape, format)).plan()


def slow(plan: NetworkPlan, x: np.ndarray) -> np.ndarray:
    """What the plan says, operation by operation in int64; every value must be within its image's ends."""
    values: dict[int, np.ndarray] = {}

    def keep(image: Image, value: np.ndarray) -> np.ndarray:
        assert value.shape[1:] == image.shape
        assert image.low <= value.min() and value.max() <= image.high
        values[image.number] = value
        return value

    def finished(value: np.ndarray, finish: Any) -> np.ndarray:
        value, q = np.maximum(value, 0) if finish.relu else value, finish.quantizer
        if q is None:
            return value
        fitted = convert(value, -finish.shift, q.format, q.rounding, q.overflow)
        if finish.fits:
            assert np.array_equal(fitted, convert(value, -finish.shift, Q(60, 0), q.rounding, q.overflow))
        return fitted

    def windowed(o: Any) -> np.ndarray:
        return windows(
            values[o.a.number], o.kernel, o.stride, o.padding, 1, -(1 << 40) * isinstance(o, WindowMaximum)
        )

    result = keep(plan.input, x.reshape(len(x), *plan.input.shape))
    for o in plan.operations:
        match o:
            case Convolve():
                slid = windowed(o)
                bias = 0 if o.bias is None else o.bias
                made = finished(
                    slid.reshape(*slid.shape[:3], -1) @ o.weights.to(np.dtype(np.int64)) + bias, o.finish
                )
            case WindowAverage():
                made = finished(o.factor * windowed(o).sum(axis=3), o.finish)
            case WindowMaximum():
                made = windowed(o).max(axis=3)
                if o.padding != VALID:
                    assert o.a.low >= 0, "what is beyond the edge never wins"
            case ImageSum(a, a_shift, b, b_shift, finish):
                total = values[a.number] << a_shift
                made = finished(total if b is None else total + (values[b.number] << b_shift), finish)
            case ImageLookup(a, table):
                made = np.asarray(table.ints)[values[a.number] & ((1 << table.input_format.bits) - 1)]
        result = made if o.out is None else keep(o.out, made)
    result = result if plan.result is None else values[plan.result.number]
    assert plan.low <= result.min() and result.max() <= plan.high
    return result.reshape(len(x), *plan.shape)


@pytest.mark.parametrize("format", [Q(2, 3), UQ(2, 3), Q(1, 8)], ids=str)
@pytest.mark.parametrize("name", PLANNED)
def test_every_plan_gives_the_integers_verb_by_verb(name: str, format: QFormat) -> None:
    net = PLANNED[name]
    if format.signed and name == "the largest of two sizes":
        format = UQ(2, 6)
    plan, x = planned(net, format), ints(6, *SHAPE, format=format, seed=9)
    values = x.ints.copy()
    values[0], values[1] = format.int_max, format.int_min
    x = FixedArray.from_ints(values, format)
    expected = net(x)
    assert plan.format == expected.format and plan.shape == expected.shape[1:]
    assert np.array_equal(slow(plan, values), expected.ints)
    made = [by_numpy] if (by_numpy := numpy_network(plan)) is not None else []
    made += [loop for k in available() if (loop := native_network(plan, k, Quantizer(format))) is not None]  # type: ignore[misc]
    assert made
    for loop in made:
        got = loop.run(values.astype(np.float32), False) if loop is not by_numpy else loop.run(values)  # type: ignore[call-arg]
        assert np.array_equal(got, expected.ints), loop


@pytest.mark.parametrize("name", NOT_PLANNED)
def test_what_no_plan_holds_has_a_reason(name: str) -> None:
    net, reason = NOT_PLANNED[name]
    with pytest.raises(NoNetworkPlan) as caught:
        planned(net)
    assert str(caught.value) == reason
    assert plan_of(trace(net, SHAPE, Q(2, 3))) is None


# ---- ends ------------------------------------------------------------------------------------------------------------


def weight(*values: int, format: QFormat = Q(20, 0)) -> FixedArray:
    """One output of so many inputs."""
    return FixedArray.from_ints(np.array(values)[:, None], format)


def bias(value: int, format: QFormat = Q(20, 0)) -> FixedArray:
    return FixedArray.from_ints(np.array([value]), format)


WHOLE, BYTE = Quantizer(Q(8, 0)), Q(4, 0)
SYMMETRIC = Quantizer(Q(8, 0), overflow=Overflow.SATURATE_SYMMETRIC)


@pytest.mark.parametrize(
    ("net", "format", "ends"),
    [
        (lambda x: x @ weight(3, -5), BYTE, (-64, 64)),
        (lambda x: x @ weight(3, -5), UQ(4, 0), (-75, 75)),
        (lambda x: x @ weight(7, -5), UQ(4, 0), (-105, 105)),
        (lambda x: x @ weight(3, -5) + bias(-9), BYTE, (-73, 73)),
        (lambda x: x @ weight(3, -5) + bias(-9, Q(20, 2)), BYTE, (-265, 265)),
        (lambda x: x @ weight(3, -5) + bias(9, Q(20, -2)), BYTE, (-100, 100)),
        (lambda x: x @ weight(3, -5) + bias(9) + bias(1, Q(20, 1)), BYTE, (-147, 147)),
        (lambda x: (x @ weight(3, -5)).relu().cast(Quantizer(Q(9, 0))), BYTE, (0, 64)),
        (lambda x: (x @ weight(3, -5)).cast(Quantizer(Q(9, 2))), BYTE, (-256, 256)),
        (lambda x: (x @ weight(3, -5)).cast(Quantizer(Q(9, -1))), BYTE, (-32, 32)),
        (lambda x: (x @ weight(3, -5)).cast(Quantizer(Q(9, 2))), Q(3, 1), (-128, 128)),
        (lambda x: (x @ weight(3, -6)).cast(Quantizer(Q(9, -4))), BYTE, (-5, 5)),
        (lambda x: (x @ weight(9, -8)).cast(WHOLE), BYTE, (-128, 127)),
        (lambda x: (x @ weight(9, -8)).cast(SYMMETRIC), BYTE, (-127, 127)),
        (lambda x: (x @ weight(9, -8)).cast(Quantizer(Q(7, 0), overflow=Overflow.ZERO)), BYTE, (-64, 63)),
        (lambda x: (x @ weight(1, 1)).cast(Quantizer(Q(7, 0), overflow=Overflow.ZERO)), BYTE, (-16, 16)),
        (lambda x: x.cast(Quantizer(UQ(9, 0))), BYTE, (0, 7)),
        (lambda x: x + x.scaled(1), BYTE, (-24, 21)),
        (lambda x: x + x.relu(), BYTE, (-8, 14)),
        (lambda x: x.reshape(-1, 1, 1, 2).windows((1, 1), (1, 1), VALID).max(axis=3), BYTE, (-8, 7)),
        (lambda x: x.reshape(-1, 1, 2).sum(axis=1), BYTE, (-8, 7)),
        (lambda x: x.lookup("tanh", Table("tanh", BYTE, Quantizer(Q(1, 4)))), BYTE, (-16, 15)),
    ],
)  # fmt: skip
def test_the_ends_of_a_result(net: Net, format: QFormat, ends: tuple[int, int]) -> None:
    plan = planned(net, format, (2,))
    assert (plan.low, plan.high) == ends
    assert all(image.number < plan.images for image in [plan.input])
    numbers = [plan.input.number, *(o.out.number for o in plan.operations if o.out is not None)]
    assert numbers == list(range(plan.images))


@pytest.mark.parametrize(
    "padding", [VALID, ((0, 1), (0, 0)), ((1, 0), (0, 0)), ((0, 0), (2, 0)), ((0, 0), (0, 1))]
)
@pytest.mark.parametrize("format", [BYTE, UQ(4, 0)])
def test_the_ends_of_sums_and_averages_over_windows(format: QFormat, padding: Any) -> None:
    """Where there are edges, zero is among what they hold; a table keeps it out."""
    low, high = format.int_min, format.int_max
    sums = planned(lambda x: x.windows((2, 3), (1, 1), padding).sum(axis=3), format)
    assert (sums.low, sums.high) == (6 * low, 6 * high)
    for factor in (FACTOR, MINUS):
        product = planned(lambda x, f=factor: x.windows((2, 3), (1, 1), padding).sum(axis=3) * f, format)  # type: ignore[misc]
        ends = sorted((6 * low * int(factor.ints.reshape(-1)[0]), 6 * high * int(factor.ints.reshape(-1)[0])))
        assert [product.low, product.high] == ends
    below = Table("exp", Q(1, 3), Quantizer(Q(4, 4)))
    lowest, highest = int(below.ints.min()), int(below.ints.max())
    assert lowest > 0

    def pooled(x: Any) -> Any:
        return x.lookup("exp", below).windows((2, 3), (1, 1), padding).max(axis=3)

    plan = planned(pooled, Q(1, 3))
    assert (plan.low, plan.high) == (0 if padding != VALID else lowest, highest)


BELOW = ValueTable.of("below", lambda code: -abs(code) - 1, BYTE, Q(5, 0))


def test_the_ends_of_what_is_below_zero() -> None:
    """-9 to -1; edges hold zero, and so does what a ReLU leaves."""

    def pooled(x: Any, padding: Any) -> Any:
        return x.lookup("below", BELOW).windows((2, 3), (1, 1), padding, lowest=False)

    for padding, high in ((VALID, -1), (((0, 0), (0, 1)), 0)):
        plan = planned(lambda x, p=padding: pooled(x, p).max(axis=3), BYTE)  # type: ignore[misc]
        assert (plan.low, plan.high) == (-9, high)
    plan = planned(lambda x: pooled(x, VALID).sum(axis=3).relu().cast(WHOLE), BYTE)
    assert (plan.low, plan.high) == (0, 0)


@pytest.mark.parametrize(
    "name", ["relu", "two biases", "an average", "a negative average", "the average of all"]
)
def test_what_follows_a_sum_is_done_in_its_own_pass(name: str) -> None:
    assert len(planned(PLANNED[name]).operations) == 1


def test_integers_in_memory_are_of_16_bits_with_a_sign_or_without() -> None:
    def both(x: Any, wide: QFormat, narrow: QFormat) -> Any:
        return flat(x.cast(Quantizer(wide)) + x.cast(Quantizer(narrow)), 2)

    for format in (Q(16, 0), UQ(16, 0), Q(2, 14)):
        assert planned(lambda x: x.cast(WHOLE), format, (2,)).input.high == format.int_max
    for net, format in (
        (lambda x: x.cast(WHOLE), Q(17, 0)),
        (lambda x: x.cast(WHOLE), UQ(17, 0)),
        (lambda x: both(x, UQ(15, 0), Q(2, 0)), Q(16, 0)),  # -2 to 32768
        (lambda x: both(x, UQ(16, 0), UQ(1, 0)), UQ(16, 0)),  # 0 to 65536
        (lambda x: both(x, Q(16, 0), Q(1, 0)), Q(16, 0)),  # -32769 to 32767
    ):
        with pytest.raises(NoNetworkPlan, match=r"^integers of more than 16 bits in memory$"):
            planned(net, format, (2,))
    kept = planned(lambda x: both(x, UQ(15, 0), Q(1, 0)), Q(16, 0), (2,))  # to 32767
    assert (kept.low, kept.high) == (-1, 32767)


def test_results_are_of_24_bits() -> None:
    def product(over: int) -> NetworkPlan:
        return planned(lambda x: x @ weight(1 << 16, over), Q(9, 0), (2,))

    assert (product(0).low, product(0).high) == (-(1 << 24), 1 << 24)
    with pytest.raises(NoNetworkPlan, match=r"^a result that float32 does not hold$"):
        product(1)


def test_what_is_too_wide_is_not_planned() -> None:
    def reason(net: Net, format: QFormat = BYTE) -> str:
        try:
            planned(net, format, (2,))
        except NoNetworkPlan as caught:
            return str(caught)
        return ""

    # A norm of 2**46 - 1 at most, and what weights are moved up to.
    most = (1 << 46) - 1
    wide = Q(50, 0)
    for net, why in (
        (lambda x: (x @ weight(most - 1, 1, format=wide)).cast(WHOLE), ""),
        (lambda x: (x @ weight(most, 1, format=wide)).cast(WHOLE), "weights that are too wide"),
        (lambda x: (x @ weight(most >> 4, 1, format=wide)).cast(Quantizer(Q(4, 4))), ""),
        (
            lambda x: (x @ weight(1 << 42, 1, format=wide)).cast(Quantizer(Q(4, 4))),
            "weights that are too wide",
        ),
        (lambda x: (x @ weight(1, 1)).cast(Quantizer(Q(70, -60))), ""),
        (lambda x: (x @ weight(1, 1)).cast(Quantizer(Q(71, -61))), "a shift that is too wide"),
        (lambda x: (x @ weight(1, 1)).cast(Quantizer(Q(-50, 60))), "weights that are too wide"),
        (lambda x: (x @ weight(1, 1, format=Q(-55, 60)) + bias(1, Q(2, 0))).cast(Quantizer(Q(2, 0))), ""),
        (
            lambda x: (x @ weight(1, 1, format=Q(-55, 60)) + bias(-2, Q(2, 0))).cast(Quantizer(Q(2, 0))),
            "constants that are too wide",
        ),
        (lambda x: x.scaled(-50).cast(Quantizer(Q(4, 0))), ""),
        (lambda x: x.cast(Quantizer(Q(-56, 60))), ""),
        (lambda x: x.cast(Quantizer(Q(-57, 61))), "a shift that is too wide"),
        (lambda x: (x @ weight(1, 1) + bias((1 << 61) - 1, Q(62, 0))).cast(WHOLE), ""),
        (
            lambda x: (x @ weight(1, 1) + bias(-(1 << 61), Q(62, 0))).cast(WHOLE),
            "constants that are too wide",
        ),
    ):
        assert reason(net) == why


@pytest.mark.parametrize(
    ("ends", "shift", "quantizer", "outcome"),
    [
        ((-128, 127), 0, WHOLE, (True, -128, 127)),
        ((-129, 127), 0, WHOLE, (False, -128, 127)),
        ((-128, 128), 0, WHOLE, (False, -128, 127)),
        ((-5, 7), 0, WHOLE, (True, -5, 7)),
        ((-5, 7), 1, WHOLE, (True, -3, 4)),
        ((-1024, 1017), 3, WHOLE, (False, -128, 127)),
        ((-1025, 1016), 3, WHOLE, (False, -128, 127)),
        ((-1024, 1016), 3, WHOLE, (True, -128, 127)),
        ((200, 300), 0, WHOLE, (False, 127, 127)),
        ((-300, -200), 0, WHOLE, (False, -128, -128)),
        ((-128, 9), 0, SYMMETRIC, (False, -127, 9)),
        ((-1, 9), 0, Quantizer(UQ(8, 0)), (False, 0, 9)),
        ((0, 256), 0, Quantizer(UQ(8, 0), overflow=Overflow.WRAP), (False, 0, 255)),
        ((0, 255), 0, Quantizer(UQ(8, 0), overflow=Overflow.WRAP), (True, 0, 255)),
        ((0, 256), 0, Quantizer(UQ(8, 0), overflow=Overflow.ZERO), (False, 0, 255)),
    ],
)  # fmt: skip
def test_what_fits_and_its_ends(
    ends: tuple[int, int], shift: int, quantizer: Quantizer, outcome: tuple[bool, int, int]
) -> None:
    assert _outcome(*ends, shift, quantizer) == outcome


def test_networks_of_other_inputs_and_results_are_not_planned() -> None:
    def reason(program: Program) -> str:
        with pytest.raises(NoNetworkPlan) as caught:
            NetworkPlanner(program).plan()
        return str(caught.value)

    program = Program()
    one, two = (Traced.argument(program, (1, 4), Q(2, 3)) for _ in range(2))
    program.outputs = [(one + two).place]
    assert reason(program) == "several inputs or outputs"
    constant = trace(lambda x: x @ ints(2, 2), (2,), Q(2, 3))
    constant.outputs = [place for place, node in enumerate(constant.nodes) if node.op == "constant"]
    assert reason(constant) == "a result that is none of the input's"
    assert reason(trace(lambda x: x.windows((1, 1), (1, 1), VALID), SHAPE, Q(2, 3))) == (
        "a result that is none of the input's"
    )
    assert reason(trace(lambda x: x.relu(), (1, 2, 3, 4), Q(2, 3))) == "samples that are no images"
    assert reason(trace(lambda x: x.relu(), (), Q(2, 3))) == "samples that are no images"
    assert [planned(lambda x: x.relu(), Q(2, 3), shape).input.shape for shape in ((4,), (3, 4), (2, 3, 4))] == [
        (1, 1, 4), (1, 3, 4), (2, 3, 4),
    ]  # fmt: skip
