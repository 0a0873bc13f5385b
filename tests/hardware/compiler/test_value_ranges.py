# SPDX-License-Identifier: MIT
"""Every integer that a network makes lies in its range, and ranges are no wider than they must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn import UQ, FixedArray, Overflow, Q, QFormat, Quantizer, Rounding
from fixedpoint_nn.hardware.compiler.value_ranges import value_ranges
from fixedpoint_nn.numbers.traced.traced import trace
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
