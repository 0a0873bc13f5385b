# SPDX-License-Identifier: MIT
"""A float network takes an array and gives an array; every mistake on the way is one sentence with the way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor, calibrate, emit, quantize, zoo
from fixedpoint_nn.layers import Conv2D, Dense, Flatten, ReLU, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training import cross_entropy
from tests.support.small_networks import NAMES, small_network

INIT = Initialiser(0)


def images(channels: int = 1) -> Sequential:
    return Sequential(
        conv=INIT.conv(channels, 2, 3), relu=ReLU(), flat=Flatten(), fc=INIT.dense(2 * 6 * 6, 3)
    )


def sentence(call: Any, kind: type[Exception]) -> str:
    with pytest.raises(kind) as error:
        call()
    return str(error.value)


SEVERAL_LAYERS = [name for name in NAMES if isinstance(small_network(name)[0], Sequential)]


@pytest.mark.parametrize("name", SEVERAL_LAYERS)
def test_a_network_gives_an_array_for_an_array_and_a_tensor_for_a_tensor(name: str) -> None:
    net, x = small_network(name)
    array, tensor = net(x), net(Tensor(x))
    assert isinstance(array, np.ndarray)
    assert isinstance(tensor, Tensor)
    assert np.array_equal(array, tensor.data)


def test_ids_are_an_array_like_any_other() -> None:
    net, ids = zoo.load("nplm"), zoo.samples("nplm", 3)
    found = net(ids)
    assert isinstance(found, np.ndarray)
    assert found.shape == (3, 27)
    assert np.array_equal(found, net(ids.astype(np.uint8)))


def test_an_array_without_gradients_teaches_nothing_and_a_loss_says_so() -> None:
    net = Sequential(fc=INIT.dense(3, 2))
    x, y = np.ones((4, 3), np.float32), np.zeros(4, np.int64)
    assert float(cross_entropy(net(x), y).data) == float(cross_entropy(net(Tensor(x)), y).data)
    assert sentence(cross_entropy(net(x), y).backward, TypeError) == (
        "this loss was computed from an array, so no parameter gets a gradient; call the network with Tensor(x)"
    )
    assert net["fc"].weight.grad is None  # type: ignore[attr-defined]
    cross_entropy(net(Tensor(x)), y).backward()
    assert net["fc"].weight.grad is not None  # type: ignore[attr-defined]


def test_what_is_no_array_is_refused() -> None:
    assert sentence(lambda: images()([[1.0]]), TypeError) == (
        "a network takes an array with one row for each sample, not a list; write np.asarray(x, np.float32)"
    )
    assert sentence(lambda: images()(np.array(["a"])), ValueError) == (
        "a network takes a batch of numbers, not <U1 of shape (1,)"
    )


def test_pixels_that_nobody_has_scaled_are_refused_everywhere(tmp_path: Path) -> None:
    net, x = images(), np.random.default_rng(0).random((4, 6, 6, 1)).astype(np.float32)
    pixels = (x * 255).astype(np.uint8)
    floats = (
        "a network takes the samples that it was trained with, and this is uint8 of shape (4, 6, 6, 1); scale it in "
        "the same way, such as x.astype(np.float32) / 255"
    )
    assert sentence(lambda: net(pixels), ValueError) == floats
    assert sentence(lambda: calibrate(net, pixels), ValueError) == floats
    fixed = quantize(net, calibrate(net, x))
    integers = (
        "the network's input is UQ(0, 8), and this is uint8 of shape (4, 6, 6, 1); scale it as the samples of the "
        "training were, x.astype(np.float32) / 255, or pass FixedArray.from_ints(x, format)"
    )
    assert sentence(lambda: fixed(pixels), ValueError) == integers
    assert sentence(lambda: emit(fixed, pixels, tmp_path / "p"), ValueError) == integers


def test_channels_that_come_first_are_told_how_to_come_last() -> None:
    x = np.zeros((4, 3, 6, 6), np.float32)
    wanted = (
        "this convolution takes images (batch, height, width, 3), and this has shape (4, 3, 6, 6); of channels that "
        "come first: x.transpose(0, 2, 3, 1)"
    )
    assert sentence(lambda: images(3)(x), ValueError) == wanted
    assert sentence(lambda: calibrate(images(3), x), ValueError) == wanted
    assert images(3)(x.transpose(0, 2, 3, 1)).shape == (4, 3)
    assert sentence(lambda: images(3)(np.zeros((4, 6, 6, 2), np.float32)), ValueError) == (
        "this convolution takes images (batch, height, width, 3), and this has shape (4, 6, 6, 2)"
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_convolution_knows_its_channels(groups: int) -> None:
    layer = INIT.conv(4, 8, (3, 2), groups=groups)
    assert layer.channels == 4
    assert layer(Tensor(np.zeros((1, 5, 5, 4), np.float32))).shape == (1, 5, 5, 8)


def test_a_dense_layer_says_what_it_takes() -> None:
    net = Sequential(fc=INIT.dense(36, 3))
    assert sentence(lambda: net(np.zeros((2, 6, 6, 1), np.float32)), ValueError) == (
        "a Dense layer of 36 inputs takes (..., 36), and this has shape (2, 6, 6, 1); put a Flatten() before it, or "
        "give samples of that shape"
    )


def test_a_float_network_is_not_emitted_and_a_quantised_one_not_quantised_again(tmp_path: Path) -> None:
    net, x = small_network("mlp")
    fixed = quantize(net, calibrate(net, x))
    assert sentence(lambda: emit(net, x, tmp_path / "p"), TypeError) == (
        "emit takes a quantised network, and this is a Sequential over floats; quantise it first: "
        "quantize(net, calibrate(net, samples))"
    )
    again = "the network is quantised already; give the float network that it was made from"
    assert sentence(lambda: calibrate(fixed, x), TypeError) == again
    assert sentence(lambda: quantize(fixed, calibrate(net, x)), TypeError) == again
    assert sentence(lambda: fixed.net(x), TypeError) == (
        "the layers of a quantised network take integers; call the Quantized that holds them, which takes floats"
    )


class Plain:
    """A class as somebody from elsewhere would write it."""

    def __call__(self, x: Any) -> Any:
        return x


def test_a_plain_class_is_no_network_and_no_layer() -> None:
    assert sentence(lambda: calibrate(Plain(), np.ones((2, 2))), TypeError) == (
        "a Plain is no network; build one of layers, such as Sequential(fc1=..., relu=ReLU()), or make its class a "
        "frozen dataclass whose fields are its layers"
    )
    assert sentence(lambda: calibrate(Sequential, np.ones((2, 2))), TypeError) == (
        "Sequential is a class, and a network is an object of one; write Sequential(...)"
    )
    layer = "make its class a frozen dataclass with a __call__, whose fields are its parameters"
    assert sentence(lambda: Sequential(own=Plain()), TypeError) == (
        f"the part 'own' is a Plain, which is no layer; {layer}"
    )
    assert sentence(lambda: Sequential(np.tanh), TypeError) == (
        f"the part '0' is the function tanh, which is no layer; {layer}"
    )
    assert (
        sentence(lambda: Sequential(relu=ReLU), TypeError)
        == "the part 'relu' is the class ReLU; write ReLU()"
    )


def test_layers_come_one_by_one_in_a_list_or_by_name() -> None:
    a, b = INIT.dense(3, 4), ReLU()
    assert Sequential([a, b]) == Sequential((a, b)) == Sequential(a, b)
    assert Sequential({"fc": a, "act": b}) == Sequential(fc=a, act=b)
    assert Sequential([a, b])(np.ones((2, 3), np.float32)).shape == (2, 4)
    assert list(Sequential([]).parts) == []


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: Dense(5, 3), "Dense takes its numbers, and its weight here is 5"),  # type: ignore[arg-type]
        (
            lambda: Conv2D(3, 8, (3, 3)),  # type: ignore[arg-type]
            "Conv2D takes its numbers, and its weight here is 3",
        ),
        (
            lambda: Dense(Tensor(np.ones((5, 3))), True),  # type: ignore[arg-type]
            "Dense takes its numbers, and its bias here is True",
        ),
        (lambda: Dense(None), "Dense takes its numbers, and its weight here is None"),  # type: ignore[arg-type]
    ],
)
def test_sizes_are_no_layer(make: Any, wanted: str) -> None:
    assert sentence(make, TypeError) == (
        f"{wanted}; a new layer of given sizes comes from fixedpoint_nn.network.initialise.Initialiser(seed), such "
        "as Initialiser(0).dense(5, 3)"
    )


def test_a_bare_array_is_no_parameter() -> None:
    with pytest.raises(
        TypeError, match=re.escape("Dense's weight is a bare array; write Tensor(...) around it")
    ):
        Dense(np.ones((5, 3)))  # type: ignore[arg-type]
