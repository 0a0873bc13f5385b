# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, Tensor, calibrate, data, layers, quantize, zoo
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import parameters, rebuild
from fixedpoint_nn.precision import Plan, PlanError, fake_quantize
from fixedpoint_nn.precision.equalise import equalised, pairs, scales
from fixedpoint_nn.precision.qat import own_weights, train_quantized
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from tests.support.small_networks import NAMES, small_network


def conv_net() -> tuple[Any, Any]:
    make, rng = Initialiser(1), np.random.default_rng(1)
    net = layers.Sequential(
        conv1=make.conv(1, 6),
        relu1=layers.ReLU(),
        pool=layers.MaxPool2D(),
        conv2=make.conv(6, 8),
        relu2=layers.ReLU(),
        average=make.avg_pool(2),
        flatten=layers.Flatten(),
        fc=make.dense(8 * 9, 5),
    )
    for value in parameters(net).values():  # channels of different ranges
        if value.ndim == 2:
            value.data *= rng.uniform(0.2, 1.5, value.shape[-1]).astype(np.float32)
    smooth = rng.random((300, 12, 12, 1)).cumsum(1).cumsum(2) / 80
    return net, smooth.astype(np.float32)


def error(net: Any, plan: Plan, x: Any) -> float:
    exact = net(Tensor(x)).data
    return float(np.square(quantize(net, plan)(x).to_float() - exact).mean())


@pytest.mark.parametrize("word", [3, 4, 6])
def test_the_best_effort_keeps_the_outputs_closer_than_the_fast_one(word: int) -> None:
    net, x = conv_net()
    fast = calibrate(net, x[:200], word=word, per_channel=True)
    best = calibrate(net, x[:200], word=word, effort="best")
    assert error(net, best, x[200:]) < 0.8 * error(net, fast, x[200:])  # on samples that it has not seen


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gru"])
def test_the_best_effort_takes_every_kind_of_layer_and_floats_equal_the_integers(name: str) -> None:
    net, x = small_network(name)
    plan = calibrate(net, x, word=4, effort="best")
    fake = fake_quantize(net, plan)(x if x.dtype.kind == "i" else Tensor(x))
    assert np.array_equal(fake.data, quantize(net, plan)(x).to_float())


def test_a_plan_with_weights_survives_its_file(tmp_path: Any) -> None:
    net, x = conv_net()
    plan = calibrate(net, x, word=4, effort="best")
    plan.save(tmp_path / "plan.json")
    again = Plan.load(tmp_path / "plan.json")
    assert again == plan
    assert again.weights.keys() == parameters(fold(net), trained_only=False).keys()
    assert np.array_equal(quantize(net, again)(x).ints, quantize(net, plan)(x).ints)
    assert again != Plan(plan.entries)


def test_the_float_network_is_left_alone() -> None:
    net, x = conv_net()
    before = {path: value.data.copy() for path, value in parameters(net).items()}
    calibrate(net, x, word=4, effort="best")
    assert all(np.array_equal(value.data, before[path]) for path, value in parameters(net).items())


def test_the_weights_of_a_plan_are_on_its_grid_so_that_quantising_rounds_nothing() -> None:
    net, x = conv_net()
    plan = calibrate(net, x, word=4, effort="best")
    values = parameters(fake_quantize(net, plan).net, trained_only=False)
    for path in ("conv1.weight", "conv2.weight", "fc.weight"):
        entry: Any = plan[path]
        assert np.array_equal(entry.round_floats(values[path].data), values[path].data)


def test_what_the_best_effort_gives_runs_in_the_verilog() -> None:
    net, x = conv_net()
    fixed = quantize(net, calibrate(net, x, word=4, effort="best"))
    assert np.array_equal(RtlModel(fixed, lanes=4)(x[:2]).ints, fixed(x[:2]).ints)


def test_training_may_go_on_from_the_best_effort() -> None:
    net, x = conv_net()
    plan = calibrate(net, x, word=3, effort="best")
    labels = np.random.default_rng(0).integers(0, 5, len(x))
    result = train_quantized(net, plan, Samples(x, labels, 50), epochs=1, method="lsq", progress=False)
    assert not result.plan.weights
    assert np.array_equal(quantize(result.net, result.plan)(x).ints, result.fixed(x).ints)


def test_equalising_keeps_what_the_network_computes() -> None:
    net, x = conv_net()
    assert list(pairs(net)) == [("conv1", "conv2"), ("conv2", "fc")]
    wide, x = own_weights(net, np.float64), x.astype(np.float64)
    found = equalised(wide, x, 4)
    other = rebuild(wide, {path: Tensor(values) for path, values in found.items()})
    assert not np.array_equal(found["conv1.weight"], parameters(wide)["conv1.weight"].data)
    assert np.allclose(wide(Tensor(x)).data, other(Tensor(x)).data, rtol=1e-12, atol=1e-12)


def test_a_scaled_channel_is_rounded_as_well_as_with_a_step_of_its_own() -> None:
    rng = np.random.default_rng(2)
    values = np.maximum(rng.normal(0, 1, (4000, 6)), 0) * np.array([0.3, 0.5, 0.7, 1, 1.3, 0])

    def error(x: Any, step: float) -> Any:
        return np.square(np.clip(np.rint(x / step), 0, 15) * step - x).mean(0)

    factor = scales(values, 16)
    each = np.array(
        [min(error(values, step)[i] for step in np.exp2(np.arange(-8, 1, 0.05))) for i in range(6)]
    )
    shared = min((error(values * factor, step) / factor**2 for step in np.exp2(np.arange(-8.0, 1))), key=sum)
    assert factor[5] == 1
    assert (shared <= 1.1 * each).all()
    assert error(values, 2.0**-3).sum() > 2 * shared.sum()


def test_an_effort_that_is_not_known_is_a_sentence() -> None:
    net, x = small_network("mlp")
    with pytest.raises(ValueError) as refused:
        calibrate(net, x, effort="most")
    assert str(refused.value) == "effort 'most' is not known; use 'fast' or 'best'"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"weights": 3}', "the weights of the plan are an object of paths and texts, not 3"),
        (
            '{"weights": {"a": "float32 2x2 AAAA"}}',
            "'a' of the plan is impossible: its weights are damaged",
        ),
        (
            '{"weights": {"a": "int8 2 x"}}',
            "'a' of the plan is impossible: its weights begin with 'int8 2 x', not with a kind and a shape",
        ),
        (
            '{"weights": {"a": "float64 99999x99999 x"}}',
            "'a' of the plan is impossible: its weights of shape 99999x99999 are larger than 268435456 bytes",
        ),
    ],
)
def test_weights_that_are_none_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(PlanError) as refused:
        Plan.from_json(text)
    assert str(refused.value) == sentence


def test_weights_of_another_network_are_refused() -> None:
    net, x = conv_net()
    plan = calibrate(net, x, word=4, effort="best")
    other, _ = small_network("cnn", np.float32)
    with pytest.raises(PlanError, match=r"the plan carries weights for 'conv1\.weight' of shape"):
        quantize(other, plan)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [("fashion_mlp", 0.6), ("lenet", 0.3), ("resnet8", 2.0)])
def test_four_bits_after_training_lose_no_more(name: str, most: float, real: Any) -> None:
    x, y = real(data.fashion_mnist)[1].x, real(data.fashion_mnist)[1].y
    net = zoo.load(name)
    plan = calibrate(net, zoo.samples(name, 3000, "train"), word=4, effort="best")
    exact = classification(net, x, y)["accuracy"]
    assert 100 * (exact - classification(quantize(net, plan), x, y)["accuracy"]) <= most
