# SPDX-License-Identifier: MIT
"""Every method of training for few bits ends in a network that the engine runs bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Q, RtlModel, Tensor, emit, layers
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision import calibrate, fake_quantize, quantize, train_quantized
from fixedpoint_nn.precision.cost import word_bits
from fixedpoint_nn.precision.learning import LearningState
from fixedpoint_nn.precision.qat import own_weights
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.loop import fit
from fixedpoint_nn.training.methods import METHODS, Place, joined
from fixedpoint_nn.training.methods.rounder import Rounder
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from tests.precision.test_qat import two_spirals
from tests.support.small_networks import NAMES, small_network

JOINED = [*METHODS, "lsq+distillation", "binary+lsq+progressive", "lsq+stochastic+moments"]


@pytest.fixture(scope="module")
def spirals() -> tuple[Any, Any, Any]:
    x, y = two_spirals()
    make = Initialiser(0)
    net = layers.Sequential(
        fc1=make.dense(2, 24),
        relu1=layers.ReLU(),
        fc2=make.dense(24, 24),
        relu2=layers.ReLU(),
        fc3=make.dense(24, 2),
    )
    fit(net, Samples(x, y, 32), epochs=60, optimiser=Adam(1e-2), progress=False)
    return net, x, y


def trained(
    spirals: tuple[Any, Any, Any], method: str, bits: int = 2, epochs: int = 8, plan: Any = None
) -> Any:
    net, x, y = spirals
    return train_quantized(
        net,
        plan or calibrate(net, x, word=bits, per_channel=True),
        Samples(x, y, 32),
        epochs=epochs,
        method=method,
        optimiser=Adam(5e-3),
        schedule=cosine(),
        progress=False,
        score=lambda fixed: classification(fixed, x, y),
    )


@pytest.mark.parametrize("method", JOINED)
def test_what_a_method_trains_is_what_its_plan_and_weights_compute(
    method: str, spirals: tuple[Any, Any, Any]
) -> None:
    _, x, y = spirals
    result = trained(spirals, method, epochs=4)
    again = quantize(result.net, result.plan)
    assert np.array_equal(again(x).ints, result.fixed(x).ints)
    assert len(result.history) == 4
    assert result.history.last()["accuracy"] == classification(result.fixed, x, y)["accuracy"]
    fake = fake_quantize(own_weights(result.net, np.float64), result.plan)(Tensor(x.astype(np.float64)))
    assert np.array_equal(fake.data, result.fixed(x).to_float())


@pytest.mark.parametrize("method", ["lsq", "pact", "binary", "binary-activations+lsq"])
def test_the_network_in_training_computes_what_the_integers_do(
    method: str, spirals: tuple[Any, Any, Any]
) -> None:
    net, x, y = spirals
    plan = calibrate(net, x, word=2, per_channel=True)
    course = LearningState.of(own_weights(net, np.float64), plan, joined(method), x[:2])
    network = course.network(0)
    fit(network, Samples(x, y, 32), epochs=2, optimiser=Adam(5e-3), progress=False)
    fixed = quantize(network.settled(), course.learned(network, 0))
    assert np.array_equal(network(Tensor(x.astype(np.float64))).data, fixed(x).to_float())


@pytest.mark.parametrize("method", JOINED)
def test_no_method_uses_more_bits_than_it_was_given(method: str, spirals: tuple[Any, Any, Any]) -> None:
    result = trained(spirals, method, epochs=2)
    for place in ("input", "fc1.weight", "relu1.out", "fc2.weight", "relu2.out", "fc3.weight"):
        assert word_bits(result.plan, place) <= 2
        entry = result.plan[place]
        steps = entry.step if isinstance(entry, ChannelQuantizer) else [entry.step]  # type: ignore[union-attr]
        assert np.array_equal(np.exp2(np.rint(np.log2(steps))), steps)


def test_learned_steps_widen_a_range_that_is_too_small(spirals: tuple[Any, Any, Any]) -> None:
    net, x, y = spirals
    plan = calibrate(net, x, word=2, per_channel=True)
    small = plan.changed({path: a_quarter(plan[path]) for path in ("fc1.weight", "fc2.weight", "fc3.weight")})
    loss = {
        method: classification(trained(spirals, method, plan=small).fixed, x, y)["loss"]
        for method in ("straight-through", "lsq")
    }
    assert loss["lsq"] < loss["straight-through"] - 0.1


def a_quarter(entry: Any) -> ChannelQuantizer:
    """The entry with steps, and so a range, of a quarter."""
    base, f = entry.quantizer, entry.quantizer.format
    return ChannelQuantizer(replace(base, format=Q(f.int_bits - 2, f.frac_bits + 2)), entry.shifts)


@pytest.mark.parametrize(("turned", "frozen"), [(range(64, 70), 0), (range(55, 70), 1), (range(20, 50), 0)])
def test_a_step_that_moves_to_and_fro_is_frozen_where_it_was_most_of_the_time(
    turned: range, frozen: int, spirals: tuple[Any, Any, Any]
) -> None:
    net, x, _ = spirals
    plan = calibrate(net, x, word=2, per_channel=True)
    network = LearningState.of(own_weights(net), plan, METHODS["lsq"], x[:2]).network(0)
    rounder, schedule = network.rounders()["relu1.out"], network.settling(cosine())
    first = rounder.powers().copy()
    for batch in range(70):
        rounder.held.data[...] = first + (batch in turned)
        assert schedule(batch / 100) == cosine()(batch / 100)
        assert rounder.exponent.needs_gradient
    schedule(0.7)
    assert not rounder.exponent.needs_gradient
    assert np.array_equal(rounder.powers(), first + frozen)


def test_learned_steps_move(spirals: tuple[Any, Any, Any]) -> None:
    net, x, _ = spirals
    before, after = calibrate(net, x, word=2, per_channel=True), trained(spirals, "lsq").plan
    assert any(before[path] != after[path] for path in ("fc1.weight", "fc2.weight", "fc3.weight"))
    assert any(before[path] != after[path] for path in ("input", "relu1.out", "relu2.out"))
    same = trained(spirals, "straight-through").plan
    assert same == before


@pytest.mark.parametrize(("method", "values"), [("binary", {-1, 1}), ("ternary", {-1, 0, 1})])
def test_binary_and_ternary_weights_have_so_many_values(
    method: str, values: set[int], spirals: tuple[Any, Any, Any]
) -> None:
    result = trained(spirals, f"{method}+lsq")
    for path in ("fc1.weight", "fc2.weight", "fc3.weight"):
        entry = result.plan[path]
        assert isinstance(entry, ChannelQuantizer)
        codes = entry.round_floats(parameters(result.net)[path].data) / entry.step
        assert set(np.unique(codes)) <= values
        assert {-1, 1} <= set(np.unique(codes))


def test_binary_activations_are_zero_or_one_step(spirals: tuple[Any, Any, Any]) -> None:
    plan = trained(spirals, "binary-activations+lsq").plan
    assert word_bits(plan, "relu1.out") == word_bits(plan, "relu2.out") == 1
    assert word_bits(plan, "fc3.out") == 8


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_layer_trains_with_learned_steps(name: str) -> None:
    net, x = small_network(name, np.float32)
    labels = np.random.default_rng(0).integers(0, 3, (len(x), *net(x).shape[1:-1]))
    plan = calibrate(net, x, word=3)
    result = train_quantized(
        net, plan, Samples(x, labels, 10), epochs=2, method="lsq+distillation+moments", progress=False
    )
    again = quantize(result.net, result.plan)
    assert np.array_equal(again(x).ints, result.fixed(x).ints)
    assert {path for path, entry in result.plan.items() if entry is None} == {
        path for path, entry in plan.items() if entry is None
    }


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_few_bits_that_were_learned_run_in_the_verilog(bits: int, spirals: tuple[Any, Any, Any]) -> None:
    _, x, _ = spirals
    fixed = trained(spirals, "lsq+distillation", bits, epochs=2).fixed
    assert np.array_equal(RtlModel(fixed, lanes=4)(x[:20]).ints, fixed(x[:20]).ints)


def test_two_learned_bits_are_emitted_and_verified(spirals: tuple[Any, Any, Any], tmp_path: Any) -> None:
    _, x, _ = spirals
    pack = emit(trained(spirals, "lsq", 2, epochs=2).fixed, x[:4], tmp_path / "pack", lanes=4)
    assert verify(pack).passed


@pytest.mark.parametrize("method", ["binary-activations+lsq", "ternary+lsq"])
def test_binary_and_ternary_networks_run_in_the_verilog(method: str, spirals: tuple[Any, Any, Any]) -> None:
    _, x, _ = spirals
    fixed = trained(spirals, method, epochs=2).fixed
    assert np.array_equal(RtlModel(fixed, lanes=4)(x[:20]).ints, fixed(x[:20]).ints)


def test_training_with_a_plan_that_rounds_otherwise_is_refused(spirals: tuple[Any, Any, Any]) -> None:
    net, x, y = spirals
    plan = calibrate(net, x, word=4, overflow="wrap")
    with pytest.raises(ValueError, match="a step is learned for HALF_EVEN and SATURATE"):
        train_quantized(net, plan, Samples(x, y, 32), epochs=1, method="lsq", progress=False)


def test_an_interrupted_stage_goes_on_to_the_same_steps(spirals: tuple[Any, Any, Any], tmp_path: Any) -> None:
    net, x, y = spirals
    plan = calibrate(net, x, word=2)

    def run(epochs: int, name: str) -> Any:
        return train_quantized(
            net,
            plan,
            Samples(x, y, 50),
            epochs=epochs,
            method="lsq",
            progress=False,
            checkpoint=tmp_path / name,
        )

    whole = run(4, "whole")
    run(2, "cut")
    assert run(4, "cut").plan == whole.plan


def test_a_plan_keeps_its_quantizers_where_nothing_is_learned(spirals: tuple[Any, Any, Any]) -> None:
    result = trained(spirals, "pact")
    assert all(isinstance(result.plan[path], Quantizer) for path in ("relu1.out", "relu2.out"))


@pytest.mark.parametrize(("name", "learned"), [("lsq", True), ("lsq-fixed-input", False)])
def test_steps_of_values_and_weights_are_learned_and_that_of_the_input_if_it_is_not_fixed(
    name: str, learned: bool
) -> None:
    entry, lsq = Quantizer(Q(1, 3)), METHODS[name]
    assert isinstance(lsq.rounder(Place("relu.out", entry), entry), Rounder)
    assert isinstance(lsq.rounder(Place("fc.weight", entry, np.ones((2, 2))), entry), Rounder)
    assert isinstance(lsq.rounder(Place("input", entry, input=True), entry), Rounder) == learned
    net, x = small_network("mlp")
    seen = LearningState.of(own_weights(net), calibrate(net, x, word=3), lsq, x)
    assert ("input" in seen.network(0).rounders()) == learned
