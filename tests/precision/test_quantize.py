# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn import Q, Quantizer
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.precision import Plan, PlanError, calibrate, quantize
from tests.support.small_networks import small_network


def test_parameters_become_integers_of_the_plans_formats() -> None:
    net, x = small_network("mlp")
    plan = calibrate(net, x)
    fixed = quantize(net, plan)
    assert fixed.net["fc1"].weight.format == plan.format("fc1.weight")
    expected = plan["fc1.weight"].from_floats(net["fc1"].weight.data)
    assert np.array_equal(fixed.net["fc1"].weight.ints, expected)


def test_batch_normalisation_is_folded_first() -> None:
    net, x = small_network("normalised")
    fixed = quantize(net, calibrate(net, x))
    assert list(fixed.net.parts) == ["conv", "relu", "gap"]


def test_the_ledger_names_every_cast_by_its_path() -> None:
    net, x = small_network("lstm")
    plan = calibrate(net, x)
    with OverflowStats() as ledger:
        quantize(net, plan)(x)
    casts = {path for path in ledger if "weight" not in path and "bias" not in path}
    tables = {path for path in plan if path.endswith(".table")}
    parameters = {path for path in plan if path.endswith(("weight", "bias"))}
    assert casts | {"input"} == set(plan) - tables - parameters


def plan_and_net() -> tuple[Plan, object]:
    net, x = small_network("residual")
    return calibrate(net, x), net


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"fc.weight": "missing"},
            "the plan has no entry for 'fc.weight'; calibrate the network again or add it",
        ),
        (
            {"fc.weight": "missing", "input": "missing"},
            "the plan has no entry for 'input' (and 1 more); calibrate the network again or add it",
        ),
        (
            {"fc.wieght": Quantizer(Q(1, 7))},
            "the plan has an entry for 'fc.wieght', which is no place of this network; "
            "did you mean 'fc.weight'?",
        ),
        (
            {"zzz": None},
            "the plan has an entry for 'zzz', which is no place of this network; remove it",
        ),
        (
            {"fc.weight": None},
            "'fc.weight' of the plan is impossible: null keeps every bit, and the parameter needs a format",
        ),
        (
            {"tanh.input": None},
            "'tanh.table' of the plan is impossible: "
            "its table is addressed by 'tanh.input', which needs a format",
        ),
        (
            {"tanh.input": Quantizer(Q(4, 16))},
            "'tanh.table' of the plan is impossible: 'tanh.input' gives it 20 address bits, "
            "and a table has at most 16",
        ),
        (
            {"fc.out": ChannelQuantizer(Quantizer(Q(1, 7)), (0, 1, 2))},
            "'fc.out' of the plan is impossible: "
            "only parameters have a format for each channel, not the cast",
        ),
        (
            {"fc.weight": ChannelQuantizer(Quantizer(Q(1, 7)), (0, 1))},
            "'fc.weight' of the plan is impossible: it has 2 channels, and the parameter's shape is (6, 3)",
        ),
        (
            {"fc.out": Accumulator(Q(4, 4))},
            "'fc.out' of the plan is impossible: an accumulator stands where a quantizer is needed (cast)",
        ),
        (
            {"fc.accumulator": Quantizer(Q(4, 4))},
            "'fc.accumulator' of the plan is impossible: an accumulator is written as an accumulator",
        ),
    ],
)
def test_a_plan_that_does_not_fit_is_answered_with_a_sentence(
    change: dict[str, object], sentence: str
) -> None:
    plan, net = plan_and_net()
    changed = {path: entry for path, entry in {**plan, **change}.items() if entry != "missing"}
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        quantize(net, Plan(changed))
