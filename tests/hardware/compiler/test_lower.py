# SPDX-License-Identifier: MIT
"""The lowering against the engine's twin in Python: the same integers, and the predicted cycles."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import calibrate, layers, quantize
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler import scope as lower_module
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from tests.support.battery import CASES, quantized_case
from tests.support.random_graphs import random_graph
from tests.support.random_networks import KINDS, random_network

EIGHT_BITS = Q(2, 6)


def weights(*shape: int, format: QFormat = EIGHT_BITS, seed: int = 0) -> FixedArray:
    rng = np.random.default_rng(seed)
    return FixedArray.from_ints(rng.integers(format.int_min, format.int_max + 1, shape), format)


def on_the_twin(lowered: CompiledNetwork, batch: FixedArray) -> np.ndarray:
    """What the engine computes from the images, and in the cycles that were predicted."""
    plan = schedule(lowered.instructions, lowered.config.lanes)
    rows = []
    for sample in batch.ints.reshape(len(batch), -1):
        twin = Twin(lowered.config, lowered.images, lowered.input, sample)
        result = twin.run()
        assert (result.cycles, result.mac_cycles) == (plan.cycles, plan.mac_cycles)
        rows.append(twin.memory[lowered.output.addresses()])
    return np.array(rows)


def check(net, batch: FixedArray, lanes: int = 8) -> CompiledNetwork:
    lowered = lower(net, batch.shape[1:], batch.format, lanes)
    expected = net(batch)
    assert (lowered.output.shape, lowered.output.format) == (expected.shape[1:], expected.format)
    assert np.array_equal(on_the_twin(lowered, batch), expected.ints.reshape(len(batch), -1))
    return lowered


@pytest.mark.parametrize("lanes", [1, 2, 8])
@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_lowered_to_the_same_integers(name, lanes):
    *_, net, format = quantized_case(name, seed=lanes)
    check(net, FixedArray.from_float(CASES[name].floats(), Quantizer(format)), lanes)


def test_products_of_values_that_are_repeated_over_pixels_walk_in_step() -> None:
    """One loop nest reads both factors: a gate per channel stands still while the image moves on."""

    def net(x):
        gate = x[:, :1, :1].cast(Quantizer(Q(2, 6), name="gate"))
        return (x * gate + x * x[:, 1:2]).cast(Quantizer(Q(4, 4), name="sum"))

    for lanes in (1, 2, 8):
        check(
            net,
            FixedArray.from_ints(np.random.default_rng(0).integers(-99, 99, (3, 4, 5, 3)), Q(2, 6)),
            lanes,
        )


def test_another_order_in_too_many_pieces_is_refused_in_one_sentence():
    net = layers.Sequential(
        turned=layers.Transpose((0, 2, 1, 4, 3, 5)),
        shape=layers.Reshape((3600, 3)),
        mirrored=layers.Slice(1, None, None, -1),
    )
    with pytest.raises(LoweringError) as refusal:
        lower(net, (30, 30, 2, 2, 3), Q(2, 6))
    assert str(refusal.value) == (
        "Layer 'mirrored' does not fit the engine: it walks through a value of shape (1, 3600, 3) in another order "
        "in 900 pieces, and 512 is the most; move fewer axes at once."
    )


def test_random_graphs_are_lowered_to_the_same_integers_or_refused_in_a_sentence():
    refused = 0
    for seed in range(60):
        net, shape = random_graph(seed)
        x = np.random.default_rng(seed).standard_normal((4, *shape)).astype(np.float32)
        fixed = quantize(net, calibrate(net, x, (6, 8, 10)[seed % 3]))
        batch = FixedArray.from_float(x[:2], fixed.input)
        try:
            check(fixed.net, batch, (1, 2, 4, 8)[seed % 4])
        except LoweringError as refusal:
            assert str(refusal).startswith("Layer 'n") and "does not fit the engine: it" in str(refusal)
            refused += 1
    assert refused <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_are_lowered_to_the_same_integers(kind):
    for seed in range(12):
        case = random_network(kind, seed)
        check(case.fixed.net, case.batch, case.lanes)


def test_the_common_power_of_two_of_a_channel_goes_into_its_shift():
    ints = np.array([[3 << 5, 1], [-7 << 5, 5]])
    dense = layers.Dense(FixedArray.from_ints(ints, Q(4, 6)), out=Quantizer(Q(4, 4)))
    lowered = check(dense, weights(3, 2, format=Q(2, 6)))
    assert lowered.images.weights[:, :2].tolist() == [[3, 1], [-7, 5]]
    assert lowered.images.parameters[:, 0].tolist() == [3, 8]
    assert lowered.config.weight_width == 4


def test_a_bias_limits_what_a_channel_gives_to_its_shift():
    ints, bias = np.array([[32]]), np.array([8])
    dense = layers.Dense(
        FixedArray.from_ints(ints, Q(4, 6)), FixedArray.from_ints(bias, Q(0, 12)), out=Quantizer(Q(4, 4))
    )
    lowered = check(dense, weights(3, 1))
    assert lowered.images.parameters.tolist() == [[5, 1]]


def test_the_accumulator_is_as_wide_as_the_proven_bound_and_no_wider():
    ints = np.full((64, 1), -128)
    dense = layers.Dense(FixedArray.from_ints(ints, Q(2, 6)), out=Quantizer(Q(4, 4)))
    lowered = lower(dense, (64,), Q(2, 6))
    low, high = lowered.kernels[0].bound
    assert high == 64 * 128  # all weights have the factor 128 in common
    assert lowered.config.accumulator_width >= high.bit_length() + 1
    assert low == -64 * 127


def test_a_sequence_is_read_beside_the_state_without_a_copy():
    i = Initialiser(0, np.float64)
    *_, net, format = quantized_case("LSTM, last step")
    del i
    lowered = lower(net, (5, 3), format)
    assert len(lowered.kernels) == 2 + 7  # two states to zero; four gates, c, tanh(c), h


def test_barriers_stand_only_where_a_result_is_needed():
    *_, net, format = quantized_case("LSTM, last step")
    lowered = lower(net, (5, 3), format)
    gates = [kernel for kernel in lowered.kernels if kernel.table is not None and not kernel.vector]
    assert sum(kernel.barrier for kernel in gates) == 1


def test_memory_of_values_that_are_no_longer_needed_is_used_again():
    def chain(depth: int) -> layers.Sequential:
        return layers.Sequential(
            *(layers.Dense(weights(64, 64, seed=s), out=Quantizer(Q(4, 4))) for s in range(depth))
        )

    depths = [lower(chain(depth), (64,), Q(2, 6)).config.activation_depth for depth in (2, 3, 6)]
    assert depths[1] == depths[2]


@pytest.mark.parametrize(
    ("net", "shape", "sentence"),
    [
        (
            layers.Dense(weights(4, 3, format=Q(9, 23)), out=Quantizer(Q(30, 4), name="wide")),
            (4,),
            "Layer 'wide' does not fit the engine: its result Q(30, 4) needs words of 34 bits, and 31 "
            "is the most; "
            "cast it to 31 bits or fewer.",
        ),
        (
            layers.Dense(
                weights(4, 3, format=Q(2, 2)),
                weights(3, format=Q(1, 38)),
                out=Quantizer(Q(4, 4), name="fine bias"),
            ),
            (4,),
            "Layer 'fine bias' does not fit the engine: its weights, aligned, need 34 bits, and 32 is "
            "the most; give its "
            "operands fraction bits that differ by 2 less.",
        ),
        (
            layers.Sequential(
                a=layers.Dense(weights(2, 3), out=Quantizer(Q(4, 4), name="a")),
                b=layers.Dense(weights(3, 3, format=Q(-60, 66)), out=Quantizer(Q(4, 0), name="tiny")),
            ),
            (2,),
            "Layer 'tiny' does not fit the engine: it needs a right shift of 70 bits, and 63 is the most; "
            "use fewer fraction bits.",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(net, shape, sentence):
    with pytest.raises(LoweringError) as refusal:
        lower(net, shape, Q(2, 6))
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        (
            {"weight_depth": 8},
            "Layer 'b' does not fit the engine: the network needs 26 rows of weights and there are 8; "
            "an engine with weight_depth=26 would fit, or a layer with fewer channels.",
        ),
        (
            {"activation_width": 7},
            "Layer 'a' does not fit the engine: the network needs 8 bits for an activation and there are 7; "
            "an engine with activation_width=8 would fit, or a plan with narrower formats.",
        ),
        (
            {"activation_depth": 16},
            "Layer 'b' does not fit the engine: the network needs 40 words of activation memory and "
            "there are 16; "
            "an engine with activation_depth=40 would fit, or a layer with fewer channels.",
        ),
    ],
)
def test_a_network_that_is_too_large_for_an_engine_is_refused_in_one_sentence(limit, sentence):
    net = layers.Sequential(
        a=layers.Dense(weights(2, 8), out=Quantizer(Q(4, 4), name="a")),
        b=layers.Dense(weights(8, 20), out=Quantizer(Q(4, 4), name="b")),
    )
    with pytest.raises(LoweringError) as refusal:
        lower(net, (2,), Q(2, 6), engine=EngineConfig(**limit))
    assert str(refusal.value) == sentence


def test_a_network_runs_on_a_larger_engine_than_it_needs():
    net = layers.Dense(weights(6, 9), out=Quantizer(Q(4, 4)))
    lowered = lower(net, (6,), Q(2, 6), engine=EngineConfig(lanes=4))
    assert lowered.config == EngineConfig(lanes=4)
    x = weights(5, 6, seed=3)
    assert np.array_equal(on_the_twin(lowered, x), net(x).ints)


def test_every_refusal_goes_on_after_it():
    """A refusal ends "Layer 'x' does not fit the engine: it ...", so it begins with a verb."""
    texts = []
    for path in sorted(Path(lower_module.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "LoweringError":
                text = ast.unparse(node.args[0]).removeprefix("f")[1:]
                texts += [text] if text[0].islower() else []
    assert len(texts) > 20
    assert {text.split()[0] for text in texts} <= {
        "adds", "casts", "continues", "cuts", "has", "joins", "leaves", "loops", "multiplies", "needs", "rounds",
        "scales", "searches", "sums", "takes", "uses", "walks",
    }  # fmt: skip


def test_quantised_products_at_another_binary_point_than_their_accumulator_are_refused():
    accumulator = Accumulator(Q(6, 10), product=Quantizer(Q(3, 8)))
    net = layers.Dense(weights(4, 3), accumulator=accumulator, out=Quantizer(Q(4, 4), name="a"))
    with pytest.raises(LoweringError) as refusal:
        lower(net, (4,), Q(2, 6))
    assert str(refusal.value) == (
        "Layer 'a' does not fit the engine: it has an accumulator Q(6, 10) and products Q(3, 8) with "
        "different fraction bits, and the engine's have equal ones; make them equal."
    )


def test_two_modelled_accumulators_are_refused():
    def dense(bits: int, name: str) -> layers.Dense:
        return layers.Dense(
            weights(4, 4), out=Quantizer(Q(4, 4), name=name), accumulator=Accumulator(Q(bits, 12))
        )

    with pytest.raises(
        LoweringError, match=r"Layer 'b' does not fit .* differs from that of 'a', and one engine has one"
    ):
        lower(layers.Sequential(dense(6, "a"), dense(8, "b")), (4,), Q(2, 6))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
def test_every_rounding_and_overflow_reaches_the_engine(rounding, overflow):
    net = layers.Dense(weights(6, 9), weights(9), out=Quantizer(Q(2, 3), rounding, overflow))
    check(net, weights(8, 6, seed=1))


def test_an_unsigned_format_takes_one_bit_more_than_it_has():
    net = layers.Dense(weights(6, 9), out=Quantizer(UQ(4, 4)))
    assert check(net, weights(8, 6, format=Q(2, 2))).config.activation_width == 9
