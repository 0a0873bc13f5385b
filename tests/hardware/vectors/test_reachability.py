# SPDX-License-Identifier: MIT
"""Intervals hold every value that arrives, and a corner that is called unreachable is met by no input."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fixedpoint_nn import Q, Quantizer
from fixedpoint_nn.hardware.vectors.cover_points import count, coverage
from fixedpoint_nn.hardware.vectors.intervals import follow, inputs
from fixedpoint_nn.hardware.vectors.reachability import by_intervals, unreachable
from fixedpoint_nn.hardware.vectors.stimuli import candidates, codes
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.qformat import UQ
from tests.support.battery import CASES, quantized_case


def program_of(name: str) -> tuple[Program, FixedArray]:
    *_, net, format = quantized_case(name)
    x = FixedArray.from_float(CASES[name].floats(), Quantizer(format))
    return trace(net, x.shape[1:], x.format), x


@pytest.mark.parametrize("name", CASES)
def test_the_interval_of_every_layer_holds_every_value(name):
    program, samples = program_of(name)
    rng = np.random.default_rng(1)
    pool = samples.concat([candidates(program, samples, 24, rng)], axis=0)
    ends = follow(program, (inputs(program, codes(program, samples)),), lambda *_: None)
    for (low, high), value in zip(ends, program(pool), strict=True):
        lowest, highest = (end.cast(None) for end in (low, high))
        scale = value.format.frac_bits - lowest.format.frac_bits
        assert scale == 0
        assert (value.ints >= lowest.ints).all()
        assert (value.ints <= highest.ints).all()


@pytest.mark.parametrize("name", CASES)
def test_no_input_meets_a_corner_that_is_out_of_reach(name):
    program, samples = program_of(name)
    out_of_reach = by_intervals(program, codes(program, samples))
    pool = candidates(program, samples, 48, np.random.default_rng(2))
    for key, met in coverage(program, pool).items():
        assert key not in out_of_reach or not met.hits.any(), (key, out_of_reach[key])


def test_intervals_of_one_value_are_exact_about_ties_and_edges():
    for low, shift in product((-9, -4, 0, 3), (1, 2, 3)):
        format, quantizer = Q(6, shift), Quantizer(Q(3, 0), name="here")
        program = trace(lambda x, q=quantizer: x.cast(q), (1,), format)
        for span in range(1, 30, 4):
            allowed = range(low, low + span)
            every = FixedArray.from_ints(np.array(allowed).reshape(-1, 1), format)
            met = {key for key, met in coverage(program, every).items() if met.hits.any()}
            assert set(by_intervals(program, allowed)) == set(coverage(program, every)) - met


def test_a_mean_of_two_values_stays_between_them():
    """z * a + (1 - z) * b: each value alone would allow twice as much."""

    def mean(x: FixedArray) -> FixedArray:
        z, a, b = x[:, 0:1], x[:, 1:2], x[:, 2:3]
        z = z.cast(Quantizer(UQ(0, 4), name="share"))
        return (z * a + (1 - z) * b).cast(Quantizer(Q(2, 3), name="mean"))

    program = trace(mean, (3,), Q(2, 3))
    out_of_reach = by_intervals(program, range(-16, 16))
    assert out_of_reach["mean", "above the largest"].startswith("unreachable: only -256 to 240 arrive")
    assert ("mean", "exactly the smallest") not in out_of_reach


def test_of_a_small_network_all_inputs_are_tried():
    program = trace(lambda x: (x * x).cast(Quantizer(Q(8, 1), name="square")), (1,), Q(2, 2))
    samples = FixedArray.from_ints(np.array([[1]]), Q(2, 2))
    out_of_reach = unreachable(program, samples)
    assert out_of_reach["square", "exactly the smallest"] == "unreachable: none of all 16 inputs meets it"
    every = FixedArray.from_ints(np.arange(-8, 8).reshape(-1, 1), Q(2, 2))
    counted = count(program, every, out_of_reach)["square"]
    assert all(hits == out_of_reach.get(("square", corner), hits) for corner, hits in counted.items())
    assert 0 not in counted.values()


def test_a_corner_that_is_met_and_said_to_be_unreachable_is_an_error():
    program = trace(lambda x: x.cast(Quantizer(Q(2, 0), name="here")), (1,), Q(2, 2))
    every = FixedArray.from_ints(np.arange(-8, 8).reshape(-1, 1), Q(2, 2))
    with pytest.raises(
        RuntimeError, match=r"here: 'exactly the largest' is hit \d+ times, although it is said to be no"
    ):
        count(program, every, {("here", "exactly the largest"): "no"})
