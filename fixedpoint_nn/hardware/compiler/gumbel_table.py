# SPDX-License-Identifier: MIT
"""Noise for sampling: a table of the Gumbel distribution, addressed by the noise generator.

The argmax of logit + temperature * noise is a sample of softmax(logits / temperature) if the noise is -ln(-ln(u)) of a
uniform u, without exponential, sum or division.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import numpy as np

from fixedpoint_nn.hardware.isa.lfsr import Noise
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

MAX_ADDRESS_BITS = 16


@lru_cache(maxsize=16)
def _gumbel(address_bits: int, frac_bits: int, temperature: Fraction) -> tuple[int, ...]:
    """temperature * -ln(-ln((i + 1/2) / 2**address_bits)), each rounded to a multiple of 2**-frac_bits."""
    with localcontext(Context(prec=40)):
        scale = Decimal(temperature.numerator) / Decimal(temperature.denominator) * Decimal(2) ** frac_bits
        steps = Decimal(2) ** address_bits
        values = (-(-((i + Decimal("0.5")) / steps).ln()).ln() * scale for i in range(1 << address_bits))
        return tuple(int(value.to_integral_value(ROUND_HALF_EVEN)) for value in values)


@dataclass(frozen=True)
class NoiseTable:
    """A table of Gumbel noise times a temperature, with the logits' fraction bits and 2**address_bits entries."""

    address_bits: int
    frac_bits: int
    temperature: Fraction
    function: str = "gumbel"

    def __post_init__(self) -> None:
        if not 2 <= self.address_bits <= MAX_ADDRESS_BITS:
            raise ValueError(
                f"a noise table has 2 to {MAX_ADDRESS_BITS} address bits, not {self.address_bits}"
            )
        if self.temperature <= 0:
            raise ValueError(f"a temperature of {self.temperature} makes no noise; use 0 for no table at all")

    @property
    def ints(self) -> Ints:
        """The entries by address, (2**address_bits,) int64."""
        return np.array(_gumbel(self.address_bits, self.frac_bits, self.temperature), np.int64)

    @property
    def input_format(self) -> QFormat:
        """The format of an address."""
        return QFormat(self.address_bits, 0, signed=False)

    @property
    def output(self) -> Quantizer:
        """The quantizer of the entries, whose format holds all of them."""
        ints = self.ints
        return Quantizer(QFormat.enclosing(int(ints.min()), int(ints.max()), self.frac_bits))

    def draw(self, source: Noise, count: int) -> Ints:
        """The next `count` words of noise: the table's entries at the low bits of the generator."""
        mask = (1 << self.address_bits) - 1
        return self.ints[[source.draw() & mask for _ in range(count)]]
