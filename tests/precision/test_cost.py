# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from fixedpoint_nn.precision import Recipe, observe
from fixedpoint_nn.precision.cost import cost, ramb36
from tests.support.small_networks import small_network


def test_bit_operations_count_every_multiplication_of_a_sample() -> None:
    net, x = small_network("cnn")
    seen = observe(net, x)
    plan = seen.plan(Recipe(8))
    conv1, conv2, dense = 12 * 12 * 4 * 9, 6 * 6 * 4 * 9, 16 * 5
    pool, softmax = 2 * 2 * 4, 5
    assert (
        cost(seen, plan).bit_operations
        == sum(products * 8 * bits for products, bits in ((conv1, 8), (conv2, 8), (dense, 8), (softmax, 8)))
        + pool * plan.format("average.reciprocal").bits * plan.format("leaky.out").bits
    )


def test_bit_operations_of_a_recurrent_network_count_every_step() -> None:
    net, x = small_network("rnn")
    seen = observe(net, x)
    once = cost(seen, seen.plan(Recipe(8))).bit_operations
    assert once == 7 * (6 * 5 + 5 * 5 + 5 * 11) * 64
    # An embedding's rows are weights, and then the first matrix's input.
    halved = cost(seen, seen.plan(Recipe(8, weight_bits=4))).bit_operations
    assert halved == 7 * (6 * 5 * 16 + (5 * 5 + 5 * 11) * 32)


def test_weight_bits_count_every_parameter_in_its_own_word() -> None:
    net, x = small_network("rnn")
    seen = observe(net, x)
    plan = seen.plan(Recipe(8), {"head.weight": 3})
    biases = 5 * plan.format("cells.cells.0.bias").bits + 11 * plan.format("head.bias").bits
    assert cost(seen, plan).weight_bits == (11 * 6 + 6 * 5 + 5 * 5) * 8 + 5 * 11 * 3 + biases


@pytest.mark.parametrize(
    ("words", "width", "blocks"),
    [
        (0, 8, 0),
        (512, 72, 1),
        (513, 72, 2),
        (1024, 36, 1),
        (4096, 9, 1),
        (4096, 10, 2),
        (32768, 1, 1),
        (1, 73, 2),
    ],
)
def test_memory_blocks_use_the_shape_that_fits_best(words: int, width: int, blocks: int) -> None:
    assert ramb36(words, width) == blocks
