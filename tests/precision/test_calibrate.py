# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import UQ, Q, Tensor, layers
from fixedpoint_nn.layers.fields import ACCUMULATOR, PARAMETER
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import walk
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.precision import Plan, Recipe, calibrate, observe, quantize
from fixedpoint_nn.precision.plan import INPUT
from tests.support.small_networks import NAMES, small_network


@pytest.mark.parametrize("name", NAMES)
def test_every_place_of_every_kind_of_network_has_an_entry(name: str) -> None:
    net, x = small_network(name)
    plan = calibrate(net, x)
    assert Plan.from_json(plan.to_json()) == plan
    places = [
        leaf.path
        for leaf in walk(quantize(net, plan).net)
        if leaf.kind != ACCUMULATOR and not (leaf.kind == PARAMETER and leaf.value is None)
    ]
    assert list(plan) == ["input", *places]


@pytest.mark.parametrize("name", NAMES)
def test_sixteen_bits_are_close_to_the_floats(name: str) -> None:
    net, x = small_network(name)
    exact = net(x if x.dtype.kind == "i" else Tensor(x)).data
    fixed = quantize(net, calibrate(net, x, word=16))(x).to_float()
    assert np.abs(fixed - exact).max() < 0.01 * np.abs(exact).max()


def test_a_relu_directly_behind_a_layer_rounds_once_and_without_a_sign() -> None:
    net, x = small_network("mlp")
    plan = calibrate(net, x)
    assert plan["fc1.out"] is None
    assert not plan.format("relu1.out").signed
    assert plan.format("relu1.out").bits == 8


def test_a_relu_behind_a_pool_is_done_by_the_cast_before_the_pool() -> None:
    net, x = small_network("cnn")
    plan = calibrate(net, x)
    assert plan["relu1.out"] is None
    assert not plan.format("conv1.out").signed


def test_a_cast_that_wraps_keeps_its_sign_before_a_relu_behind_a_pool() -> None:
    net, x = small_network("cnn")
    assert calibrate(net, x, overflow="wrap").format("conv1.out").signed


def test_a_leaky_relu_and_a_table_round_what_the_layer_before_left_exact() -> None:
    net, x = small_network("cnn")
    plan = calibrate(net, x)
    assert plan["conv2.out"] is None
    assert plan["leaky.out"] is not None
    net, x = small_network("residual")
    plan = calibrate(net, x)
    assert plan["fc.out"] is None
    assert plan.format("tanh.input").bits == 10
    assert plan["block.out"] is None
    assert not plan.format("relu.out").signed


def test_values_that_are_never_negative_have_no_sign_unless_asked() -> None:
    net, x = small_network("mlp")
    assert calibrate(net, x).format("input") == UQ(0, 8)
    assert calibrate(net, x, unsigned=False).format("input") == Q(1, 7)


def test_token_ids_have_a_format_of_whole_numbers_for_the_whole_vocabulary() -> None:
    net, x = small_network("lstm")
    assert calibrate(net, np.minimum(x, 3), word=5).format("input") == UQ(4, 0)


def test_a_table_has_the_format_of_its_function_and_an_address_of_two_bits_more() -> None:
    net, x = small_network("lstm")
    plan = calibrate(net, x)
    assert plan.format("cells.cells.0.sigmoid.table") == UQ(0, 8)
    assert plan.format("cells.cells.0.tanh.table") == Q(1, 7)
    assert plan.format("cells.cells.0.sigmoid.input").bits == 10
    assert calibrate(net, x, word=16).format("cells.cells.0.sigmoid.input").bits == 12
    assert calibrate(net, x, address_bits=6).format("cells.cells.0.sigmoid.input").bits == 6


def test_a_table_address_is_no_finer_than_the_value_that_arrives() -> None:
    net, x = small_network("lstm")
    plan = calibrate(net, x)
    assert (
        plan.format("cells.cells.0.cell_tanh.input").frac_bits <= plan.format("cells.cells.0.cell").frac_bits
    )


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", ["mlp", "lstm", "gru"])
def test_a_bias_is_as_fine_as_the_sum_that_it_joins(name: str, per_channel: bool) -> None:
    net, x = small_network(name)
    plan = calibrate(net, x, per_channel=per_channel)

    def fractions(path: str) -> Any:
        entry = plan[path]
        if isinstance(entry, ChannelQuantizer):
            return np.array([channel.format.frac_bits for channel in entry.channels])
        return entry.format.frac_bits

    if name == "mlp":
        sums = {"fc1": [("input", "weight")], "fc2": [("relu1.out", "weight")]}
    else:
        cell = "cells.cells.0"
        sums = {cell: [("embedding.weight", "input_weight"), (f"{cell}.state", "state_weight")]}
    for layer, products in sums.items():
        finest = np.max([fractions(x) + fractions(f"{layer}.{w}") for x, w in products], axis=0)
        assert np.array_equal(np.broadcast_to(fractions(f"{layer}.bias"), np.shape(finest)), finest)


