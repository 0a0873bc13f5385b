# SPDX-License-Identifier: MIT
"""Noise tables: every entry rounded right, and addressed by the generator's lowest bits."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.isa.lfsr import Noise
from fixedpoint_nn.numerics.qformat import UQ


@pytest.mark.parametrize("address_bits", [2, 5, 8])
@pytest.mark.parametrize("frac_bits", [-1, 0, 4, 20])
@pytest.mark.parametrize("temperature", [Fraction(1), Fraction(1, 3), Fraction(7, 2)])
def test_entries_are_the_distributions_to_the_nearest_step(
    address_bits: int, frac_bits: int, temperature: Fraction
) -> None:
    table = NoiseTable(address_bits, frac_bits, temperature)
    with mpmath.workdps(60):
        for address, entry in enumerate(table.ints):
            uniform = (address + mpmath.mpf(1) / 2) / 2**address_bits
            exact = -mpmath.log(-mpmath.log(uniform)) * temperature.numerator / temperature.denominator
            assert abs(exact * mpmath.mpf(2) ** frac_bits - int(entry)) < 0.5
    assert len(table.ints) == 1 << address_bits
    assert table.ints.dtype == np.int64
    assert (np.diff(table.ints) >= 0).all()
    assert table.input_format == UQ(address_bits, 0)
    format = table.output.format
    assert (format.frac_bits, format.signed) == (frac_bits, True)
    largest = max((int(n) if n >= 0 else ~int(n)).bit_length() for n in table.ints)
    assert format.bits == largest + 1


@pytest.mark.parametrize("address_bits", [2, 7, 12])
def test_the_lowest_bits_of_the_generator_are_the_address(address_bits: int) -> None:
    table = NoiseTable(address_bits, 6, Fraction(1))
    generator = Noise(77)
    expected = [int(table.ints[generator.draw() % (1 << address_bits)]) for _ in range(50)]
    assert table.draw(Noise(77), 50).tolist() == expected
    assert len(set(expected)) > 3


@pytest.mark.parametrize(
    ("address_bits", "temperature", "sentence"),
    [
        (1, Fraction(1), "a noise table has 2 to 16 address bits, not 1"),
        (17, Fraction(1), "a noise table has 2 to 16 address bits, not 17"),
        (4, Fraction(0), "a temperature of 0 makes no noise; use 0 for no table at all"),
        (4, Fraction(-1, 2), "a temperature of -1/2 makes no noise; use 0 for no table at all"),
    ],
)
def test_what_is_no_table_is_refused(address_bits: int, temperature: Fraction, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        NoiseTable(address_bits, 4, temperature)
    assert str(caught.value) == sentence
    assert NoiseTable(16, 4, Fraction(1)).address_bits == 16
    assert NoiseTable(2, 4, Fraction(1, 1000)).ints.tolist() == [0, 0, 0, 0]
