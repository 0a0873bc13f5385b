# SPDX-License-Identifier: MIT
"""Normalisation of rows of integers by their mean and variance, as nearly as words of 31 bits say it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import MOST_BITS, Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.affine.shares import STEPS, floor, nearest
from fixedpoint_nn.layers.fields import cast_point, parameter, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.value_table import ValueTable

WORD_BITS = 30  # and a sign: the product of two such words is one that the engine holds
OUT_BITS = 29  # of a result: the sum of two has a word, too
APART = 8  # bits from one word of the variance to the next
SEED = UQ(2, 9)  # the address of the inverse root that is improved
MOST_FRACTION = 24  # bits of the variance behind the point
DIGITS = 5  # powers of four in a part of the variance that a table counts


@dataclass(frozen=True)
class Standardized:
    """(x - mean) / sqrt(variance + eps) over the last axis, for integers x, as whole numbers of the step of `out`.

    With n terms, v = n * sum(x**2) - sum(x)**2 is n**2 times the variance, exactly; `tiny` is added to it. `counts` are
    tables that add up to p, where 4**p <= v < 4**(p+1). Of the words v / 2**(8 * i) one has 22 bits or more, and
    `normal`, tables over p, make it z = v / 4**p. Newton's iteration improves `seed`, a table of 1 / sqrt(z).
    """

    terms: int
    tiny: Number = parameter()
    counts: tuple[ValueTable, ...] = ()
    normal: tuple[ValueTable, ...] = ()
    power: ValueTable | None = table_point("power", "exponent")
    seed: ValueTable | None = table_point("seed", "address")
    source: Quantizer | None = cast_point()
    total: Quantizer | None = cast_point()
    left: Quantizer | None = cast_point()
    right: Quantizer | None = cast_point()
    apart: Quantizer | None = cast_point()
    scaled: Quantizer | None = cast_point()
    exponent: Quantizer | None = cast_point()
    address: Quantizer | None = cast_point()
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        x = x.cast(self.source)
        total = x.sum(axis=-1, keepdims=True).cast(self.total)
        left = x.concat([total], axis=-1).cast(self.left)
        right = (x * self.terms).cast(self.apart).concat([-total], axis=-1).cast(self.right)
        rows = x.shape[1:-1]
        left = left.reshape(-1, *rows, 1, self.terms + 1)
        right = right.reshape(-1, *rows, self.terms + 1, 1)

        def shifted(places: int, format: QFormat) -> Any:
            """v / 2**places; the engine computes v anew for each, because no word holds it."""
            v = left.matmul(right) + self.tiny
            return v.scaled(v.format.frac_bits - places).cast(floor(format)).reshape(-1, *rows, 1)

        p: Any = None
        for place, table in enumerate(self.counts):
            digits = shifted(2 * DIGITS * place, table.input_format)
            count = digits.lookup(table.function, table)
            p = count if p is None else p + count
        p = p.cast(self.exponent)
        z: Any = None
        for place, table in enumerate(self.normal):
            part = shifted(APART * place, UQ(WORD_BITS, 0)) * p.lookup(table.function, table)
            z = part if z is None else z + part
        z = z.cast(nearest(UQ(2, WORD_BITS - 2)))
        root = z.cast(self.address).lookup("seed", self.seed)
        for _ in range(STEPS):
            square = (root * root).cast(nearest(UQ(1, WORD_BITS - 1)))
            near = (z * square).cast(nearest(UQ(2, WORD_BITS - 2)))
            root = (root * (3 - near).cast(nearest(UQ(2, WORD_BITS - 2)))).scaled(-1)
            root = root.cast(nearest(UQ(1, WORD_BITS - 1)))
        apart = (x * self.terms - total).cast(self.apart) * p.lookup("power", self.power)
        y = (apart.cast(self.scaled) * root).cast(self.out)
        return y.scaled(y.format.frac_bits)

    @classmethod
    def of(cls, low: int, high: int, terms: int, eps: float, name: str) -> Standardized:
        """The layer for `terms` integers in low..high; `eps` is in units of the square of their scale."""
        source, furthest = exact(low, high, f"{name}.source"), max(abs(low), abs(high))
        left = exact(-terms * furthest, terms * furthest, f"{name}.left")
        most = terms * terms * (high - low) ** 2 // 4
        tiny = eps * terms * terms
        if not tiny < 2.0**MOST_BITS:
            raise Unsuited("has an epsilon far above its variance")
        bits = (most + int(tiny) + 1).bit_length()
        room = MOST_BITS - 2 - max(bits, 2 * left.format.bits + terms.bit_length())
        fraction = min(room, WORD_BITS + 1 - left.format.bits, MOST_FRACTION) // 2 * 2
        if fraction < 0:
            raise Unsuited(
                f"has {terms} terms of {furthest.bit_length() + 1} bits, whose squares are too long"
            )
        bits += fraction
        exponents = -(-bits // 2)
        exponent = exact(0, exponents, f"{name}.exponent")
        places = range(-(-bits // (2 * DIGITS)))
        words = range(max(-(-(bits - WORD_BITS) // APART), 0) + 1)
        whole = (terms.bit_length() + 1) // 2 + 2  # of a result that is at most sqrt(terms), before the root
        steps = max(exponents - fraction // 2, 0)
        powers = UQ(fraction // 2 + 1, steps)
        return cls(
            terms,
            fixed_constant(np.asarray(max(int(np.floor(np.ldexp(tiny, fraction) + 0.5)), 1)), fraction),
            tuple(
                ValueTable.of(f"count{i}", _count, UQ(2 * DIGITS + 1, 0), UQ(3, 0), f"{name}.count{i}")
                for i in places
            ),
            tuple(
                ValueTable.of(
                    f"normal{i}", _normal(i), exponent.format, UQ(1, WORD_BITS - 2), f"{name}.normal{i}"
                )
                for i in words
            ),
            ValueTable.of("power", _power(fraction, steps), exponent.format, powers, f"{name}.power"),
            ValueTable.of("seed", _inverse_root, SEED, UQ(1, WORD_BITS - 1), f"{name}.seed"),
            source,
            exact(terms * min(low, 0), terms * max(high, 0), f"{name}.total"),
            left,
            nearest(replace(left.format, frac_bits=fraction), f"{name}.right"),
            exact(terms * (low - high), terms * (high - low), f"{name}.apart"),
            nearest(Q(whole, min(steps, WORD_BITS + 1 - whole)), f"{name}.scaled"),
            exponent,
            floor(SEED, f"{name}.address"),
            nearest(Q(whole, OUT_BITS - whole), name),
        )


def _count(digits: int) -> int:
    """How many powers of four, but 1, are in it; those of a part that is larger are 5."""
    return min((max(digits, 1).bit_length() - 1) // 2, DIGITS)


def _normal(word: int) -> Any:
    """2**(8 * word) / 4**p in units of 2**-28, for the p whose numbers this word holds; else 0."""
    first = 0 if word == 0 else (WORD_BITS + APART * (word - 1)) // 2
    last = (WORD_BITS + APART * word) // 2 - 1
    return lambda p: 1 << (WORD_BITS - 2 + APART * word - 2 * p) if first <= p <= last else 0


def _power(fraction: int, steps: int) -> Any:
    """2**(fraction / 2 - p) for each p, in units of 2**-steps."""
    return lambda p: 1 << max(fraction // 2 - p + steps, 0)


def _inverse_root(code: int) -> int:
    """1 / sqrt(z) in the middle of the z that have this code, in units of 2**-29; z is 1 or more."""
    twice = 2 * max(code, 1 << SEED.frac_bits) + 1  # z in units of 2**-10
    return isqrt((1 << (2 * (WORD_BITS - 1) + SEED.frac_bits + 1)) // twice)
