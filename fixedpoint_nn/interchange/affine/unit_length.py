# SPDX-License-Identifier: MIT
"""Rows of integers over the root of the sum of their squares: TFLite's reference kernels for 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import fixed_constant
from fixedpoint_nn.layers.fields import cast_point, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

SUM_BITS, PART_BITS = 29, 10  # of a sum of squares, and of the part of it that a table reads
WORD = UQ(31, 0)
ITERATIONS = 5
HALF_THREE, HALF_ROOT_OF_2 = 3 << 27, 1518500250  # 3/2 with 3 integer bits, sqrt(2) / 2 with none
OUT_BITS = 7  # a code is 1/128


def _half_up(format: QFormat) -> Quantizer:
    return Quantizer(format, Rounding.HALF_UP, Overflow.SATURATE)


def _floor(format: QFormat) -> Quantizer:
    return Quantizer(format, Rounding.FLOOR, Overflow.SATURATE)


@dataclass(frozen=True)
class UnitLength:
    """x / sqrt(sum(x**2)) over the last axis, in units of 1/128.

    `low`, `middle` and `high` are tables over ten bits of the sum each. They add up to p: the sum is multiplied by
    4**(13 - p), so that Newton's iteration of the inverse root has 29 bits of it. Tables over p: that power; `up`, by
    which a product with the root is multiplied before its first rounding, and `down`, before its second.
    """

    low: ValueTable | None = table_point("low", "part")
    middle: ValueTable | None = table_point("middle", "part")
    high: ValueTable | None = table_point("high", "part")
    power: ValueTable | None = table_point("power", "count")
    up: ValueTable | None = table_point("up", "count")
    down: ValueTable | None = table_point("down", "count")
    part: Quantizer | None = cast_point()
    count: Quantizer | None = cast_point()
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        total = (x * x).sum(axis=-1, keepdims=True).cast(_floor(UQ(SUM_BITS, 0)))
        p = total.cast(self.part).lookup("low", self.low)
        p = p + total.scaled(-PART_BITS).cast(self.part).lookup("middle", self.middle)
        p = (p + total.scaled(-2 * PART_BITS).cast(self.part).lookup("high", self.high)).cast(self.count)
        root = _inverse_root((total * p.lookup("power", self.power)).cast(_floor(UQ(SUM_BITS, 0))))
        scaled = (x * p.lookup("up", self.up) * root).scaled(-31).cast(_half_up(Q(26, 0)))
        return (scaled * p.lookup("down", self.down)).cast(self.out)

    @classmethod
    def of(cls, together: bool, name: str) -> UnitLength:
        """The layer; `together`: the two shifts of a product are one, as for values with a sign."""
        part = Quantizer(UQ(PART_BITS, 0), Rounding.FLOOR, Overflow.SATURATE, f"{name}.part")
        count = Quantizer(UQ(4, 0), Rounding.FLOOR, Overflow.SATURATE, f"{name}.count")

        def shifts(p: int) -> tuple[int, int]:
            """(left, right) shift of the product."""
            shift = 11 - (13 - min(p, 13))
            left, right = OUT_BITS + max(-shift, 0), max(shift, 0)
            if together:
                left, right = (left - right, 0) if left >= right else (0, right - left)
            return left, right

        def table(what: str, function: Any, address: QFormat, out: QFormat) -> ValueTable:
            return ValueTable.of(what, function, address, out, f"{name}.{what}")

        return cls(
            table("low", lambda n: _counted(n.bit_length()), part.format, count.format),
            table("middle", lambda n: _more(n, PART_BITS), part.format, count.format),
            table("high", lambda n: _more(n, 2 * PART_BITS), part.format, count.format),
            table("power", lambda p: 4 ** (13 - min(p, 13)), count.format, UQ(27, 0)),
            table("up", lambda p: 1 << shifts(p)[0], count.format, UQ(OUT_BITS + 3, 0)),
            table("down", lambda p: 1 << (11 - shifts(p)[1]), count.format, UQ(1, 11)),
            part,
            count,
            Quantizer(Q(8, 0), Rounding.HALF_AWAY, Overflow.SATURATE, name),
        )


def _counted(bits: int) -> int:
    """13 less the powers of four by which a sum of so many bits is multiplied."""
    return 13 - ((31 - max(bits, 2)) // 2 - 1)


def _more(n: int, below: int) -> int:
    """What the bits n of a sum, with so many below them, add to what is counted of those."""
    return _counted(n.bit_length() + below) - _counted(below) if n else 0


def _inverse_root(x: Any) -> Any:
    """1 / sqrt(x) in units that `up` and `down` make codes of."""
    half = x.scaled(-1).cast(_floor(UQ(28, 0))).scaled(-1).cast(_half_up(UQ(28, 0)))
    y: Any = fixed_constant(np.asarray(1 << 28))
    for _ in range(ITERATIONS):
        cube = _product(_product(y, y), y).scaled(6).cast(_half_up(WORD))
        difference = _product(y, fixed_constant(np.asarray(HALF_THREE))) - _product(half, cube)
        y = difference.scaled(3).cast(_half_up(WORD))
    return _product(y, fixed_constant(np.asarray(HALF_ROOT_OF_2)))


def _product(a: Any, b: Any) -> Any:
    """a * b / 2**31, rounded half up."""
    return (a * b).scaled(-31).cast(_half_up(WORD))