def test_weights_may_have_a_binary_point_for_each_output() -> None:
    net, x = small_network("mlp")
    net["fc2"].weight.data[:, 1] /= 64
    plain, finer = calibrate(net, x), calibrate(net, x, per_channel=True)
    assert isinstance(finer["fc2.weight"], ChannelQuantizer)
    assert finer["fc2.weight"].shifts[1] == -4  # no more than 2**4 finer than the others
    exact = net["fc2"].weight.data[:, 1]
    errors = [
        np.abs(quantize(net, plan).net["fc2"].weight.to_float()[:, 1] - exact).max()
        for plan in (plain, finer)
    ]
    assert errors[1] < errors[0] / 8


def test_word_lengths_are_chosen_for_kinds_and_for_single_places() -> None:
    net, x = small_network("mlp")
    plan = calibrate(net, x, word=8, weight_bits=3, activation_bits=6, output_bits=10)
    assert [plan.format(path).bits for path in ("input", "fc1.weight", "relu1.out", "fc2.out")] == [
        6,
        3,
        6,
        10,
    ]
    seen = observe(net, x)
    assert seen.plan(Recipe(8), {"fc1.weight": 2}).format("fc1.weight").bits == 2


def test_integer_and_fraction_bits_may_be_the_same_everywhere() -> None:
    net, x = small_network("mlp")
    plan = calibrate(net, x, word=8, int_bits=3)
    assert plan.format("fc1.weight") == Q(3, 5)
    assert plan.format("relu1.out") == UQ(2, 6)
    plan = calibrate(net, x, frac_bits=4)
    places = ("input", "fc1.weight", "relu1.out", "fc2.weight", "fc2.out")
    assert {plan.format(path).frac_bits for path in places} == {4}


def test_modes_of_the_recipe_stand_at_every_cast_point() -> None:
    net, x = small_network("mlp")
    plan = calibrate(net, x, rounding="floor", overflow=Overflow.WRAP)
    chosen = plan["fc2.out"]
    assert isinstance(chosen, Quantizer)
    assert (chosen.rounding, chosen.overflow) == (Rounding.FLOOR, Overflow.WRAP)


def test_a_modelled_accumulator_stands_at_the_products_binary_point() -> None:
    net, x = small_network("mlp")
    plan = calibrate(net, x, accumulator=20, accumulator_overflow="saturate")
    chosen = plan["fc1.accumulator"]
    assert isinstance(chosen, Accumulator)
    assert chosen.format.bits == 20
    fractions = plan.format("input").frac_bits + plan.format("fc1.weight").frac_bits
    assert chosen.format.frac_bits == fractions
    assert chosen.overflow is Overflow.SATURATE


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"word": 0}, ValueError, "word of 0 bits is not possible; use 1 to 32"),
        ({"word": 8.0}, TypeError, "word is a number of bits, not 8.0"),
        ({"address_bits": 17}, ValueError, "address_bits of 17 bits is not possible; use 1 to 16"),
        (
            {"method": "best"},
            ValueError,
            "method 'best' is not known; use one of max, percentile, least_error",
        ),
        ({"rounding": 3}, TypeError, "rounding is a Rounding, not 3"),
        ({"percentile": 40}, ValueError, "percentile 40 is not in 50..100"),
    ],
)
def test_a_wrong_recipe_is_answered_with_a_sentence(
    options: Any, error: type[Exception], sentence: str
) -> None:
    net, x = small_network("mlp")
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        calibrate(net, x, **options)


def test_no_samples_is_answered_with_a_sentence() -> None:
    net, x = small_network("mlp")
    sentence = "calibration needs samples, and there are none in an array of shape (0, 6)"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        calibrate(net, x[:0])


def test_calibration_leaves_the_network_as_it_was() -> None:
    make = Initialiser(0)
    net = layers.Sequential(fc=make.dense(4, 3), bn=make.batch_norm(3))
    before = [leaf.value.data.copy() for leaf in walk(net) if leaf.kind == PARAMETER]
    calibrate(net, np.random.default_rng(0).random((10, 4)))
    after = [leaf.value.data for leaf in walk(net) if leaf.kind == PARAMETER]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "normalised"])
def test_the_way_of_the_input_is_seen(name: str) -> None:
    """How fine a sum is follows from what goes into it, so the samples must be on the tape themselves."""
    net, x = small_network(name)
    seen = observe(net, x)
    assert INPUT in {node.label for node in seen.flow.nodes.values()}
