# SPDX-License-Identifier: MIT
"""`ValueTable`: a lookup table given by its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import MAX_ADDRESS_BITS, Certificate, Table


@dataclass(frozen=True)
class ValueTable(Table):
    """A lookup table with the integers `values`, for the integers of `input_format` from lowest to highest.

    >>> ValueTable("square", QFormat(2, 0), Quantizer(QFormat(3, 0, signed=False)), (4, 1, 0, 1)).ints
    array([0, 1, 4, 1])
    """

    values: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        f = self.input_format
        if f.bits > MAX_ADDRESS_BITS:
            raise ValueError(
                f"a table over {f} would have 2**{f.bits} entries; cast its input to {MAX_ADDRESS_BITS} bits or fewer"
            )
        object.__setattr__(self, "values", tuple(int(value) for value in self.values))
        if len(self.values) != 1 << f.bits:
            raise ValueError(f"a table over {f} has {1 << f.bits} values, not {len(self.values)}")
        out = self.output.format
        for value in (min(self.values), max(self.values)):
            if not out.int_min <= value <= out.int_max:
                raise ValueError(f"the table's value {value} is outside of its output, {out}")

    @classmethod
    def of(
        cls, name: str, function: Callable[[int], int], source: QFormat, output: QFormat, label: str = ""
    ) -> ValueTable:
        """The table of a function from integers of `source` to integers of `output`."""
        values = tuple(function(code) for code in range(source.int_min, source.int_max + 1))
        return cls(name, source, Quantizer(output, name=label), values)

    @cached_property
    def ints(self) -> Ints:
        """The entries by address, (2**bits,) int64, read-only."""
        ints = np.roll(np.array(self.values, np.int64), self.input_format.int_min)
        ints.flags.writeable = False
        return ints

    @cached_property
    def entries(self) -> BoundedInts:
        """The entries as `BoundedInts`."""
        return BoundedInts.of(self.ints)

    def on_floats(self, x: np.ndarray) -> np.ndarray:
        """The entries as real numbers, for values of the input format."""
        return np.ldexp(self.ints[self.codes(x)].astype(np.float64), -self.output.format.frac_bits)

    def certificate(self) -> Certificate:
        """The certificate: no errors, as the values are the function; monotonic if they only rise or only fall."""
        steps = np.diff(np.array(self.values, np.int64))
        return Certificate(0.0, bool((steps >= 0).all() or (steps <= 0).all()), None)
