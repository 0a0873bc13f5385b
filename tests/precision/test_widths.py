# SPDX-License-Identifier: MIT
"""Widths learned by gradient: what they cost, and what they are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Q, Quantizer, RtlModel, Tensor, layers
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.precision import Recipe, observe
from fixedpoint_nn.precision.cost import bit_operations
from fixedpoint_nn.precision.learning import LearningState
from fixedpoint_nn.precision.price import MEMORY, Price, price_of
from fixedpoint_nn.precision.qat import own_weights
from fixedpoint_nn.precision.widths import LearnedFront, learn_widths
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.loop import fit
from fixedpoint_nn.training.methods.method import Place
from fixedpoint_nn.training.methods.rounder import SPEED
from fixedpoint_nn.training.methods.widths import LearnedWidth, LearnedWidths
from fixedpoint_nn.training.optimisers import Adam
from tests.precision.test_qat import two_spirals
from tests.support.small_networks import NAMES, small_network


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


@pytest.fixture(scope="module", params=["layer", "channel"])
def learned(request: pytest.FixtureRequest) -> tuple[LearnedFront, Any, Any]:
    net, x, y = spirals()
    found = learn_widths(
        net,
        (x, y),
        Samples(x, y, 32),
        epochs=12,
        per=request.param,
        optimiser=Adam(5e-3),
        progress=False,
    )
    return found, x, y


@pytest.mark.parametrize("name", NAMES)
def test_the_price_of_a_plan_is_its_bit_operations(name: str) -> None:
    net, x = small_network(name)
    seen = observe(net, x)
    plan = seen.plan(Recipe(5))
    assert int(price_of(seen, plan)) == bit_operations(seen, plan)
    assert price_of(seen, seen.plan(Recipe(4))) < price_of(seen, plan)


@pytest.mark.parametrize("price", ["bit_operations", MEMORY])
@pytest.mark.parametrize("per", ["layer", "channel"])
def test_the_price_falls_as_its_gradient_says(price: str, per: str) -> None:
    net, x, _ = spirals()
    master = own_weights(fold(net), np.float64)
    seen = observe(master, x[:100])
    plan = seen.plan(Recipe(8))
    network = LearningState(master, plan, LearnedWidths(per), seen, frozenset()).network(0)
    network(Tensor(x[:10].astype(np.float64)))  # ranges follow the weights
    paid = Price.of(seen, plan, network, price)
    before, slopes = paid.now(), paid.slopes()
    assert set(slopes) >= {"fc1.weight", "fc2.weight", "fc3.weight"}
    rounder = paid.widths["fc2.weight"]
    paid.tensor(2.0).backward()
    assert np.isclose(rounder.exponent.grad.sum(), -2 * SPEED * slopes["fc2.weight"])
    assert np.isclose(rounder.limit.grad.sum(), 2 * SPEED * slopes["fc2.weight"])
    rounder.exponent.data += 1 / SPEED  # one bit less in every channel
    assert np.isclose(paid.now() - before, -slopes["fc2.weight"])


def test_a_width_is_what_its_entry_has() -> None:
    net, x, _ = spirals()
    seen = observe(net, x)
    network = LearningState(net, seen.plan(Recipe(6)), LearnedWidths(), seen, frozenset()).network(0)
    network(Tensor(x[:10]))
    for path, rounder in network.rounders().items():
        assert isinstance(rounder, LearnedWidth)
        entry: Any = rounder.entry()
        width = getattr(entry, "quantizer", entry).format.bits
        assert width == rounder.bits().max(), path


def test_what_is_clipped_moves_the_limit_and_what_is_rounded_the_step() -> None:
    rounder: Any = LearnedWidths().rounder(
        Place("a", Quantizer(Q(1, 1))), Quantizer(Q(1, 1))
    )  # -1..1/2 in halves
    x = Tensor(np.array([0.2, -0.3, 3.0, -5.0]))
    rounder(x).backward(np.array([1.0, 10.0, 100.0, 1000.0]))
    assert np.array_equal(x.grad, [1, 10, 0, 0])
    unit = 0.5 * np.log(2) * SPEED
    assert np.isclose(rounder.exponent.grad[0], (1 * (0 - 0.4) + 10 * (-1 + 0.6)) * unit)
    assert np.isclose(rounder.limit.grad[0], (100 * 1 + 1000 * -2) * unit)


def test_a_channel_narrower_than_its_words_is_clipped_at_its_own_limits() -> None:
    entry = ChannelQuantizer(Quantizer(Q(1, 2)), (0, 0))
    place = Place("w", entry, np.zeros((3, 2)))
    rounder: Any = LearnedWidths().rounder(place, entry)
    rounder.limit.data[1] -= 1 / SPEED
    values = np.array([[0.9, 0.9], [-0.9, -0.9], [0.3, 0.3]])
    assert np.array_equal(rounder(Tensor(values)).data, [[0.75, 0.25], [-1, -0.5], [0.25, 0.25]])
    assert list(rounder.bits()) == [3, 2]
    assert np.array_equal(rounder.entry().round_floats(rounder.settled(values)), rounder(Tensor(values)).data)


def test_one_run_leaves_a_front_from_many_bits_to_few(learned: tuple[LearnedFront, Any, Any]) -> None:
    found, _, _ = learned
    assert len(found.tried) == 12
    prices = [candidate.price for candidate in found.front]
    losses = [candidate.loss for candidate in found.front]
    assert prices == sorted(prices)
    assert losses == sorted(losses, reverse=True)
    assert found.tried[-1].price < 0.5 * found.start_price
    assert min(losses) < 3
    assert 0.3 < found.hypervolume(found.start_price, 25) < 1


def test_every_candidate_is_what_its_integers_compute(learned: tuple[LearnedFront, Any, Any]) -> None:
    found, x, y = learned
    for candidate in found.front:
        right = (candidate.fixed(x).ints.argmax(-1) == y).mean()
        assert candidate.metric == right
    assert len({candidate.plan.to_json() for candidate in found.tried}) > 3


def test_a_network_of_learned_widths_runs_in_the_verilog(learned: tuple[LearnedFront, Any, Any]) -> None:
    found, x, _ = learned
    fixed = found.front[0].fixed
    assert np.array_equal(RtlModel(fixed, lanes=4)(x[:20]).ints, fixed(x[:20]).ints)


def test_finishing_keeps_the_widths_and_betters_the_network() -> None:
    net, x, y = spirals()
    options: dict[str, Any] = {
        "epochs": 5,
        "optimiser": Adam(5e-3),
        "pressure": (0.3, 3.0),
        "progress": False,
    }
    plain = learn_widths(net, (x, y), Samples(x, y, 32), **options)
    finished = learn_widths(net, (x, y), Samples(x, y, 32), finish=8, **{**options, "optimiser": Adam(5e-3)})
    prices = {candidate.price for candidate in plain.front}
    assert {candidate.price for candidate in finished.front} <= prices
    assert finished.hypervolume(plain.start_price, 25) > plain.hypervolume(plain.start_price, 25)
    for candidate in finished.front:
        assert candidate.metric == (candidate.fixed(x).ints.argmax(-1) == y).mean()


def test_wrong_wishes_are_sentences() -> None:
    net, x, y = spirals()
    source = Samples(x, y, 100)
    with pytest.raises(ValueError, match="widths are learned per layer or per channel, not per 'weight'"):
        learn_widths(net, (x, y), source, epochs=1, per="weight", progress=False)
    with pytest.raises(ValueError, match="price 'luts' is not known; use one of bit_operations, memory"):
        learn_widths(net, (x, y), source, epochs=1, price="luts", progress=False)
    with pytest.raises(ValueError, match="pressure \\(3, 1\\) is two numbers above 0"):
        learn_widths(net, (x, y), source, epochs=1, pressure=(3, 1), progress=False)
