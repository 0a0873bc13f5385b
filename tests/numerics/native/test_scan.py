# SPDX-License-Identifier: MIT
"""Loops in the compiled kernels: each operation on slots gives what its formula in NumPy gives, at every level."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.native.library import Epilogue, Kernels, available
from fixedpoint_nn.numerics.native.network import LINE, SLACK
from fixedpoint_nn.numerics.native.scan import (
    Factor,
    Operand,
    Operations,
    SlotOf,
    balanced,
    narrowed,
    scan,
)
from fixedpoint_nn.numerics.native.steps import NotCompiled
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

LEVELS = available()
pytestmark = pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")
BATCH, BLOCK, STEPS = 5, 2, 3


@pytest.fixture(params=LEVELS, ids=lambda kernels: kernels.name)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param


# ---- weights of more than 16 bits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "weights", "shift"),
    [
        (-4, 4, [32766, 2], 0),  # short enough
        (-4, 4, [32768, 2], 1),
        (-4, 4, [-32768, 2], 1),
        (-4, 4, [131072, 8], 3),
        (-4, 4, [131072, 4], 2),  # one of them has no more zeros
        (-4, 4, [32768, 3], 0),
        (-4, 4, [32768, -3], 0),
        (-16384, 4, [32768, 2], 1),
        (-16385, 4, [32768, 2], 0),  # the columns would leave 16 bits
        (-4, 16383, [32768, 2], 1),
        (-4, 16384, [32768, 2], 0),
        (-16384, 16383, [131072, 8], 1),
        (0, 1, [0, 0], 0),
    ],
)
def test_a_power_of_two_goes_over_to_the_columns(low: int, high: int, weights: list[int], shift: int) -> None:
    factor = Factor(Operand(3, 7), low, high, np.array([weights, [0, 0]]), 5)
    made = balanced(factor)
    assert (made.operand, made.shift) == (factor.operand, 5 + shift)
    assert (made.low, made.high) == (low << shift, high << shift)
    assert np.array_equal(made.weights << shift, factor.weights)


@pytest.mark.parametrize("wide", [[], [2], [1, 6], [0, 3, 7]])
@pytest.mark.parametrize("weight", [32768, -32768, 65534, -65534])
def test_columns_with_longer_weights_come_again(wide: list[int], weight: int) -> None:
    """One by one, up to a quarter of them; else all together."""
    weights = np.arange(16).reshape(8, 2)
    weights[wide, 1] = weight
    factor = Factor(Operand(3, 7), -5, 6, weights, 2)
    parts = narrowed(factor)
    columns = [part.operand.column for part in parts]
    assert columns == ([7, *(7 + column for column in wide)] if len(wide) <= 2 else [7, 7])
    total = np.zeros_like(weights)
    for part in parts:
        assert (part.operand.slot, part.low, part.high, part.shift) == (3, -5, 6, 2)
        assert np.abs(part.weights).max() <= 32767
        start = part.operand.column - 7
        total[start : start + len(part.weights)] += part.weights
    assert np.array_equal(total, weights)
    assert len(parts[0].weights) == 8
    assert all(len(part.weights) == (1 if len(wide) <= 2 else 8) for part in parts[1:])


def test_weights_that_two_of_16_bits_do_not_hold_are_not_compiled() -> None:
    for weight in (65535, -65535):
        with pytest.raises(NotCompiled, match=r"^weights of more than 16 bits$"):
            narrowed(Factor(Operand(0), 0, 1, np.array([[weight], [1]])))
    assert len(narrowed(Factor(Operand(0), 0, 1, np.zeros((0, 2), np.int64)))) == 1


# ---- operations ------------------------------------------------------------------------------------------------------


def run(operations: Operations, arrays: list[Any], whole: set[int]) -> None:
    slots = [SlotOf(array, number in whole) for number, array in enumerate(arrays)]
    scan(operations, operations.array(), slots, BATCH, BLOCK, STEPS)


def words(low: int, high: int, kind: str, *shape: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(low, high + 1, shape)
    values.reshape(-1)[:2] = low, high
    return values.astype(kind)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2"])
def test_words_are_loaded_and_stored_at_every_step(kernels: Kernels, dtype: Any, kind: str) -> None:
    ends = np.iinfo(kind)
    given = words(ends.min, ends.max, kind, BATCH, STEPS, 7)
    taken = np.zeros((BATCH, STEPS, 4), kind)
    operations = Operations(kernels, np.dtype(dtype))
    operations.load(1, 0, 7, np.dtype(kind))
    operations.store(2, Operand(1, 2), 4, np.dtype(kind))
    run(operations, [given, np.empty((BLOCK, 7), dtype), taken], {0, 2})
    assert np.array_equal(taken, given[..., 2:6])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_states_are_read_and_written_where_the_batch_keeps_them(kernels: Kernels, dtype: Any) -> None:
    """Every operation on columns within slots; the state is doubled, and more, at every step."""
    table = np.arange(16) ** 2 % 11
    row = np.array([5, -7, 11])
    q = Quantizer(Q(3, 2), Rounding.HALF_EVEN, Overflow.SATURATE_SYMMETRIC)
    state = words(-9, 9, "i8", BATCH, 6).astype(dtype)
    expected, taken = state.astype(np.int64), np.zeros((BATCH, STEPS, 3), np.int16)
    operations = Operations(kernels, np.dtype(dtype))
    operations.lookup(1, Operand(0, 1), 4, table, 4)
    operations.multiply(2, Operand(1, 1), Operand(0, 2), 3)
    operations.combine(3, Operand(2), -2, Operand(1, 1), 4, row, 3)
    operations.requantize(4, Operand(3, 1), 2, -2, q, False)
    operations.requantize(5, Operand(3), 3, -1, q, True)
    operations.combine(6, Operand(5), 2, Operand(), 0, None, 3)
    operations.combine(0, Operand(4), 1, Operand(0, 4), 2, None, 2)
    operations.store(7, Operand(6), 3, np.dtype(np.int16))
    scratch = [np.empty((BLOCK, width), dtype) for width in (4, 3, 3, 2, 3, 3)]
    run(operations, [state, *scratch, taken], {0, 7})
    for step in range(STEPS):
        looked = table[expected[:, 1:5] & 15]
        product = looked[:, 1:] * expected[:, 2:5]
        mixed = -2 * product + 4 * looked[:, 1:] + row
        fitted = convert(mixed[:, 1:], -2, q.format, q.rounding, q.overflow)
        doubled = 2 * convert(mixed, -1, Q(30, 0), q.rounding, q.overflow)
        expected[:, :2] = fitted + 2 * expected[:, 4:]
        assert np.array_equal(taken[:, step], doubled)
    assert np.array_equal(state, expected)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("shift", [-3, -1, 0, 2])
def test_numbers_are_rounded_and_clipped(kernels: Kernels, rounding: Rounding, shift: int) -> None:
    for dtype in (np.float32, np.float64):
        for format, overflow in ((Q(5, 0), Overflow.SATURATE), (UQ(4, 0), Overflow.SATURATE_SYMMETRIC)):
            values = np.broadcast_to(np.arange(-90, 90), (BATCH, 180)).astype(dtype)
            out = np.empty((BATCH, 180), dtype)
            operations = Operations(kernels, np.dtype(dtype))
            operations.requantize(1, Operand(0), 180, shift, Quantizer(format, rounding, overflow), False)
            run(operations, [values.copy(), out], {0, 1})
            assert np.array_equal(out[0], convert(np.arange(-90, 90), shift, format, rounding, overflow))
            assert (out == out[0]).all()


RANGES = {
    "signed bytes": (1, -128, 127),
    "unsigned bytes": (1, 0, 255),
    "signed words": (2, -32768, 32767),
    "unsigned words": (2, 0, 65535),
}


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("columns", [3, 40])
def test_products_of_columns_side_by_side(kernels: Kernels, name: str, columns: int) -> None:
    """Of a step's words and of a state, cut into a rounded part, another one and the sums themselves."""
    size, low, high = RANGES[name]
    rng, dtype = np.random.default_rng(columns), np.dtype(np.float64)
    x, state = words(low, high, "i8", BATCH, 9), words(-100, 27, "i8", BATCH, 5, seed=1)
    one, two = (rng.integers(-60, 61, (taps, columns)) for taps in (6, 3))
    bias = rng.integers(-1000, 1000, columns)
    bound = 60 * (6 * max(-low, high) + 3 * 100) + 1000
    sums = x[:, 2:8] @ one + state[:, 1:4] @ two + bias
    first = Quantizer(UQ(6, 0), Rounding.HALF_UP, Overflow.SATURATE)
    second = Quantizer(Q(9, 0), Rounding.HALF_AWAY, Overflow.SATURATE_SYMMETRIC)
    operations = Operations(kernels, dtype)
    operations.products(
        [Factor(Operand(0, 2), low, high, one), Factor(Operand(1, 1), -100, 27, two)],
        size,
        bias,
        bound,
        [
            (2, slice(1, columns), Epilogue(True, 12, first)),
            (3, slice(0, 2), Epilogue(False, 9, second)),
            (4, slice(0, columns), Epilogue()),
        ],
    )
    taps = -(-9 // (4 if size == 1 else 2)) * 4
    assert operations.row_bytes == taps
    outs = [np.empty((BATCH, width), dtype) for width in (columns - 1, 2, columns)]
    run(operations, [x.astype(dtype), state.astype(dtype), *outs], {0, 1, 2, 3, 4})
    relu = np.maximum(sums, 0)[:, 1:]
    assert np.array_equal(outs[0], convert(relu, -12, first.format, first.rounding, first.overflow))
    assert np.array_equal(outs[1], convert(sums[:, :2], -9, second.format, second.rounding, second.overflow))
    assert np.array_equal(outs[2], sums)


def test_products_with_longer_weights(kernels: Kernels) -> None:
    """Even ones double their columns, and odd ones come twice."""
    rng, dtype = np.random.default_rng(0), np.dtype(np.float64)
    x = words(-300, 300, "i8", BATCH, 8)
    for weights in (rng.integers(-30000, 30000, (8, 3)) * 4, rng.integers(-65534, 65535, (8, 3))):
        operations = Operations(kernels, dtype)
        bound = int(300 * np.abs(weights).sum(axis=0).max())
        operations.products(
            [Factor(Operand(0), -300, 300, weights)],
            2,
            np.zeros(3, np.int64),
            bound,
            [(1, slice(0, 3), Epilogue())],
        )
        out = np.empty((BATCH, 3), dtype)
        run(operations, [x.astype(dtype), out], {0, 1})
        assert np.array_equal(out, x @ weights)


# ---- the call --------------------------------------------------------------------------------------------------------


def test_the_scratch_holds_the_widest_rows_of_a_block() -> None:
    """Of all products, and begins with a line of the cache."""
    asked = []
    real = LEVELS[0]
    pretended = SimpleNamespace(
        network_columns=real.network_columns,
        network_lanes=real.network_lanes,
        scan=lambda *arguments: asked.append(arguments),
    )
    for dtype in (np.float32, np.float64):
        operations = Operations(pretended, np.dtype(dtype))  # type: ignore[arg-type]
        for taps, size in ((5, 2), (7, 2), (3, 1)):
            weights = np.ones((taps, 1), np.int64)
            factor = Factor(Operand(0), -4, 4, weights)
            cuts = [(1, slice(0, 1), Epilogue())]
            operations.products([factor], size, np.zeros(1, np.int64), 4 * taps, cuts)
        assert operations.row_bytes == 16
        slots = [SlotOf(np.zeros((BATCH, 7), dtype), True), SlotOf(np.zeros((BATCH, 3, 1), dtype)[:, 1:])]
        scan(operations, operations.array(), slots, 77, 20, 6)
        doubles, compiled, count, described, batch, block, steps, scratch = asked.pop()
        assert doubles is (dtype is np.float64)
        assert (len(compiled), count, batch, block, steps) == (3, 3, 77, 20, 6)
        assert scratch.nbytes == 20 * 16 + SLACK
        assert scratch.__array_interface__["data"][0] % LINE == 0
        assert [(s.row_stride, s.step_stride, s.whole) for s in described] == [(7, 0, 1), (3, 1, 0)]
