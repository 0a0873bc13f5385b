# SPDX-License-Identifier: MIT
"""What rounding costs the networks of the zoo, after training and trained for it."""

from __future__ import annotations

from typing import Any

import pytest

from fixedpoint_nn import data, zoo
from fixedpoint_nn.precision import sweep
from fixedpoint_nn.precision.qat_recipes import SHORT_RUNS, training_for

# Network, word length, the most that may be lost: points of accuracy, or percent of the likelihood.
AFTER_TRAINING = [
    ("fashion_mlp", 8, 0.2),
    ("lenet", 8, 0.3),
    ("resnet8", 8, 0.7),
    ("mnist_lstm", 12, 0.2),
    ("mnist_lstm", 8, 1.0),
    ("names_lstm", 12, 0.5),
    ("names_lstm", 8, 3.0),
]
TRAINED_FOR_IT = [
    ("fashion_mlp", 4, 0.8),
    ("fashion_mlp", 3, 2.0),
    ("lenet", 4, 1.0),
    ("resnet8", 4, 1.5),
    ("mnist_lstm", 6, 0.7),
    ("names_lstm", 6, 4.0),
]
LOADERS = {"names_lstm": data.french_names, "mnist_lstm": data.mnist}


def lost(name: str, word: int, method: str, real: Any) -> float:
    real(LOADERS.get(name, data.fashion_mnist))
    entry = zoo.entry(name)
    found = sweep(
        zoo.load(name),
        entry.examples(entry.held_out),
        (word,),
        samples=zoo.samples(name, 500, "train"),
        methods=(method,),
        training=training_for(entry) if method == "qat" else None,
        store=":memory:",
        progress=False,
    )
    print(f"{name} {word} bits {method}: {found[0].loss:+.2f} worse than float {found.float_score:.4f}")
    return float(found[0].loss)


def test_names_lose_little_with_eight_bits(real: Any) -> None:
    assert lost("names_lstm", 8, "ptq", real) <= 3.0


def test_every_short_run_is_of_a_network_of_the_zoo() -> None:
    assert set(SHORT_RUNS) <= set(zoo.names())
    training = training_for(zoo.entry("names_lstm"))
    assert training.clip == zoo.entry("names_lstm").recipe.clip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "word", "most"), AFTER_TRAINING)
def test_rounding_after_training_costs_no_more(name: str, word: int, most: float, real: Any) -> None:
    assert lost(name, word, "ptq", real) <= most


@pytest.mark.slow
@pytest.mark.parametrize(("name", "word", "most"), TRAINED_FOR_IT)
def test_training_for_few_bits_costs_no_more(name: str, word: int, most: float, real: Any) -> None:
    assert lost(name, word, "qat", real) <= most
