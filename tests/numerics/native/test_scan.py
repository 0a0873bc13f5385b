# SPDX-License-Identifier: MIT
"""What a compiled loop needs: scratch for its largest product, and blocks of taps whose sums stay in int32."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numerics.native.library import SUM_LIMIT, Epilogue, Kernels, available
from fixedpoint_nn.numerics.native.operands import Operands, _chunk
from fixedpoint_nn.numerics.native.scan import Operand, Operations


@pytest.mark.parametrize("kernels", available(), ids=lambda kernels: kernels.name)
@pytest.mark.parametrize(
    ("products", "largest"),
    [
        ([(20, 8), (11, 16)], (11, 16)),
        ([(40, 8), (11, 16)], (40, 8)),
        ([(1, 8)], (1, 8)),
        ([(11, 16), (20, 8)], (11, 16)),
    ],
)
def test_the_scratch_is_that_of_the_product_with_the_most_bits(
    products: list[tuple[int, int]], largest: tuple[int, int], kernels: Kernels
) -> None:
    operations = Operations(kernels)
    for taps, bits in products:
        packed = kernels.pack(np.zeros((taps, 1), np.float32), bits)
        weights = Operands(kernels, packed, 1, bits, 0, np.zeros(1))
        operations.product(0, Operand(), weights, taps, np.zeros(1, np.int32), -1, Epilogue())
    assert operations.taps == largest


@pytest.mark.parametrize(
    ("taps", "chunk"),
    [
        ([65535, 0, 0, 0], 4),
        ([65535, 0, 0, 1], 2),
        ([0, 65535, 1, 0], 2),
        ([1, 1, 65535, 0, 0, 1], 2),
        ([1], 2),
    ],
)
def test_a_block_is_as_long_as_every_one_of_its_sums_allows(taps: list[int], chunk: int) -> None:
    """Words of 16 bits are up to 2**15, and the sums up to 2**31 - 1."""
    assert SUM_LIMIT >> 15 == 65535
    column = np.array(taps)[:, None]
    assert _chunk(column, column * 0) == _chunk(column * 0, -column) == chunk
