# SPDX-License-Identifier: MIT
"""Tables of tanh and sigmoid by NumPy's own tanh, which is faster than gathering entries one by one.

The formula is min(max(rint(tanh(code * inner) * outer + added), low), high) in float32. It is used only where it gives
every entry of the table, even if each value before rounding were off by `SLACK` of the largest: NumPy's tanh is within
four units in the last place on every processor, and each other operation within a half.

`low` and `high` are the smallest and the largest entry. Both functions rise, so a code beyond an end of the table gets
the entry of that end: codes need not be saturated before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.table import Table

SLACK = 2.0**-20  # eight units in the last place, twice
MOST_ADDRESS_BITS = 12  # more codes than that hardly ever all keep their distance from a tie


@dataclass(frozen=True)
class TanhFormula:
    """The constants of the formula, as float32 arrays without axes."""

    inner: Array
    outer: Array
    added: Array
    low: Array
    high: Array

    def values(self, codes: Array) -> Array:
        """The values before rounding."""
        values: Array = np.tanh(codes * self.inner) * self.outer + self.added
        return values

    def gives(self, entries: Array, codes: Array) -> bool:
        """Whether every entry is given, with every value off by the slack to either side."""
        values = self.values(codes).astype(np.float64)
        slack = SLACK * (abs(float(self.outer)) + abs(float(self.added)))
        ends = (np.clip(np.rint(values + side), self.low, self.high) for side in (-slack, slack))
        return all(np.array_equal(end, entries) for end in ends)


@lru_cache(maxsize=256)
def tanh_formula(table: Table) -> TanhFormula | None:
    """The formula of a table, or None if there is none."""
    source, bits = table.input_format, table.output.format.frac_bits
    if table.function not in ("tanh", "sigmoid") or source.bits > MOST_ADDRESS_BITS:
        return None
    # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2
    halves = int(table.function == "sigmoid")
    inner, outer = source.step * 0.5**halves, 2.0 ** (bits - halves)
    centre = halves * outer
    entries = table.ints
    codes = np.arange(len(entries), dtype=np.float32)
    codes[codes > source.int_max] -= len(entries)  # the order of addresses
    constants = (inner, outer, centre, entries.min(), entries.max())
    formula = TanhFormula(*(np.array(constant, np.float32) for constant in constants))
    return formula if formula.gives(entries, codes) else None
