# SPDX-License-Identifier: MIT
"""Every integer that a network makes lies in its range, and ranges are no wider than they must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn import UQ, FixedArray, Overflow, Q, QFormat, Quantizer, Rounding
from fixedpoint_nn.hardware.compiler.value_ranges import value_ranges
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.value_table import ValueTable

WEIGHT = FixedArray.from_ints(np.array([[3, -100], [127, 5], [-7, 0]]), Q(8, 0))
BIAS = FixedArray.from_ints(np.array([-40, 1000]), Q(11, 0))
CLAMP = ValueTable.of("clamp", lambda code: min(max(code, -9), 20), Q(8, 0), Q(6, 0))
NETS: list[Any] = [
    lambda x: x @ WEIGHT + BIAS,
    lambda x: (x @ WEIGHT - BIAS).relu(),
    lambda x: (x @ WEIGHT).cast(Quantizer(Q(6, -3), Rounding.HALF_AWAY)),
    lambda x: (x @ WEIGHT).cast(Quantizer(Q(6, -3), Rounding.FLOOR, Overflow.WRAP)),
    lambda x: (x @ WEIGHT).cast(Quantizer(Q(16, 0), Rounding.FLOOR, Overflow.WRAP)) * BIAS,
    lambda x: -x.lookup("clamp", CLAMP) * x,
    lambda x: x.sum(axis=1, keepdims=True) + x.max(axis=1, keepdims=True),
    lambda x: x.lookup("clamp", CLAMP).concat([x.lookup("clamp", CLAMP)], axis=-1),
    lambda x: x.reshape(-1, 3, 1, 1).windows((2, 1), (1, 1), ((1, 1), (0, 0))).sum(axis=3),
    lambda x: (x.scaled(-4) + x).cast(Quantizer(UQ(7, 0), Rounding.HALF_EVEN, Overflow.ZERO)),
]


@pytest.mark.parametrize("net", NETS)
@settings(deadline=None)
@given(values=st.lists(st.tuples(*[st.integers(-128, 127)] * 3), min_size=1, max_size=20))
def test_every_value_lies_in_its_range(net: Any, values: list[tuple[int, ...]]) -> None:
    program = trace(net, (3,), Q(8, 0))
    ranges = value_ranges(program)
    seen: dict[int, FixedArray] = {}
    x = FixedArray.from_ints(np.array([*values, (-128,) * 3, (127,) * 3]), Q(8, 0))
    program(x, watch=lambda path, value: seen.__setitem__(path[0], value))
    for place, value in seen.items():
        found = ranges[place]
        assert (found.low <= value.ints).all(), program.nodes[place].op
        assert (value.ints <= found.high).all(), program.nodes[place].op


@pytest.mark.parametrize("net", [NETS[0], NETS[1], NETS[2], NETS[4]])
def test_the_ends_of_linear_values_are_reached(net: Any) -> None:
    program = trace(net, (3,), Q(8, 0))
    (place,) = program.outputs
    corners = np.stack(np.meshgrid(*[[-128, 127]] * 3), -1).reshape(-1, 3)
    (values,) = program(FixedArray.from_ints(corners, Q(8, 0)))
    found = value_ranges(program)[place]
    assert np.array_equal(values.ints.min(axis=0), np.broadcast_to(found.low, 2))
    assert np.array_equal(values.ints.max(axis=0), np.broadcast_to(found.high, 2))


def test_what_is_not_known_is_all_that_its_format_holds() -> None:
    program = trace(lambda x: x.argmax(axis=-1), (3,), Q(8, 0))
    (place,) = program.outputs
    format: QFormat = program.nodes[place].format
    assert value_ranges(program)[place].ends == (format.int_min, format.int_max)


def ends(net: Any, shape: tuple[int, ...] = (3,), format: QFormat = Q(8, 0)) -> tuple[list[int], list[int]]:
    """The lowest and the highest integer of a network's result, for each channel or for all."""
    program = trace(net, shape, format)
    (place,) = program.outputs
    found = value_ranges(program)[place]
    return found.low.reshape(-1).tolist(), found.high.reshape(-1).tolist()


