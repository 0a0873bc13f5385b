# SPDX-License-Identifier: MIT
"""The Verilog itself: random networks, word for word."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from fixedpoint_nn import Overflow, RtlModel, calibrate, quantize, zoo
from fixedpoint_nn.hardware.isa.schedule import schedule
from tests.support.random_networks import Random, networks, random_network

relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def check(case: Random, simulator: str) -> None:
    rtl = RtlModel(case.fixed, lanes=case.lanes, simulator=simulator, drain=case.drain)
    result, expected = rtl(case.batch), case.fixed(case.batch)
    assert result.format == expected.format
    assert np.array_equal(result.ints, expected.ints)
    lowered = rtl.lowered(case.batch.shape[1:])
    assert set(rtl.outcome.cycles) == {schedule(lowered.instructions, case.lanes, case.drain).cycles}


@settings(relaxed, max_examples=25)
@given(networks())
def test_icarus_computes_what_the_model_computes(case):
    check(case, "iverilog")


@pytest.mark.parametrize("kind", ["image", "residual", "sequence", "text"])
def test_lanes_in_groups_compute_what_the_model_computes(kind: str) -> None:
    case, engine = random_network(kind, 3), {"drain": 4, "words": 4}
    rtl = RtlModel(case.fixed, lanes=16, simulator="iverilog", **engine)
    assert np.array_equal(rtl(case.batch).ints, case.fixed(case.batch).ints)
    lowered = rtl.lowered(case.batch.shape[1:])
    plan = schedule(lowered.instructions, 16, 4, lowered.config.latency)
    assert set(rtl.outcome.cycles) == {plan.cycles}


@pytest.mark.parametrize("overflow", [Overflow.SATURATE_SYMMETRIC, Overflow.ZERO])
def test_sums_that_overflow_at_a_step_are_those_of_the_model(overflow: Overflow) -> None:
    x, net = zoo.samples("moons", 20), zoo.load("moons")
    fixed = quantize(net, calibrate(net, x, word=8, accumulator=12, accumulator_overflow=overflow))
    rtl = RtlModel(fixed, lanes=2)
    assert np.array_equal(rtl(x).ints, fixed(x).ints)
    assert any(rtl.outcome.accumulator_overflow)


@pytest.mark.parametrize(
    ("name", "lanes", "words", "simulator"),
    [
        ("moons", 2, 1, "iverilog"),
        ("bigram", 8, 4, "iverilog"),
        ("bigram", 8, 4, "verilator"),
        pytest.param("lenet", 32, 8, "verilator", marks=pytest.mark.slow),
    ],
)
def test_lanes_that_share_multipliers_compute_what_the_model_computes(
    name: str, lanes: int, words: int, simulator: str
) -> None:
    x, net = zoo.samples(name, 2), zoo.load(name)
    fixed = quantize(net, calibrate(net, zoo.samples(name, 20), word=8))
    rtl = RtlModel(fixed, lanes=lanes, simulator=simulator, drain=2, words=words, pack=2)
    assert np.array_equal(rtl(x).ints, fixed(x).ints)
    lowered = rtl.lowered(x.shape[1:])
    plan = schedule(lowered.instructions, lanes, 2, lowered.config.latency, pack=2)
    assert set(rtl.outcome.cycles) == {plan.cycles}


@pytest.mark.slow
@settings(relaxed, max_examples=300)
@given(networks())
def test_icarus_computes_what_300_models_compute(case):
    check(case, "iverilog")


@pytest.mark.slow
@settings(relaxed, max_examples=10)
@given(networks())
def test_verilator_computes_what_the_model_computes(case):
    check(case, "verilator")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"lanes": 0},
            "The network does not fit any engine: lanes = 0 is no engine; use 1, 2, 4, 8, 16, 32, 64, 128 or 256.",
        ),
        (
            {"lanes": "8"},
            "The network does not fit any engine: lanes = '8' is no engine; use 1, 2, 4, 8, 16, 32, 64, 128 or 256.",
        ),
        ({"simulator": "modelsim"}, "There is no simulator 'modelsim'; use 'iverilog' or 'verilator'."),
    ],
)
def test_an_engine_or_simulator_that_does_not_exist_is_refused_in_a_sentence(arguments, sentence):
    case = random_network("dense", 0)
    with pytest.raises((ValueError, RuntimeError), match=f"^{re.escape(sentence)}$"):
        RtlModel(case.fixed, **arguments)(case.batch)


def test_what_is_no_quantised_network_or_no_batch_is_refused_in_a_sentence():
    case = random_network("dense", 0)
    with pytest.raises(TypeError, match=r"^the engine runs a quantised network, not a Sequential; quantize"):
        RtlModel(case.fixed.net)
    for x in (np.float64(0.5), np.zeros(3), np.zeros((0, 3))):
        sentence = f"the network takes a batch of samples, not an array of shape {x.shape}"
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            RtlModel(case.fixed)(x)


def test_both_simulators_give_the_same_words_and_cycles():
    case = random_network("sequence", 2)
    results = []
    for simulator in ("iverilog", "verilator"):
        rtl = RtlModel(case.fixed, lanes=case.lanes, simulator=simulator)
        results.append((rtl(case.batch).ints.tolist(), rtl.outcome))
    assert results[0] == results[1]
