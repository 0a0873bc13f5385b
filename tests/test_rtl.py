# SPDX-License-Identifier: MIT
"""The Verilog itself: random networks, word for word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from fixedpoint_nn import RtlModel
from fixedpoint_nn.hardware.schedule import schedule
from tests.random_networks import Random, networks, random_network

relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def check(case: Random, simulator: str) -> None:
    rtl = RtlModel(case.fixed, lanes=case.lanes, simulator=simulator)
    result, expected = rtl(case.batch), case.fixed(case.batch)
    assert result.format == expected.format
    assert np.array_equal(result.ints, expected.ints)
    lowered = rtl.lowered(case.batch.shape[1:])
    assert set(rtl.outcome.cycles) == {schedule(lowered.instructions, case.lanes).cycles}


@settings(relaxed, max_examples=25)
@given(networks())
def test_icarus_computes_what_the_model_computes(case):
    check(case, "iverilog")


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


def test_both_simulators_give_the_same_words_and_cycles():
    case = random_network("sequence", 2)
    results = []
    for simulator in ("iverilog", "verilator"):
        rtl = RtlModel(case.fixed, lanes=case.lanes, simulator=simulator)
        results.append((rtl(case.batch).ints.tolist(), rtl.outcome))
    assert results[0] == results[1]
