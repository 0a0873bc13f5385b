# SPDX-License-Identifier: MIT
"""A table with more fraction bits, to align its products with other terms of a sum."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


def finer(format: QFormat, bits: int) -> QFormat:
    """The format with `bits` more fraction bits."""
    return QFormat(format.int_bits, format.frac_bits + bits, format.signed)


@dataclass(frozen=True)
class AlignedTable:
    """A table whose entries are multiplied by 2**bits, with `bits` more fraction bits: the same values."""

    table: Table
    bits: int

    @property
    def function(self) -> str:
        """The name of the table's function."""
        return self.table.function

    @property
    def input_format(self) -> QFormat:
        """The format of the table's address."""
        return self.table.input_format

    @property
    def output(self) -> Quantizer:
        """The quantizer of the table's entries."""
        return replace(self.table.output, format=finer(self.table.output.format, self.bits))

    @property
    def ints(self) -> Ints:
        """The entries by address, (2**bits,) int64."""
        return self.table.ints << self.bits
