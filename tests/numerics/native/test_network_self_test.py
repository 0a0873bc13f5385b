# SPDX-License-Identifier: MIT
"""The dense layer by which the networks' kernels are tested: what it hands to them, and what it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.native import network as native
from fixedpoint_nn.numerics.native.library import SUM_LIMIT, Epilogue, Kernels, available
from fixedpoint_nn.numerics.native.network_self_test import dense
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

LEVELS = available()
pytestmark = pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")
OUT = Quantizer(Q(12, 0), Rounding.HALF_UP, Overflow.SATURATE)


class Watched:
    """Kernels that remember what a network was called with."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self.asked: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def network(self, *arguments: Any) -> bool:
        self.asked = arguments
        return self._kernels.network(*arguments)


@pytest.mark.parametrize("kernels", LEVELS, ids=lambda kernels: kernels.name)
@pytest.mark.parametrize(
    ("size", "low", "high", "zero"),
    [(1, 0, 255, 0), (1, -128, 127, 128), (2, -32768, 32767, 0), (2, 0, 65535, -32768)],
)
def test_a_dense_layer_is_a_network_of_one_tensor_and_two_steps(
    kernels: Kernels, size: int, low: int, high: int, zero: int
) -> None:
    rng = np.random.default_rng(size)
    x, w = rng.integers(low, high + 1, (5, 7)), rng.integers(-60, 61, (7, 3))
    bias = rng.integers(-1000, 1000, 3)
    watched: Any = Watched(kernels)
    got = dense(watched, x, w, bias, size, (low, high), Epilogue(False, 6, OUT))
    assert np.array_equal(got, convert(x @ w + bias, -6, OUT.format, OUT.rounding, OUT.overflow))
    steps, tensors, given, batch, block, arena, out = watched.asked
    entering, product = steps
    assert (entering.kind, entering.a, entering.b, entering.out) == (native.ENTER_INTS, -1, -1, 0)
    assert (product.kind, product.a, product.b, product.out) == (native.CONVOLVE, 0, -1, -1)
    assert product.positions == 1
    (t,) = tensors
    assert (t.image_bytes, t.first, t.row, t.height, t.width, t.channels) == (7 * size, 0, 7, 1, 1, 7)
    assert (t.bytes, t.zero, t.padded, t.arena) == (size, zero, 0, 0)
    assert given.dtype == np.float32 and (batch, block) == (5, 5)
    assert arena.nbytes == 5 * 7 * size + native.SLACK
    assert out.shape == (5, 3)


@pytest.mark.parametrize(("low", "high"), [(-30000, 5), (-5, 30000)])
def test_its_sums_are_wide_where_32_bits_do_not_hold_them(low: int, high: int) -> None:
    """The second column's norm is the largest: three words of 30000 times a weight, and the bias."""
    weight = SUM_LIMIT // 30000 // 3
    w = np.array([[1, weight], [1, -weight], [1, weight]])
    rest = SUM_LIMIT - 3 * 30000 * weight
    for over, words in ((0, native.WORDS), (1, native.WIDE)):
        for sign in (1, -1):
            watched: Any = Watched(LEVELS[-1])
            dense(
                watched,
                np.zeros((1, 3), np.int64),
                w,
                np.array([0, sign * (rest + over)]),
                2,
                (low, high),
                Epilogue(False, 20, OUT),
            )
            assert watched.asked[0][1].words == words
