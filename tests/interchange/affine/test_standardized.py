# SPDX-License-Identifier: MIT
"""Rows of integers less their mean, divided by their deviation: near the real numbers, and the same on the engine."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.affine.standardized import Standardized

RNG = np.random.default_rng(4)


def rows(terms: int, low: int, high: int, count: int = 30) -> np.ndarray:
    """Wide and narrow rows, one of equal numbers, and one of which a single number differs."""
    spread = RNG.choice([1, 3, 30, high], (count, 1))
    x = np.clip(np.rint(RNG.normal(0, 1, (count, terms)) * spread), low, high).astype(np.int64)
    x[:2] = high
    x[1, 0] = high - 1
    return x


@pytest.mark.parametrize("terms", [2, 3, 16, 100, 768])
@pytest.mark.parametrize("eps", [1e-9, 0.02, 5.0])
@pytest.mark.parametrize(("low", "high"), [(-128, 127), (0, 255), (-5, 300)])
def test_results_are_near_the_real_numbers(terms: int, eps: float, low: int, high: int) -> None:
    x = rows(terms, low, high)
    layer = Standardized.of(low, high, terms, eps, "s")
    found = layer(FixedArray.from_ints(x, Q(10, 0)))
    assert layer.out is not None and found.format.frac_bits == 0
    real = x.astype(np.longdouble)
    real = (real - real.mean(axis=-1, keepdims=True)) / np.sqrt(real.var(axis=-1, keepdims=True) + eps)
    given = np.ldexp(found.ints.astype(np.longdouble), -layer.out.format.frac_bits)
    assert (np.abs(given - real) <= 2.0**-20 * np.maximum(np.abs(real), 1)).all()


def test_equal_numbers_give_nothing() -> None:
    x = FixedArray.from_ints(np.full((1, 9), 77), Q(8, 0))
    assert not Standardized.of(-128, 127, 9, 1e-12, "s")(x).ints.any()


@pytest.mark.parametrize("shape", [(6,), (3, 10)])
def test_the_engines_twin_gives_the_same_integers(shape: tuple[int, ...]) -> None:
    layer = Standardized.of(-128, 127, shape[-1], 0.3, "s")
    x = FixedArray.from_ints(RNG.integers(-128, 128, (3, *shape)), Q(8, 0))
    engine = lower(layer, shape, x.format)
    for sample, expected in zip(x.ints, layer(x).ints, strict=True):
        twin = Twin(engine.config, engine.images, engine.input, sample.reshape(-1))
        twin.run()
        assert np.array_equal(twin.memory[engine.output.addresses()].reshape(shape), expected)


def test_rows_whose_squares_are_too_long_are_refused() -> None:
    with pytest.raises(Unsuited, match="has 1024 terms of 17 bits, whose squares are too long"):
        Standardized.of(1 - (1 << 16), (1 << 16) - 1, 1024, 1.0, "s")
    with pytest.raises(Unsuited, match="has an epsilon far above its variance"):
        Standardized.of(-128, 127, 8, 1e30, "s")
