# SPDX-License-Identifier: MIT
"""Every layer under every number, one battery; then what is special about single layers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import Tensor, layers
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.serialization import load, save
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.numbers.fixed.array import FixedArray
from tests.support.battery import CASES, input_quantizer, quantized_case
from tests.support.finite_differences import worst_gradient_error

every_layer = pytest.mark.parametrize("name", CASES)


def fixed_input(name: str) -> FixedArray:
    case = CASES[name]
    return FixedArray.from_float(case.floats(), input_quantizer(case))


@every_layer
def test_gradient_equals_finite_differences(name: str) -> None:
    case = CASES[name]
    net = case.build(Initialiser(1, np.float64))
    x = Tensor(case.floats())
    leaves = list(parameters(net, trained_only=False).values()) + ([] if case.ids else [x])
    if name != "OneHot":
        assert worst_gradient_error(lambda: net(x), leaves) < 1e-7


@every_layer
@pytest.mark.parametrize("seed", range(3))
def test_fixed_equals_fake_quantised_float(name: str, seed: int) -> None:
    _, fake, fixed, _ = quantized_case(name, seed)
    x = fixed_input(name)
    integers, floats = fixed(x), fake(Tensor(x.to_float()))
    assert isinstance(integers, FixedArray)
    assert np.array_equal(integers.to_float(), floats.data)


@every_layer
def test_saved_and_loaded_is_equal(name: str, tmp_path: Path) -> None:
    net, fake, fixed, _ = quantized_case(name)
    x = fixed_input(name)
    for kind, model, data in (
        ("float", net, Tensor(x.to_float())),
        ("fake", fake, Tensor(x.to_float())),
        ("fixed", fixed, x),
    ):
        save(model, tmp_path / f"{kind}.safetensors")
        again = load(tmp_path / f"{kind}.safetensors")
        before, after = model(data), again(data)
        assert type(before) is type(after)
        assert np.array_equal(before.to_float(), after.to_float())
        if kind == "fixed":
            assert before.format == after.format


@every_layer
def test_the_batch_does_not_matter(name: str) -> None:
    _, _, fixed, _ = quantized_case(name)
    x = fixed_input(name)
    assert np.array_equal(fixed(x)[1:2].ints, fixed(x[1:2]).ints)


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith(("Conv", "LSTM", "GRU", "RNN", "Dense"))])
def test_every_product_of_a_layer_goes_through_its_accumulator(name: str) -> None:
    """An accumulator that is far too narrow changes the result."""
    _, _, exact, _ = quantized_case(name, 4)
    _, _, narrow, _ = quantized_case(name, 4, accumulators=True)
    x = fixed_input(name)
    assert not np.array_equal(exact(x).ints, narrow(x).ints)


def test_padding_same_gives_ceil_of_size_over_stride() -> None:
    for size in range(3, 9):
        for stride in (1, 2, 3):
            net = Initialiser().conv(1, 1, 3, stride, "same")
            assert net(Tensor(np.zeros((1, size, size, 1)))).shape[1] == -(-size // stride)


def test_max_pooling_never_lets_the_padding_win() -> None:
    x = Tensor(np.full((1, 2, 2, 1), -5.0))
    assert np.array_equal(layers.MaxPool2D((3, 3), (1, 1), 1)(x).data, x.data)


def test_average_pooling_counts_the_padding_as_zeros() -> None:
    x = Tensor(np.full((1, 2, 2, 1), 9.0))
    assert Initialiser(0, np.float64).avg_pool(3, 1, 1)(x).data[0, 0, 0, 0] == pytest.approx(4.0)


def test_a_recurrent_layer_goes_on_from_the_states_that_it_returned() -> None:
    net = Initialiser(3, np.float64).lstm(3, 4, depth=2)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 6, 3)))
    whole, _ = net.run(x)
    first, states = net.run(x[:, :2])
    second, _ = net.run(x[:, 2:], *states)
    assert np.array_equal(np.concatenate([first.data, second.data], 1), whole.data)


def test_a_cell_is_one_step_of_its_layer() -> None:
    for net in (
        Initialiser(3).rnn(3, 4),
        Initialiser(3).gru(3, 4),
        Initialiser(3).gru(3, 4, reset_after=True),
        Initialiser(3).lstm(3, 4),
    ):
        x = Tensor(np.random.default_rng(0).standard_normal((2, 1, 3)))
        states = net.initial(x)
        output, *_ = net.cells[0](x[:, 0], *states)
        assert np.allclose(output.data, net(x).data[:, 0], atol=1e-12)


def test_batch_normalisation_standardises_and_keeps_running_averages() -> None:
    from dataclasses import replace

    x = Tensor(np.random.default_rng(0).standard_normal((64, 5, 5, 3)) * [1, 2, 3] + [3, 2, 1])
    net = replace(Initialiser(0, np.float64).batch_norm(3), training=True)
    y = net(x)
    assert np.allclose(y.data.mean((0, 1, 2)), 0) and np.allclose(y.data.std((0, 1, 2)), 1, atol=1e-4)
    assert np.allclose(net.mean.data, 0.1 * x.data.mean((0, 1, 2)))
    assert np.allclose(net.variance.data, 0.9 + 0.1 * x.data.var((0, 1, 2)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: layers.LeakyReLU(0),
            "LeakyReLU(power=0) has no slope below 1; use 1 or more (slope 2**-power)",
        ),
        (lambda: layers.Dropout(1.0), "Dropout(rate=1.0) is not a probability below 1"),
        (
            lambda: Initialiser().conv(4, 6, groups=3),
            "4 channels into 6 do not divide into 3 groups",
        ),
        (
            lambda: Initialiser().conv(1, 1, 5, padding="valid")(Tensor(np.zeros((1, 3, 3, 1)))),
            "a window of 5 does not fit into 3 elements padded by 0 and 0; "
            "use a smaller kernel or more padding",
        ),
        (
            lambda: Initialiser().conv(1, 1, padding="full")(Tensor(np.zeros((1, 3, 3, 1)))),
            "padding 'full' is not known; "
            "use 'same', 'valid', a size, (y, x) or ((top, bottom), (left, right))",
        ),
        (
            lambda: Initialiser().conv(1, 1)(Tensor(np.zeros((3, 3)))),
            "an image batch has the shape (batch, height, width, channels), not (3, 3)",
        ),
        (
            lambda: Initialiser().dense(2, 2, "best"),
            "initialisation 'best' is not known; use one of random, xavier, he, orthogonal",
        ),
        (
            lambda: layers.Sequential(layers.ReLU(), relu=layers.ReLU()),
            "Sequential takes layers in order, or layers by name, not both",
        ),
        (lambda: layers.Sequential(a=layers.ReLU())["b"], "'there is no part 'b'; there are a'"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(make, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError, KeyError), match=re.escape(sentence.strip("'"))):
        make()
