# SPDX-License-Identifier: MIT
"""Accumulators that start at the bias: in Python by a loop over the taps, and on the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, QFormat, Quantizer, RtlModel
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.interchange.hls4ml.accumulated import AccumulatedConv2D, AccumulatedDense
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding
from tests.hardware.compiler.test_lower import check

X, W, ACC, OUT = Q(3, 4), Q(2, 5), Q(3, 6), Quantizer(Q(3, 4), Rounding.FLOOR, Overflow.WRAP, "out")
ACCUMULATORS = {
    "wraps": Accumulator(ACC, Overflow.WRAP, Quantizer(ACC, Rounding.FLOOR, Overflow.WRAP)),
    "saturates": Accumulator(ACC, Overflow.SATURATE, Quantizer(ACC, Rounding.HALF_EVEN, Overflow.SATURATE)),
    "saturates symmetrically": Accumulator(
        ACC, Overflow.SATURATE_SYMMETRIC, Quantizer(ACC, Rounding.FLOOR, Overflow.SATURATE_SYMMETRIC)
    ),
    "becomes zero": Accumulator(ACC, Overflow.ZERO, Quantizer(ACC, Rounding.HALF_UP, Overflow.ZERO)),
    "keeps products": Accumulator(Q(4, 9), Overflow.SATURATE),
    "has finer words": Accumulator(
        Q(4, 12), Overflow.WRAP, Quantizer(Q(4, 12), Rounding.FLOOR, Overflow.WRAP)
    ),
}


def of(shape: tuple[int, ...], format: QFormat, seed: int) -> FixedArray:
    rng = np.random.default_rng(seed)
    return FixedArray.from_ints(rng.integers(format.int_min, format.int_max + 1, shape), format)


def dense(accumulator: Accumulator, inputs: int = 7, outputs: int = 5) -> AccumulatedDense:
    bias = of((outputs,), accumulator.format, 2)
    return AccumulatedDense(of((inputs, outputs), W, 1), bias, OUT, accumulator)


def convolution(accumulator: Accumulator, **more: Any) -> AccumulatedConv2D:
    bias = of((3,), accumulator.format, 3)
    return AccumulatedConv2D(of((3 * 2 * 4, 3), W, 4), bias, (3, 2), out=OUT, accumulator=accumulator, **more)


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_each_sum_goes_on_from_the_bias(name: str) -> None:
    accumulator, x = ACCUMULATORS[name], of((20, 7), X, 0)
    layer = dense(accumulator)
    keep = Quantizer(accumulator.format, Rounding.FLOOR, accumulator.overflow)
    total = layer.bias + FixedArray.from_ints(np.zeros((20, 5), np.int64), accumulator.format)
    for k in range(7):
        total = (total + (x[:, k : k + 1] * layer.weight[k]).cast(accumulator.product)).cast(keep)
    assert np.array_equal(layer(x).ints, total.cast(OUT).ints)
    assert not np.array_equal(layer(x).ints, AccumulatedDense(layer.weight, layer.bias * 0, OUT)(x).ints)


@pytest.mark.parametrize("lanes", [2, 8])
@pytest.mark.parametrize("name", ACCUMULATORS)
def test_the_engine_starts_at_the_bias_too(name: str, lanes: int) -> None:
    check(dense(ACCUMULATORS[name]), of((10, 7), X, 0), lanes)
    check(dense(ACCUMULATORS[name], 16, 3), of((4, 6, 16), X, 1), lanes)


@pytest.mark.parametrize("name", ACCUMULATORS)
@pytest.mark.parametrize("settings", [{}, {"padding": ((1, 1), (0, 1))}, {"stride": (2, 2)}])
def test_so_it_does_at_every_pixel_of_an_image(name: str, settings: dict[str, Any]) -> None:
    check(convolution(ACCUMULATORS[name], **settings), of((3, 6, 5, 4), X, 0))


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_a_result_may_have_more_fraction_bits_than_its_accumulator(name: str) -> None:
    finer = Quantizer(Q(4, 14), Rounding.HALF_EVEN, Overflow.SATURATE, "out")
    check(replace(dense(ACCUMULATORS[name]), out=finer), of((10, 7), X, 0))
    check(replace(convolution(ACCUMULATORS[name]), out=finer), of((2, 5, 4, 4), X, 0))


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
def test_the_verilog_starts_at_the_bias(simulator: str) -> None:
    for layer, x in (
        (dense(ACCUMULATORS["saturates"]), of((6, 7), X, 0)),
        (convolution(ACCUMULATORS["wraps"]), of((2, 5, 4, 4), X, 0)),
    ):
        network = Quantized(layer, Quantizer(x.format))
        assert np.array_equal(RtlModel(network, simulator=simulator)(x).ints, layer(x).ints)


def test_a_bias_that_the_products_cannot_hold_is_one_sentence() -> None:
    narrow = Accumulator(ACC, Overflow.WRAP, Quantizer(Q(1, 6), Rounding.FLOOR, Overflow.WRAP))
    with pytest.raises(
        LoweringError, match=r"has an accumulator that starts at .* outside of its products' format"
    ):
        check(dense(narrow), of((2, 7), X, 0))
