# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.precision.value_ranges import (
    RangeMethod,
    RangeObserver,
    ValueRange,
    choose,
    int_bits_for,
    squared_error,
    thinned,
)

VALUES = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(low=VALUES, high=VALUES, bits=st.integers(2, 16), whole=st.booleans())
def test_integer_bits_by_the_extremes_are_enough_and_one_fewer_is_not(
    low: float, high: float, bits: int, whole: bool
) -> None:
    low, high = min(low, high), max(low, high)
    signed = low < 0
    int_bits = int_bits_for(low, high, bits, signed, whole)
    chosen = QFormat(int_bits, bits - int_bits, signed)
    slack = chosen.step / 2 if whole else chosen.step
    assert low >= chosen.min
    assert high <= chosen.max + slack
    if max(abs(low), abs(high)) > 0:
        smaller = QFormat(int_bits - 1, bits - int_bits + 1, signed)
        slack = smaller.step / 2 if whole else smaller.step
        assert low < smaller.min or high > smaller.max + slack


def test_a_constant_power_of_two_is_kept_exactly_when_it_must_be() -> None:
    quarter = ValueRange.of(np.array([0.25]))
    assert choose(quarter, 8, True, whole=True).from_floats([0.25])[0] * 2.0**-8 == 0.25
    assert choose(quarter, 8, True).format == QFormat(-1, 9)  # an activation is cut by one step instead


def test_least_squared_error_beats_every_other_choice_of_the_binary_point() -> None:
    values = np.random.default_rng(1).standard_normal(5000)
    values[0] = 30.0  # an outlier, which is not worth three bits
    value_range = ValueRange.of(values)
    best = choose(value_range, 6, True, RangeMethod.LEAST_ERROR)
    errors = {
        i: squared_error(
            value_range.sample, choose(ValueRange(-(2.0 ** (i - 1)), 0, value_range.sample), 6, True)
        )
        for i in range(-1, 8)
    }
    assert best.format.int_bits == min(errors, key=errors.__getitem__)
    assert choose(value_range, 6, True, RangeMethod.MAX).format.int_bits == 6
    assert choose(value_range, 6, True, RangeMethod.PERCENTILE, percentile=99.9).format.int_bits == 3


def test_a_range_observer_keeps_the_extremes_of_everything_and_a_sample_of_bounded_size() -> None:
    observer = RangeObserver("x")
    rng = np.random.default_rng(0)
    for _ in range(40):
        observer.observe(rng.standard_normal((100, 100)))
    observer.observe(np.array([-50.0, 60.0]))
    value_range = observer.value_range()
    assert (value_range.low, value_range.high) == (-50, 60)
    assert 10_000 < value_range.sample.size <= 1 << 16
    assert abs(value_range.sample.std() - 1) < 0.3


def test_a_range_observer_refuses_infinities() -> None:
    with pytest.raises(ValueError, match=r"^fc.out sees inf: the network diverges on these samples$"):
        RangeObserver("fc.out").observe(np.array([1.0, np.inf]))


def test_thinning_does_not_walk_along_one_column() -> None:
    columns = np.tile(np.arange(64), 4096)
    assert set(thinned(columns, 8192)) == set(range(64))
