# SPDX-License-Identifier: MIT
"""Softmax of integers: as near to the real numbers as its words, for every scale, and the same on the engine."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.interchange.affine.shares import SHARE_BITS, Shares, exponentials

RNG = np.random.default_rng(3)


def rows(terms: int, low: int, high: int, count: int = 40) -> np.ndarray:
    spread = RNG.choice([1, 5, 40, high - low], (count, 1))
    return np.clip(np.rint(RNG.normal(0, 1, (count, terms)) * spread), low, high).astype(np.int64)


@pytest.mark.parametrize("terms", [1, 2, 3, 8, 64, 1000])
@pytest.mark.parametrize(("scale", "bits"), [(0.1, 8), (0.003, 8), (3.0, 8), (2.0**-14, 16)])
def test_no_share_is_further_off_than_its_words_allow(terms: int, scale: float, bits: int) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    x = rows(terms, low, high)
    found = Shares.of(scale, high - low, terms, "s")(FixedArray.from_ints(x, Q(bits, 0)))
    real = np.exp(np.longdouble(scale) * (x - x.max(axis=-1, keepdims=True)))
    real /= real.sum(axis=-1, keepdims=True)
    assert (
        np.abs(np.ldexp(found.ints.astype(np.longdouble), -SHARE_BITS) - real).max()
        < 2.0**-27 + terms * 2.0**-30
    )


def test_rows_of_equal_numbers_get_equal_shares() -> None:
    for terms in (1, 2, 4, 64):  # powers of two, whose shares are exact
        x = FixedArray.from_ints(np.full((1, terms), -7), Q(8, 0))
        assert (Shares.of(0.3, 255, terms, "s")(x).ints == (1 << SHARE_BITS) // terms).all()


def test_exponentials_are_rounded_correctly() -> None:
    assert exponentials(1.0, 2) == [
        1 << 29,
        197503771,
        72657577,
    ]  # exp(-1), exp(-2) to 40 digits, times 2**29


@pytest.mark.parametrize("terms", [1, 5, 12])
def test_the_engines_twin_gives_the_same_shares(terms: int) -> None:
    layer, x = Shares.of(0.05, 255, terms, "s"), FixedArray.from_ints(rows(terms, -128, 127, 3), Q(8, 0))
    engine = lower(layer, (terms,), x.format)
    for sample, expected in zip(x.ints, layer(x).ints, strict=True):
        twin = Twin(engine.config, engine.images, engine.input, sample)
        twin.run()
        assert np.array_equal(twin.memory[engine.output.addresses()].reshape(-1), expected)