def constant(*ints: int) -> FixedArray:
    return FixedArray.from_ints(np.array(ints), Q(12, 0))


HIGH = ValueTable.of("high", lambda code: max(code, 5), Q(8, 0), Q(9, 0))
EDGE = ((1, 0), (0, 0))
EXACT: dict[str, tuple[Any, list[int], list[int]]] = {
    "the input": (lambda x: x, [-128], [127]),
    "a constant": (lambda x: x * 0 + constant(5, -7, 9), [5, -7, 9], [5, -7, 9]),
    "a matrix of constants": (
        lambda x: x * 0 + FixedArray.from_ints(np.array([[5, -7, 9]]), Q(8, 0)), [5, -7, 9], [5, -7, 9]
    ),
    "a number": (lambda x: x + 5, [-123], [132]),
    "zeros": (lambda x: x.zeros(3, like=x) * 3, [0], [0]),
    "a sum": (lambda x: x + constant(1, 2, -3), [-127, -126, -131], [128, 129, 124]),
    "a difference": (lambda x: constant(1, 2, -3) - x, [-126, -125, -130], [129, 130, 125]),
    "a sum of another step": (lambda x: x + x.scaled(-2), [-640], [635]),
    "a difference of another step": (lambda x: x.scaled(-2) - x, [-636], [639]),
    "the opposite": (lambda x: -x, [-127], [128]),
    "a product": (lambda x: x * constant(2, -3, 0), [-256, -381, 0], [254, 384, 0]),
    "a square": (lambda x: x * x, [-16256], [16384]),
    "a dot": (lambda x: x @ WEIGHT, [-17529, -13340], [17406, 13435]),
    "relu": (lambda x: x.relu(), [0], [127]),
    "relu of what is below 0": (lambda x: (x.relu() - 200).relu(), [0], [0]),
    "a cast": (lambda x: x.cast(Quantizer(Q(8, -2), Rounding.FLOOR)), [-32], [31]),
    "a cast, up": (lambda x: x.cast(Quantizer(Q(9, -2), Rounding.HALF_UP)), [-32], [32]),
    "a cast that saturates": (lambda x: x.cast(Quantizer(Q(5, 0))), [-16], [15]),
    "a cast of a sum": (lambda x: (x + 100).cast(Quantizer(Q(8, 0))), [-28], [127]),
    "a cast that may wrap": (lambda x: x.relu().cast(Quantizer(Q(5, 0), overflow=Overflow.WRAP)), [-16], [15]),
    "a cast that does not wrap": (lambda x: x.relu().cast(Quantizer(Q(8, 0), overflow=Overflow.WRAP)), [0], [127]),
    "a cast of what is below 0": (
        lambda x: (x.relu() - 128).cast(Quantizer(Q(8, 0), overflow=Overflow.WRAP)), [-128], [-1]
    ),
    "a finer cast": (lambda x: x.relu().cast(Quantizer(Q(8, 1))), [-256], [255]),
    "a table": (lambda x: x.lookup("clamp", CLAMP), [-9], [20]),
    "a table of some codes": (lambda x: (x.relu().cast(Quantizer(Q(8, 0)))).lookup("clamp", CLAMP), [0], [20]),
    "a table that rises, of some codes": (
        lambda x: (x.relu().cast(Quantizer(Q(8, 0)))).lookup("high", HIGH), [5], [127]
    ),
    "a table of codes below 0": (
        lambda x: (-x.relu()).cast(Quantizer(Q(8, 0))).lookup("clamp", CLAMP), [-9], [0]
    ),
    "a sum of all": (lambda x: x.sum(axis=1, keepdims=True), [-384], [381]),
    "a sum of some": (lambda x: x.reshape(-1, 3, 1).sum(axis=1), [-384], [381]),
    "the largest": (lambda x: (x * constant(2, -3, 0)).max(axis=1, keepdims=True), [-381], [384]),
    "another step": (lambda x: x.relu().scaled(-4), [0], [127]),
    "moved": (lambda x: (x * constant(2, -3, 0)).reshape(-1, 3, 1).transpose(0, 2, 1), [-381], [384]),
    "some": (lambda x: x.relu()[:, 1:], [0], [127]),
    "joined": (lambda x: x.relu().concat([x.lookup("clamp", CLAMP)]), [-9], [127]),
    "joined with another step": (lambda x: x.relu().concat([x.scaled(-1)]), [-256], [255]),
    "windows": (
        lambda x: x.lookup("high", HIGH).reshape(-1, 3, 1, 1).windows((2, 1), (1, 1), ((0, 0), (0, 0))), [5], [127]
    ),
    "windows over the edge": (
        lambda x: x.lookup("high", HIGH).reshape(-1, 3, 1, 1).windows((2, 1), (1, 1), EDGE), [0], [127]
    ),
    "windows over an edge of the lowest": (
        lambda x: x.lookup("high", HIGH).reshape(-1, 3, 1, 1).windows((2, 1), (1, 1), EDGE, lowest=True), [-256], [127]
    ),
    "windows of negative words": (
        lambda x: (-x.lookup("high", HIGH)).reshape(-1, 3, 1, 1).windows((2, 1), (1, 1), EDGE), [-127], [0]
    ),
    "dilated windows over the edge": (
        lambda x: x.lookup("high", HIGH).reshape(-1, 3, 1, 1).windows((2, 1), (1, 1), EDGE, dilation=(2, 1)),
        [0], [127],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_ranges_are_as_narrow_as_the_operands_say(name: str) -> None:
    net, low, high = EXACT[name]
    assert ends(net) == (low, high)


def test_channels_of_groups_have_ranges_of_their_own() -> None:
    weights = FixedArray.from_ints(np.array([[[1, 2], [3, -4]], [[0, 5], [6, 7]]]), Q(5, 0))
    found = ends(lambda x: x.reshape(-1, 2, 2).dot(weights), (4,))
    assert found == ([-512, -764, -768, -1536], [508, 766, 762, 1524])


def test_products_and_sums_that_62_bits_do_not_hold_are_all_that_their_formats_hold() -> None:
    near, far = (FixedArray.from_ints(np.array([n]), Q(32, 0)) for n in (1 << 30, -(1 << 31)))
    assert ends(lambda x: x * near, (1,), Q(31, 0)) == ([-(1 << 60)], [((1 << 30) - 1) << 30])
    assert ends(lambda x: x * far, (1,), Q(31, 0)) == ([-((1 << 30) - 1) << 31], [1 << 61])
    assert ends(lambda x: x.sum(1, keepdims=True), (4,), Q(60, 0)) == ([-(1 << 61)], [((1 << 59) - 1) << 2])
    assert ends(lambda x: x.sum(1, keepdims=True), (4,), Q(61, 0)) == ([-(1 << 62)], [(1 << 62) - 1])


def test_a_sum_of_some_has_as_many_terms_as_each_of_its_results() -> None:
    assert ends(lambda x: x.reshape(-1, 3, 2).sum(axis=1), (6,)) == ([-384], [381])


def test_a_range_of_63_bits_is_that_of_its_format() -> None:
    assert ends(lambda x: x + x, (1,), Q(62, 0)) == ([-(1 << 62)], [(1 << 62) - 1])
    assert ends(lambda x: x + x, (1,), Q(61, 0)) == ([-(1 << 61)], [(1 << 61) - 2])


def test_a_modelled_accumulator_and_a_sum_that_goes_on_may_be_anything() -> None:
    accumulator = Accumulator(Q(12, 0))
    assert ends(lambda x: x.dot(WEIGHT, accumulator)) == ([-2048], [2047])
    low, high = ends(lambda x: x.dot(WEIGHT, None, x @ WEIGHT))
    assert (len(low), low[0]) == (1, -high[0] - 1)
