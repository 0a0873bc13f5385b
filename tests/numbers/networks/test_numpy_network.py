# SPDX-License-Identifier: MIT
"""NumPy's form of a network: which plans float32 holds, the blocks, and plans made by hand."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Overflow, Q, Quantizer, Rounding
from fixedpoint_nn.numbers.networks.numpy_network import (
    BLOCK_BYTES,
    MOST_SAMPLES,
    NumpyNetwork,
    _pools_after,
    numpy_network,
)
from fixedpoint_nn.numbers.networks.plan import (
    Convolve,
    Finish,
    Image,
    ImageSum,
    NetworkPlan,
    Operation,
    WindowAverage,
    WindowMaximum,
)
from fixedpoint_nn.numbers.sliding_windows import windows
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.qformat import UQ

VALID = ((0, 0), (0, 0))
FITTED = Finish(False, 3, Quantizer(Q(8, 0), Rounding.HALF_UP), False)
RECTIFIED = replace(FITTED, relu=True)


def image(
    number: int, height: int = 5, width: int = 4, channels: int = 2, low: int = -8, high: int = 7
) -> Image:
    return Image(number, height, width, channels, low, high)


def plan_of(*operations: Operation, source: Image | None = None) -> NetworkPlan:
    """The result is the last operation's: in memory, or a product's own."""
    last = operations[-1].out
    shape = (1, 1, 1) if last is None else last.shape
    return NetworkPlan(source or image(0), operations, last, shape, Q(8, 0), -128, 127)


def product(
    source: Image,
    weights: Any,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    padding: Any = VALID,
    bias: Any = None,
    finish: Finish = FITTED,
    out: Image | None = None,
) -> Convolve:
    matrix = BoundedInts.of(np.asarray(weights))
    return Convolve(
        source, kernel, stride, padding, matrix, None if bias is None else np.asarray(bias), finish, out
    )


# ---- what float32 holds ----------------------------------------------------------------------------------------------

ONE, POSITIVE = image(0, 1, 1, 2, -(1 << 12), 5), image(0, 1, 1, 2, 0, 1 << 12)
UP = image(0, 1, 1, 2, -5, 1 << 12)
HALF, FAR = 1 << 11, replace(FITTED, shift=60)
PIXEL, PAIR = image(1, 1, 1, 1), image(1, 1, 1, 2)


@pytest.mark.parametrize(
    ("operation", "over"),
    [
        (product(ONE, [[HALF], [-HALF]]), product(ONE, [[HALF], [-HALF - 1]])),
        (product(UP, [[HALF], [-HALF]]), product(UP, [[HALF], [-HALF - 1]])),
        (product(POSITIVE, [[HALF], [HALF]]), product(POSITIVE, [[HALF], [HALF + 1]])),
        (product(POSITIVE, [[2 * HALF], [-2 * HALF]]), product(POSITIVE, [[2 * HALF + 1], [0]])),
        (product(ONE, [[HALF], [HALF - 1]], bias=[1 << 12]), product(ONE, [[HALF], [HALF - 1]], bias=[-(1 << 12) - 1])),
        (product(ONE, [[1], [1]], finish=FAR), product(ONE, [[1], [1]], finish=replace(FAR, shift=61))),
        (
            WindowAverage(image(0, 2, 4, 1, -(1 << 12), 5), (2, 4), (1, 1), VALID, 1 << 9, FITTED, PIXEL),
            WindowAverage(image(0, 2, 4, 1, -(1 << 12), 5), (2, 4), (1, 1), VALID, -(1 << 9) - 1, FITTED, PIXEL),
        ),
        (
            WindowAverage(image(0, 2, 4, 1, -5, 1 << 12), (2, 4), (1, 1), VALID, -(1 << 9), FITTED, PIXEL),
            WindowAverage(image(0, 2, 4, 1, -5, (1 << 12) + 1), (2, 4), (1, 1), VALID, 1 << 9, FITTED, PIXEL),
        ),
        (
            ImageSum(ONE, 11, UP, 11, FITTED, PAIR),
            ImageSum(ONE, 11, replace(UP, high=(1 << 12) + 1), 11, FITTED, PAIR),
        ),
        (ImageSum(POSITIVE, 0, ONE, 11, FITTED, PAIR), ImageSum(POSITIVE, 0, ONE, 12, FITTED, PAIR)),
        (ImageSum(ONE, 12, None, 0, FITTED, PAIR), ImageSum(ONE, 13, None, 0, FITTED, PAIR)),
        (ImageSum(UP, 0, ONE, 11, FITTED, PAIR), ImageSum(UP, 12, ONE, 0, FITTED, PAIR)),
        (
            WindowAverage(image(0, 5, 4), (2, 2), (1, 1), ((0, 1), (0, 0)), 1, FITTED, image(1, 5, 3)),
            WindowAverage(image(0, 5, 4), (2, 2), (1, 1), ((0, 0), (-1, 0)), 1, FITTED, image(1, 4, 2)),
        ),
    ],
)  # fmt: skip
def test_sums_are_of_24_bits(operation: Operation, over: Operation) -> None:
    assert numpy_network(plan_of(operation, source=operation.a)) is not None
    assert numpy_network(plan_of(over, source=over.a)) is None


def test_blocks_keep_the_largest_operand_in_the_cache() -> None:
    for source, kernel, columns, largest in (
        (image(0, 30, 20, 3), (1, 1), 2, 30 * 20 * 3),
        (image(0, 30, 20, 3), (1, 1), 50, 30 * 20 * 50),
        (image(0, 30, 20, 3), (3, 5), 2, 28 * 16 * 45),
        (image(0, 1, 1, 3), (1, 1), 2, 3),
        (image(0, 300, 200, 30), (1, 1), 1, 300 * 200 * 30),
    ):
        taps = prod(kernel) * source.channels
        network = NumpyNetwork(
            plan_of(product(source, np.ones((taps, columns), np.int64), kernel), source=source)
        )
        assert network.largest == largest
        assert network.block == max(1, min(MOST_SAMPLES, BLOCK_BYTES // (4 * largest)))
    assert NumpyNetwork(plan_of(product(image(0, 1, 1, 3), np.ones((3, 1), np.int64)))).block == MOST_SAMPLES


def test_the_largest_of_unrounded_sums_is_taken_where_nothing_else_reads_them() -> None:
    sums, pooled = image(1, 5, 4, 3), image(2, 2, 2, 3)
    pool = WindowMaximum(sums, (2, 2), (2, 2), VALID, pooled)
    made = product(image(0), np.ones((2, 3), np.int64), out=sums)
    wrapped = Quantizer(Q(8, 0), Rounding.FLOOR, Overflow.WRAP)
    other = ImageSum(sums, 0, None, 0, FITTED, image(3, 5, 4, 3))
    for operations, found in (
        ((made, pool), {0: 1}),
        ((replace(made, finish=Finish()), pool), {0: 1}),
        ((replace(made, finish=Finish(False, 3, wrapped, False)), pool), {}),
        ((replace(made, finish=Finish(False, 3, wrapped, True)), pool), {0: 1}),
        ((made, replace(pool, padding=((0, 0), (0, 1)))), {}),
        ((made, other, pool), {}),
        ((made, ImageSum(image(0), 0, None, 0, FITTED, image(3)), pool), {0: 2}),
        ((made, ImageSum(image(3), 0, sums, 0, FITTED, image(4)), pool), {}),
        ((made, WindowAverage(sums, (2, 2), (2, 2), VALID, 1, FITTED, pooled)), {}),
        ((replace(made, out=None),), {}),
    ):
        assert _pools_after(plan_of(*operations)) == found


# ---- operations ------------------------------------------------------------------------------------------------------


def slow(o: Any, values: dict[int, np.ndarray]) -> np.ndarray:
    """An operation in int64."""
    a = values[o.a.number]
    if isinstance(o, ImageSum):
        total = (a << o.a_shift) + (0 if o.b is None else values[o.b.number] << o.b_shift)
    else:
        slid = windows(a, o.kernel, o.stride, o.padding, 1, -(1 << 40) * isinstance(o, WindowMaximum))
        if isinstance(o, WindowMaximum):
            return slid.max(axis=3)
        if isinstance(o, WindowAverage):
            total = o.factor * slid.sum(axis=3)
        else:
            total = slid.reshape(*slid.shape[:3], -1) @ o.weights.to(np.dtype(np.int64))
            total = total + (0 if o.bias is None else o.bias)
    q, shift = o.finish.quantizer, o.finish.shift
    total = np.maximum(total, 0) if o.finish.relu else total
    return total if q is None else convert(total, -shift, q.format, q.rounding, q.overflow)


RNG = np.random.default_rng(0)
WEIGHTS, TAPS, BIAS = RNG.integers(-9, 10, (2, 3)), RNG.integers(-9, 10, (12, 3)), RNG.integers(-99, 99, 3)
MANY = RNG.integers(-2, 3, (2 * 9, 20))
FEW_TAPS = RNG.integers(-9, 10, (6 * 20, 3))
PLANS: dict[str, tuple[Operation, ...]] = {
    "pixels": (product(image(0), WEIGHTS, bias=BIAS, out=image(1, 5, 4, 3)),),
    "every second pixel": (product(image(0), WEIGHTS, stride=(2, 1), out=image(1, 3, 4, 3)),),
    "every second column": (product(image(0), WEIGHTS, stride=(1, 2), bias=BIAS, out=image(1, 5, 2, 3)),),
    "windows": (product(image(0), TAPS, (2, 3), bias=BIAS, out=image(1, 4, 2, 3)),),
    "windows with strides": (product(image(0), TAPS, (2, 3), (3, 2), ((1, 0), (0, 2)), out=image(1, 2, 2, 3)),),
    "tiles": (product(image(0), RNG.integers(-9, 10, (8, 3)), (2, 2), (2, 2), bias=BIAS, out=image(1, 2, 2, 3)),),
    "all pixels": (product(image(0), RNG.integers(-9, 10, (40, 3)), (5, 4), bias=BIAS, out=image(1, 1, 1, 3)),),
    "one pixel of many": (product(image(0), WEIGHTS, stride=(5, 4), bias=BIAS, out=image(1, 1, 1, 3)),),
    "one window of many": (product(image(0), TAPS, (3, 2), (5, 4), bias=BIAS, out=image(1, 1, 1, 3)),),
    "a pixel with edges": (
        product(image(0), RNG.integers(-9, 10, (40, 3)), (5, 4), bias=BIAS, out=image(1, 1, 1, 3)),
        product(image(1, 1, 1, 3), RNG.integers(-9, 10, (27, 2)), (3, 3), (1, 1), ((1, 1), (1, 1)), out=image(2, 1, 1)),
    ),
    "a pixel among edges": (
        product(image(0), RNG.integers(-9, 10, (40, 3)), (5, 4), bias=BIAS, out=image(1, 1, 1, 3)),
        product(image(1, 1, 1, 3), RNG.integers(-9, 10, (3, 2)), (1, 1), (1, 1), ((1, 0), (0, 1)), out=image(2, 2, 2)),
    ),
    "all pixels after a row of the edge": (
        product(image(0), RNG.integers(-9, 10, (40, 3)), (5, 4), (9, 9), ((1, 0), (0, 0)), BIAS, out=image(1, 1, 1, 3)),
    ),
    "many channels": (
        product(image(0), MANY, (3, 3), (1, 1), ((1, 1), (1, 1)), finish=FITTED, out=image(1, 5, 4, 20, -128, 127)),
        product(image(1, 5, 4, 20, -128, 127), FEW_TAPS, (2, 3), (2, 1), ((0, 1), (2, 0)), BIAS, out=image(2, 3, 4, 3)),
    ),
    "without a cast": (product(image(0), WEIGHTS, bias=BIAS, finish=Finish(), out=image(1, 5, 4, 3)),),
    "relu alone": (product(image(0), WEIGHTS, bias=BIAS, finish=Finish(True), out=image(1, 5, 4, 3)),),
    "relu": (product(image(0), TAPS, (2, 3), finish=RECTIFIED, out=image(1, 4, 2, 3)),),
    "the largest": (WindowMaximum(image(0), (2, 3), (2, 1), VALID, image(1, 2, 2, 2)),),
    "one pixel's largest": (WindowMaximum(image(0), (1, 1), (2, 2), VALID, image(1, 3, 2, 2)),),
    "the largest of sums": (
        product(image(0), TAPS, (2, 3), bias=BIAS, out=image(1, 4, 2, 3)),
        WindowMaximum(image(1, 4, 2, 3), (2, 2), (2, 1), VALID, image(2, 2, 1, 3)),
    ),
    "two layers with edges": (
        product(image(0), WEIGHTS, bias=BIAS, out=image(1, 5, 4, 3)),
        product(image(1, 5, 4, 3), RNG.integers(-9, 10, (27, 2)), (3, 3), (1, 1), ((1, 1), (1, 1)), out=image(2)),
        WindowAverage(image(1, 5, 4, 3), (2, 2), (1, 1), ((0, 2), (2, 0)), -3, FITTED, image(3, 6, 5, 3)),
    ),
    "the largest where another needs edges": (
        product(image(0), WEIGHTS, bias=BIAS, out=image(1, 5, 4, 3)),
        WindowAverage(image(1, 5, 4, 3), (2, 2), (1, 1), ((2, 0), (1, 0)), 3, FITTED, image(2, 6, 4, 3)),
        WindowMaximum(image(1, 5, 4, 3), (2, 2), (2, 2), VALID, image(3, 2, 2, 3)),
    ),
    "an average": (WindowAverage(image(0), (2, 3), (2, 1), ((1, 0), (0, 1)), 5, FITTED, image(1, 3, 3, 2)),),
    "the average of all": (WindowAverage(image(0), (5, 4), (1, 1), VALID, 5, RECTIFIED, image(1, 1, 1, 2)),),
    "all and edges": (WindowAverage(image(0), (5, 4), (1, 1), ((1, 0), (0, 0)), 5, FITTED, image(1, 2, 1, 2)),),
    "sums": (ImageSum(image(0), 2, image(0), 0, FITTED, image(1)),),
    "sums at one point": (ImageSum(image(0), 1, image(0), 1, FITTED, image(1)),),
    "sums at the result's point": (ImageSum(image(0), 3, image(0), 3, FITTED, image(1)),),
    "a value alone": (ImageSum(image(0), 1, None, 0, RECTIFIED, image(1)),),
}  # fmt: skip


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.WRAP])
@pytest.mark.parametrize("rounding", [Rounding.HALF_EVEN, Rounding.HALF_AWAY])
@pytest.mark.parametrize("name", PLANS)
def test_every_operation_gives_the_integers_of_its_formula(
    name: str, rounding: Rounding, overflow: Overflow
) -> None:
    changed = []
    for operation in PLANS[name]:
        finish = getattr(operation, "finish", None)
        if finish is not None and finish.quantizer is not None:
            format = UQ(6, 0) if finish.relu else Q(5, 0)
            finish = replace(finish, quantizer=Quantizer(format, rounding, overflow))
            operation = replace(operation, finish=finish)
        changed.append(operation)
    plan = plan_of(*changed)
    network = numpy_network(plan)
    assert network is not None
    for batch in (1, 7):
        x = np.random.default_rng(batch).integers(-8, 8, (batch, 5, 4, 2))
        values = {0: x}
        for operation in plan.operations:
            assert operation.out is not None
            values[operation.out.number] = slow(operation, values)
        expected = values[max(values)]
        for block in (1, 3, 7):
            network.block = block
            for given in (x.astype(np.int8), x.astype(np.float32)):
                got = network.run(given)
                assert got.dtype == np.float32 and np.array_equal(got, expected)


def test_the_last_product_needs_no_memory() -> None:
    plan = NetworkPlan(
        image(0), (product(image(0), TAPS, (2, 3), bias=BIAS),), None, (4, 2, 3), Q(8, 0), -128, 127
    )
    network = numpy_network(plan)
    assert network is not None
    x = np.random.default_rng(1).integers(-8, 8, (5, 5, 4, 2))
    assert np.array_equal(network.run(x), slow(plan.operations[0], {0: x}))


def test_samples_are_shared_by_blocks_of_one_size() -> None:
    network = NumpyNetwork(plan_of(product(image(0), WEIGHTS, out=image(1, 5, 4, 3))))
    for block, batch, counts in (
        (4, 9, {3}),
        (4, 8, {4}),
        (4, 7, {4, 3}),
        (9, 7, {7}),
        (1, 3, {1}),
        (4, 10, {4, 2}),
    ):
        network.block = block
        network.run(np.zeros((batch, 5, 4, 2)))
        assert set(network._free) == counts
        before = dict(network._free)
        network.run(np.zeros((max(counts), 5, 4, 2)))
        assert network._free[max(counts)] is before[max(counts)], "memory is kept"
