# SPDX-License-Identifier: MIT
"""Blocks of taps whose sums stay in int32."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numerics.native.library import SUM_LIMIT
from fixedpoint_nn.numerics.native.operands import _chunk


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
