# SPDX-License-Identifier: MIT
"""A table with more fraction bits: the same values, aligned with those that a product of theirs is added to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


def finer(format: QFormat, bits: int) -> QFormat:
    """The format with so many fraction bits more."""
    return QFormat(format.int_bits, format.frac_bits + bits, format.signed)


@dataclass(frozen=True)
class AlignedTable:
    """The entries of a table times 2**bits, with as many fraction bits more."""

    table: Table
    bits: int

    @property
    def function(self) -> str:
        """What the table is of."""
        return self.table.function

    @property
    def input_format(self) -> QFormat:
        """The format of its index."""
        return self.table.input_format

    @property
    def output(self) -> Quantizer:
        """The format of its entries."""
        return replace(self.table.output, format=finer(self.table.output.format, self.bits))

    @property
    def ints(self) -> Ints:
        """The entries, by address."""
        return self.table.ints << self.bits
