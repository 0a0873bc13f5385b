# SPDX-License-Identifier: MIT
"""A step function's layer has its code at every sum: one multiplication, a table, or thresholds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.interchange.affine.constants import Unsuited, integer_format
from fixedpoint_nn.interchange.affine.rescale import Lookup, Rescale
from fixedpoint_nn.interchange.affine.stepping import stepped
from fixedpoint_nn.interchange.affine.steps import StepFunction, holds, line_of
from fixedpoint_nn.interchange.affine.thresholds import Refined, Thresholds
from fixedpoint_nn.numbers.fixed.array import FixedArray

Function = Callable[[Any], Any]


def at_every_sum(layer: Any, steps: StepFunction, function: Function) -> None:
    sums = np.arange(steps.sums[0], steps.sums[1] + 1)
    channels = len(steps.signs)
    x = FixedArray.from_ints(np.repeat(sums[:, np.newaxis], channels, 1), integer_format(*steps.sums))
    y = layer(x)
    assert np.array_equal(y.ints, function(np.repeat(sums[np.newaxis], channels, 0)).T)
    assert y.format == integer_format(*steps.codes)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 30),
    st.sampled_from([(-128, 127), (0, 255), (-7, 7), (-3, 200), (-1, 1)]),
    st.integers(3, 16),
    st.booleans(),
)
def test_a_float_factor_and_bias_for_each_channel(
    seed: int, codes: tuple[int, int], bits: int, single: bool
) -> None:
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 4))
    factor = np.float32(
        2.0 ** (8 - bits) * rng.uniform(0.2, 4, (channels, 1)) * rng.choice([-1, 1], (channels, 1))
    )
    bias = np.float32(rng.uniform(-60, 60, (channels, 1)))
    dtype = np.float32 if single else np.float64

    def function(n: Any) -> Any:
        return np.clip(np.rint(n.astype(dtype) * factor.astype(dtype) + bias.astype(dtype)), *codes)

    steps = StepFunction.of(function, np.sign(factor[:, 0]), (-(1 << bits), (1 << bits) - 3), codes)
    at_every_sum(stepped(steps, "s"), steps, function)
    for channel in range(channels):
        for even in (False, True):
            line = line_of(steps, channel, even=even)
            assert line is None or holds(line, steps, channel)


def test_a_step_that_floats_move_takes_a_table_of_the_next_sums() -> None:
    factor = np.float32(0.00012345)
    sums = (-(1 << 20), 1 << 20)

    def function(n: Any) -> Any:
        return np.clip(np.rint(n.astype(np.float32) * factor), -128, 127)

    steps = StepFunction.of(function, np.ones(1), sums, (-128, 127))
    moved = steps.first[0, 100] + 3
    steps.first[0, 100] = moved

    def later(n: Any) -> Any:
        return np.where((n < moved) & (n >= moved - 3), -28, function(n))

    layer = stepped(steps, "s")
    assert isinstance(layer, Refined)
    at_every_sum(layer, steps, later)


def test_a_curve_is_looked_up_if_its_sums_have_few_bits_and_compared_if_not() -> None:
    def function(n: Any) -> Any:
        return np.rint(7 * np.tanh(n / 300))

    for sums, kind in (((-900, 900), Lookup), ((-300000, 300000), Thresholds)):
        steps = StepFunction.of(function, np.ones(1), sums, (-7, 7))
        layer = stepped(steps, "s")
        assert isinstance(layer, kind)
        at_every_sum(layer, steps, function)


def test_channels_that_fall_and_channels_of_one_code() -> None:
    factor = np.array([[-0.25], [0.0], [0.5]])

    def function(n: Any) -> Any:
        return np.clip(np.rint(n * factor + 1), -8, 7)

    steps = StepFunction.of(function, np.array([-1, 1, 1]), (-40, 33), (-8, 7))
    layer = stepped(steps, "s")
    assert isinstance(layer, Rescale)
    at_every_sum(layer, steps, function)


def test_where_nothing_has_the_codes_the_channel_is_named() -> None:
    def function(n: Any) -> Any:
        return np.stack([np.rint(n[0] / 71), np.rint(1000 * np.tanh(n[1] / 3e4))])

    steps = StepFunction.of(function, np.ones(2), (-70000, 70000), (-1000, 1000))
    with pytest.raises(Unsuited, match="no multiplier with the same codes at every sum, in its channel 1"):
        stepped(steps, "s")
    with pytest.raises(Unsuited, match="the most"):
        StepFunction.of(function, np.ones(300), (-9, 9), (0, 1 << 16))
