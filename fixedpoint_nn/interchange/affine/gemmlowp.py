# SPDX-License-Identifier: MIT
"""exp of numbers that are not positive, in 32-bit integers, as the library gemmlowp computes it."""

from __future__ import annotations

from fixedpoint_nn.interchange.affine.multiplier import high_product, rounding_shift

# exp(-1/4), exp(-1/2), exp(-1), ... in units of 2**-31
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_EIGHTH, _THIRD = 1895147668, 715827883  # exp(-1/8) and 1/3


def exp_of_negative(raw: int, integer_bits: int) -> int:
    """exp(raw * 2**(integer_bits - 31)) for raw <= 0, in units of 2**-31."""
    if raw == 0:
        return (1 << 31) - 1
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (raw & (quarter - 1)) - quarter
    result = _exp_of_quarter(rest << integer_bits)
    remainder = rest - raw
    for number, power in enumerate(_POWERS):
        exponent = number - 2
        if integer_bits > exponent and remainder & (1 << (fraction_bits + exponent)):
            result = high_product(result, power)
    return result


def _exp_of_quarter(raw: int) -> int:
    """The same for -1/4 <= raw * 2**-31 < 0: four terms of a Taylor series around -1/8."""
    x = raw + (1 << 28)
    x2 = high_product(x, x)
    x3, x4 = high_product(x2, x), high_product(x2, x2)
    series = rounding_shift(high_product(rounding_shift(x4, 2) + x3, _THIRD) + x2, 1)
    return _EXP_EIGHTH + high_product(_EXP_EIGHTH, x + series)
