# SPDX-License-Identifier: MIT
"""The self-test of the networks' kernels: products of every kind, in all roundings, compared with int64."""

from __future__ import annotations

from itertools import cycle

import numpy as np

from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.native.library import MORE_TESTS, Epilogue, Kernels
from fixedpoint_nn.numerics.native.network import (
    CONVOLVE,
    ENTER_INTS,
    SLACK,
    StepStruct,
    TensorStruct,
    address,
)
from fixedpoint_nn.numerics.native.steps import fill_product, zero_of
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

ROWS = 9
# Bytes of an operand, its range, the largest weight, and the shift.
KINDS = ((1, 0, 255, 127, 7), (1, -128, 127, 127, 7), (2, -32768, 32767, 255, 12), (2, 0, 65535, 32767, 26))


def network_self_test(kernels: Kernels) -> str:
    """Run the self-test; returns what differs, empty if nothing."""
    rng = np.random.default_rng(0)
    for size, low, high, largest, shift in KINDS:
        for taps, columns in ((1, 1), (67, 129)):
            x, w = (
                rng.integers(low, high + 1, (ROWS, taps)),
                rng.integers(-largest, largest + 1, (taps, columns)),
            )
            x[0], x[-1], w[:, 0] = low, high, largest
            bias = rng.integers(-(1 << 20), 1 << 20, columns)
            for number, (rounding, overflow) in enumerate(zip(Rounding, cycle(Overflow), strict=False)):
                q = Quantizer(QFormat(12, 0, number % 2 == 0), rounding, overflow)
                epilogue = Epilogue(number == 3, shift, q)
                sums = x @ w + bias
                expected = convert(
                    np.maximum(sums, 0) if number == 3 else sums, -shift, q.format, rounding, overflow
                )
                if not np.array_equal(dense(kernels, x, w, bias, size, (low, high), epilogue), expected):
                    what = f"{8 * size} bits, {taps} x {columns}, {rounding.name}, {overflow.name}"
                    return f"a network's product of {what}"
    return ""


def dense(
    kernels: Kernels, x: Ints, w: Ints, bias: Ints, size: int, ends: tuple[int, int], epilogue: Epilogue
) -> Ints:
    """A network of one dense layer: epilogue(x @ w + bias), for x within `ends`, stored in `size` bytes."""
    (rows, taps), columns = x.shape, w.shape[1]
    zero = zero_of(size, *ends)
    step = StepStruct(CONVOLVE, 0, -1, -1)
    bound = max(-ends[0], ends[1]) * int(np.abs(w).sum(axis=0).max()) + int(np.abs(bias).max())
    kept = fill_product(step, kernels, w, size, [(0, taps)], bias - zero * w.sum(axis=0), epilogue, bound)
    nowhere = np.zeros(1, np.int32)
    step.positions = 1
    setattr(step, "from", address(nowhere))
    step.to = address(nowhere)
    tensors = (TensorStruct * 1)(TensorStruct(taps * size, 0, taps, 1, 1, taps, size, zero, 0, 0))
    steps = (StepStruct * 2)(StepStruct(ENTER_INTS, -1, -1, 0), step)
    arena, out = np.empty(rows * taps * size + SLACK, np.uint8), np.empty((rows, columns), np.float32)
    kernels.network(steps, tensors, x.astype(np.float32), rows, rows, arena, out)
    del kept
    return out.astype(np.int64)


MORE_TESTS.append(network_self_test)
