# SPDX-License-Identifier: MIT
"""The zoo: what every network of it keeps, and that the shipped weights reach their bars on the real data."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor, data, zoo
from fixedpoint_nn.network import serialization, tree
from fixedpoint_nn.training.metrics import outputs
from fixedpoint_nn.zoo.entry import Bar

Real = Callable[..., Any]

SHIPPED = tuple(name for name in zoo.names() if name != "resnet50")
SOURCES = {
    "moons": data.moons,
    "bigram": data.names,
    "nplm": data.names,
    "names_lstm": data.french_names,
    "makemore_lstm": data.names,
    "shakespeare_lstm": data.text,
    "pump_gru": data.pump,
    "pump_lstm": data.pump,
    "mnist_lstm": data.mnist,
    "mnist_gru": data.mnist,
    "mnist_rnn": data.mnist,
    "fashion_mlp": data.fashion_mnist,
    "lenet": data.fashion_mnist,
    "resnet8": data.fashion_mnist,
    "detector": data.fashion_mnist,
}
BARS = {
    "moons": ("accuracy", 1.0),
    "bigram": ("loss", 2.46),
    "nplm": ("loss", 2.15),
    "makemore_lstm": ("loss", 2.02),
    "shakespeare_lstm": ("loss", 1.6),
    "pump_gru": ("auc", 0.98),
    "pump_lstm": ("auc", 0.98),
    "mnist_lstm": ("accuracy", 0.985),
    "mnist_gru": ("accuracy", 0.985),
    "mnist_rnn": ("accuracy", 0.96),
    "fashion_mlp": ("accuracy", 0.9),
    "lenet": ("accuracy", 0.92),
    "resnet8": ("accuracy", 0.93),
    "detector": ("map50", 0.8),
}
shipped = pytest.mark.parametrize("name", SHIPPED)


@shipped
def test_shipped_weights_reach_the_bar_on_held_out_data(real: Real, name: str) -> None:
    real(SOURCES[name])
    result = zoo.evaluate(zoo.load(name), name)
    bar = zoo.entry(name).bar
    assert bar is not None
    assert bar.reached(result[bar.figure]), f"{name}: {result}, the bar is {bar}"
    # Another machine's BLAS may turn a single answer, no more.
    claimed = zoo.metadata(name)["result"]
    assert {figure: pytest.approx(value, rel=1e-4) for figure, value in claimed.items()} == result


@pytest.mark.parametrize("name", BARS)
def test_the_bars_are_those_that_were_set(name: str) -> None:
    bar = zoo.entry(name).bar
    assert bar is not None
    assert (bar.figure, bar.value) == BARS[name]
    assert bar.at_least == (bar.figure in ("accuracy", "auc", "map50"))


@shipped
def test_the_story_of_the_weights_is_told(name: str) -> None:
    story = zoo.metadata(name)
    assert story["network"] == name
    assert story["command"] == f"fixedpoint-nn train {name} --seed {story['seed']}"
    assert story["epochs"] >= 1
    assert story["seconds"] > 0
    assert story["result"]


def test_weights_are_small_enough_to_ship() -> None:
    sizes = {path.stem: path.stat().st_size for path in zoo.WEIGHTS.glob("*.safetensors")}
    assert set(sizes) == set(SHIPPED)
    assert max(sizes.values()) <= 1_000_000, sizes
    assert sum(sizes.values()) <= 6_000_000, sizes


@shipped
def test_built_and_loaded_networks_have_the_same_shape(name: str) -> None:
    built, loaded = (tree.parameters(net, trained_only=False) for net in (zoo.build(name), zoo.load(name)))
    assert {path: p.shape for path, p in built.items()} == {path: p.shape for path, p in loaded.items()}
    assert list(built) == list(loaded), "the order of the layers"
    assert all(p.data.dtype == np.float32 for p in loaded.values())


@shipped
def test_a_seed_builds_the_same_network_again_and_another_seed_another(name: str) -> None:
    first, again, other = (tree.parameters(zoo.build(name, seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(p.data, again[path].data) for path, p in first.items())
    assert any(not np.array_equal(p.data, other[path].data) for path, p in first.items())


@shipped
def test_samples_are_inputs_of_the_network(real: Real, name: str) -> None:
    real(SOURCES[name])
    x = zoo.samples(name, 3)
    assert len(x) == 3
    logits = outputs(zoo.load(name), x)
    assert logits.shape[0] == 3
    assert np.isfinite(logits).all()
    assert set(zoo.evaluate(zoo.load(name), name, limit=64)) == set(zoo.metadata(name)["result"])


@pytest.mark.parametrize("split", ["held out", "validation"])
@pytest.mark.parametrize("name", ["moons", "names_lstm"])
def test_an_unknown_split_is_a_sentence(name: str, split: str) -> None:
    with pytest.raises(ValueError, match=f"there is no split {split!r}; the (moons|words) are split"):
        zoo.samples(name, 3, split) if name == "moons" else zoo.entry(name).examples(split)


def test_an_unknown_network_is_a_sentence() -> None:
    with pytest.raises(KeyError, match="there is no network 'alexnet' in the zoo; there are moons, bigram"):
        zoo.build("alexnet")


def test_a_network_without_weights_says_what_to_do() -> None:
    sentence = "no weights are shipped for 'resnet50'; train it with `fixedpoint-nn train resnet50`"
    with pytest.raises(FileNotFoundError, match=re.escape(sentence)):
        zoo.load("resnet50")


def test_bars_look_in_their_direction() -> None:
    assert Bar("loss", 2.0).reached(1.9)
    assert not Bar("loss", 2.0).reached(2.1)
    assert Bar("accuracy", 0.9, at_least=True).reached(0.9)
    assert not Bar("accuracy", 0.9, at_least=True).reached(0.89)
    assert str(Bar("loss", 2.02)) == "loss at most 2.02"


def test_training_goes_to_a_file_with_its_story_and_picture(tmp_path: Any) -> None:
    file = tmp_path / "deeper" / "moons.safetensors"
    story = zoo.train_to_file("moons", file, epochs=3, seed=2, progress=False)
    assert story["command"] == "fixedpoint-nn train moons --epochs 3 --seed 2"
    assert serialization.load_metadata(file) == story
    assert sorted(path.name for path in file.parent.iterdir()) == ["moons.png", "moons.safetensors"]
    net, history = zoo.train("moons", epochs=3, seed=2, progress=False)
    x = Tensor(zoo.samples("moons", 10))
    assert np.array_equal(net(x).data, serialization.load(file)(x).data)
    assert len(history) == 3
