# SPDX-License-Identifier: MIT
"""Modelled accumulators that start at a constant: the sums on the engine are those of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, QFormat, Quantizer
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding
from tests.hardware.compiler.test_rules import check

X, OUT = Q(2, 2), Quantizer(Q(5, 5), Rounding.HALF_EVEN)
NARROW = Quantizer(Q(3, 3), Rounding.FLOOR, Overflow.WRAP)
ACCUMULATORS = {
    "exact products, saturating": Accumulator(Q(4, 5), Overflow.SATURATE),
    "exact products, wrapping": Accumulator(Q(3, 6), Overflow.WRAP),
    "rounded products": Accumulator(Q(4, 3), Overflow.SATURATE, NARROW),
    "sums finer than their products": Accumulator(Q(4, 7), Overflow.WRAP, Quantizer(Q(4, 7))),
}


def random(*shape: int, format: QFormat = Q(2, 2), seed: int = 0) -> FixedArray:
    ints = np.random.default_rng(seed).integers(format.int_min, format.int_max + 1, shape)
    return FixedArray.from_ints(ints, format)


def started(accumulator: Accumulator, shape: tuple[int, ...]) -> FixedArray:
    """A start that every product's format holds, with both of its ends."""
    own = accumulator.format
    room = own if accumulator.product is None else accumulator.product.format
    low, high = max(own.int_min, room.int_min), min(own.int_max, room.int_max)
    ints = np.random.default_rng(1).integers(low, high + 1, shape)
    ints.flat[0], ints.flat[-1] = low, high
    return FixedArray.from_ints(ints, own)


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 5, 6)])
@pytest.mark.parametrize("name", ACCUMULATORS)
def test_each_channel_starts_at_its_own_constant(name: str, shape: tuple[int, ...]) -> None:
    accumulator, weights = ACCUMULATORS[name], random(6, 5)
    start = started(accumulator, (5,))
    check(lambda x: x.dot(weights, accumulator, start).cast(OUT), shape, X)


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_one_constant_is_the_start_of_all_channels(name: str) -> None:
    accumulator, weights = ACCUMULATORS[name], random(6, 5)
    start = started(accumulator, (2,))[1:]
    check(lambda x: x.dot(weights, accumulator, start).cast(OUT), (3, 6), X)


def refusal(net: Any, shape: tuple[int, ...]) -> str:
    with pytest.raises(LoweringError) as caught:
        lower(net, shape, X, 4)
    return str(caught.value)


GROUPED = (
    "Layer 'dot' does not fit the engine: it has a modelled accumulator of a grouped product that starts at a "
    "constant; add the constant after a cast."
)


@pytest.mark.parametrize(("groups", "outputs"), [(2, 3), (3, 1)])
def test_grouped_sums_do_not_start_at_a_constant(groups: int, outputs: int) -> None:
    accumulator = ACCUMULATORS["rounded products"]
    weights, start = random(groups, 6, outputs), started(accumulator, (groups * outputs,))
    sentence = refusal(
        lambda x: x.reshape(-1, groups, 6).dot(weights, accumulator, start).cast(OUT), (6 * groups,)
    )
    assert sentence == GROUPED


def test_pixels_do_not_start_at_constants_of_their_own() -> None:
    accumulator, weights = ACCUMULATORS["rounded products"], random(6, 5)
    start = started(accumulator, (3, 5))
    assert refusal(lambda x: x.dot(weights, accumulator, start).cast(OUT), (3, 6)) == GROUPED


@pytest.mark.parametrize("start", [NARROW.format.int_min - 1, NARROW.format.int_max + 1])
def test_a_start_that_is_outside_of_the_products_format_is_refused(start: int) -> None:
    accumulator, weights = ACCUMULATORS["rounded products"], random(6, 2)
    starts = FixedArray.from_ints([0, start], accumulator.format)
    low, high = sorted((0.0, start / 8))
    assert refusal(lambda x: x.dot(weights, accumulator, starts).cast(OUT), (6,)) == (
        f"Layer 'dot' does not fit the engine: it has an accumulator that starts at {low:g} to {high:g}, outside of "
        "its products' format, Q(3, 3); give the products a wider one."
    )


def test_sums_that_saturate_symmetrically_do_not_start_at_the_lowest_value() -> None:
    accumulator = Accumulator(Q(8, 6), Overflow.SATURATE_SYMMETRIC)
    starts = FixedArray.from_ints([0, accumulator.format.int_min], accumulator.format)
    assert refusal(lambda x: x.dot(random(6, 2), accumulator, starts).cast(OUT), (6,)) == (
        "Layer 'dot' does not fit the engine: it has an accumulator that starts at -128 to 0, outside of its sums' "
        "format, Q(8, 6) without its lowest value; give the sums a wider one."
    )


@pytest.mark.parametrize(("more", "runs"), [(-1, 1), (0, 1), (1, 2)])
def test_a_sum_is_stored_before_its_cast_only_for_a_finer_result(more: int, runs: int) -> None:
    """The engine shifts to the right alone."""
    accumulator, weights = ACCUMULATORS["rounded products"], random(6, 5)
    out = Quantizer(Q(6, accumulator.format.frac_bits + more), Rounding.HALF_UP)

    def net(x: Any) -> Any:
        return x.dot(weights, accumulator).cast(out)

    check(net, (6,), X)
    assert len(lower(net, (6,), X, 4).kernels) == runs
