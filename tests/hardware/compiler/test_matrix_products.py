# SPDX-License-Identifier: MIT
"""Products of two computed matrices: one run adds them up, so no product needs a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer, RtlModel
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.kernel import in_two_loops
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.layers import Graph, MatMul, Node, Transpose
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.rounding import Rounding

OUT = Quantizer(Q(8, 8), Rounding.HALF_EVEN, name="out")
RNG = np.random.default_rng(5)


def gram(out: Quantizer | None = OUT) -> Graph:
    """x @ x^T for each sample."""
    parts = {
        "turned": Node(Transpose((0, 2, 1)), ("x",)),
        "y": Node(MatMul(out), ("x", "turned")),
    }
    return Graph(parts, ("x",), ("y",))


@pytest.mark.parametrize("lanes", [4, 8])
@pytest.mark.parametrize("terms", [1, 7, 300, 257])
def test_values_of_16_bits_are_multiplied_and_added(terms: int, lanes: int) -> None:
    x = FixedArray.from_ints(RNG.integers(-(1 << 15), 1 << 15, (2, 3, terms)), Q(8, 8))
    due = gram()(x).ints
    if not in_two_loops(terms):  # then each product is a word of its own, and has 32 bits
        with pytest.raises(LoweringError, match="needs words of 32 bits, and 31 is the most"):
            lower(gram(), x.shape[1:], x.format, lanes)
        return
    engine = lower(gram(), x.shape[1:], x.format, lanes)
    for sample, expected in zip(x.ints, due, strict=True):
        twin = Twin(engine.config, engine.images, engine.input, sample.reshape(-1))
        twin.run()
        assert np.array_equal(twin.memory[engine.output.addresses()].reshape(3, 3), expected)


@pytest.mark.parametrize("terms", [5, 257])
def test_a_batch_of_products_is_multiplied_one_by_one(terms: int) -> None:
    """257 terms do not fit the loops of one run: each product is a word, and a second run adds them."""
    x = FixedArray.from_ints(RNG.integers(-16, 16, (2, 2, 3, terms)), Q(3, 2))

    def net(x: Any) -> Any:
        return x.matmul(x.transpose(0, 1, 3, 2)).cast(Quantizer(Q(12, 4)))

    engine = lower(net, x.shape[1:], x.format, 4)
    for sample, expected in zip(x.ints, net(x).ints, strict=True):
        twin = Twin(engine.config, engine.images, engine.input, sample.reshape(-1))
        twin.run()
        assert np.array_equal(twin.memory[engine.output.addresses()].reshape(2, 3, 3), expected)


def test_the_verilog_adds_them_too() -> None:
    x = FixedArray.from_ints(RNG.integers(-(1 << 15), 1 << 15, (2, 5, 9)), Q(8, 8))
    fixed = Quantized(gram(), Quantizer(x.format), shape=(5, 9))
    assert np.array_equal(RtlModel(fixed)(x).ints, gram()(x).ints)


def test_a_sum_of_such_a_product_and_another_value_is_two_runs() -> None:
    parts = dict(gram(None).parts) | {"z": Node(_Plus(), ("y", "x"))}
    net = Graph(parts, ("x",), ("z",))
    x = FixedArray.from_ints(RNG.integers(-128, 128, (2, 4, 4)), Q(4, 4))
    engine = lower(net, (4, 4), x.format)
    twin = Twin(engine.config, engine.images, engine.input, x.ints[0].reshape(-1))
    twin.run()
    words = twin.memory[engine.output.addresses()].reshape(4, 4)
    assert np.array_equal(words, net(x).ints[0])


class _Plus:
    def __call__(self, y: FixedArray, x: FixedArray) -> FixedArray:
        return (y + x).cast(OUT)


@pytest.mark.parametrize(
    ("count", "fits"), [(256, True), (257, False), (300, True), (65536, True), (65537, False)]
)
def test_which_sums_two_loops_of_256_rounds_go_through(count: int, fits: bool) -> None:
    assert in_two_loops(count) is fits
