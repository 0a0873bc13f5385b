# SPDX-License-Identifier: MIT
"""A table with more fraction bits holds the same values."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import UQ, Q, Quantizer, Rounding, Table
from fixedpoint_nn.hardware.compiler.aligned_table import AlignedTable, finer
from fixedpoint_nn.numerics.qformat import QFormat


@pytest.mark.parametrize(
    ("format", "wide"), [(Q(3, 4), Q(3, 6)), (UQ(0, 8), UQ(0, 10)), (Q(6, -3), Q(6, -1))]
)
def test_a_finer_format_has_more_fraction_bits_and_the_same_ends(format: QFormat, wide: QFormat) -> None:
    assert finer(format, 2) == wide
    assert finer(format, 0) == format


def test_an_aligned_table_has_the_values_of_its_table() -> None:
    table = Table("tanh", Q(3, 3), Quantizer(Q(1, 5), Rounding.HALF_UP))
    aligned = AlignedTable(table, 3)
    assert (aligned.function, aligned.input_format) == ("tanh", Q(3, 3))
    assert aligned.output == Quantizer(Q(1, 8), Rounding.HALF_UP)
    assert np.array_equal(aligned.ints, table.ints * 8)
