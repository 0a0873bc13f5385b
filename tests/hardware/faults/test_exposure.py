# SPDX-License-Identifier: MIT
"""Vectors that show flipped bits: of a small network, each bit that any input shows is shown by a vector."""

from __future__ import annotations

from itertools import product

import numpy as np

from fixedpoint_nn import Q, Quantizer, layers
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.faults.fault import every_flip
from fixedpoint_nn.hardware.faults.fault_simulator import Shown
from fixedpoint_nn.hardware.faults.generate import exposing
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray


def network() -> Quantized:
    rng = np.random.default_rng(4)

    def dense(inputs: int, outputs: int) -> layers.Dense:
        return layers.Dense(
            FixedArray.from_ints(rng.integers(-8, 8, (inputs, outputs)), Q(2, 2)),
            FixedArray.from_ints(rng.integers(-8, 8, outputs), Q(2, 2)),
            Quantizer(Q(3, 2)),
        )

    net = layers.Sequential(fc1=dense(2, 3), relu=layers.ReLU(), fc2=dense(3, 1))
    return Quantized(net, Quantizer(Q(2, 2)))


def test_the_vectors_show_every_bit_that_any_input_shows():
    fixed = network()
    every = np.array(list(product(range(-8, 8), repeat=2)))
    lowered = lower(fixed.net, (2,), Q(2, 2))
    first = FixedArray.from_ints(every[:2], Q(2, 2))
    found = exposing(lowered, first, 1000, seed=0)
    assert found is not None
    vectors = np.concatenate([first.ints, found.ints])
    flips = list(every_flip(lowered.config, lowered.images))

    def seen(inputs: np.ndarray) -> np.ndarray:
        shown = Shown(lowered.config, lowered.images, lowered.input, lowered.output, inputs)
        return shown.shows(flips).any(axis=1)

    assert np.array_equal(seen(vectors), seen(every))
    assert not np.array_equal(seen(first.ints), seen(every))


def test_no_more_vectors_than_asked_for_and_the_same_ones_again():
    lowered, first = (
        lower(network().net, (2,), Q(2, 2)),
        FixedArray.from_ints(np.zeros((1, 2), np.int64), Q(2, 2)),
    )
    once, again = (exposing(lowered, first, 3, seed=5) for _ in range(2))
    assert once is not None and again is not None
    assert len(once) == 3
    assert np.array_equal(once.ints, again.ints)
