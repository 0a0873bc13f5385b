# SPDX-License-Identifier: MIT
"""Lookup tables of functions, correctly rounded, with a certificate over every input."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import cached_property, lru_cache
from math import floor

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.bounded_ints import FLOAT64_EXACT, BoundedInts
from fixedpoint_nn.numerics.exact_functions import EXACT_FUNCTIONS, ExactFunction
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

MAX_ADDRESS_BITS = 20
MAX_OUTPUT_BITS = 60


@dataclass(frozen=True)
class Certificate:
    """Properties of a table over all input codes (for a reciprocal, the positive ones)."""

    max_error_lsb: float  # the largest |table - function|, in output steps
    monotonic: bool  # never falls where the function rises, nor rises where it falls; GELU does both
    symmetric: bool | None  # f(-x) = 1 - f(x), or -f(x), exactly; None: not a property of the function


@dataclass(frozen=True)
class Table:
    """A lookup table: `function` at every value of `input_format`, each correctly rounded by `output`.

    Entries are in the order of hardware addresses, the input's bit pattern as an unsigned number. So the entry of a
    negative code c is at c + 2**bits, which is also NumPy's `ints[c]`.

    >>> Table("sigmoid", QFormat(2, 1), Quantizer(QFormat(0, 8, signed=False))).ints
    array([128, 159, 187, 209,  31,  47,  69,  97])
    """

    function: str
    input_format: QFormat
    output: Quantizer

    def __post_init__(self) -> None:
        if self.function not in EXACT_FUNCTIONS:
            known = ", ".join(EXACT_FUNCTIONS)
            raise ValueError(f"there is no table of {self.function!r}; there are {known}")
        if not isinstance(self.input_format, QFormat):
            raise TypeError(f"input_format of a Table is a QFormat, not {self.input_format!r}")
        if not isinstance(self.output, Quantizer):
            raise TypeError(f"output of a Table is a Quantizer, not {self.output!r}")
        if self.input_format.bits > MAX_ADDRESS_BITS:
            raise ValueError(
                f"a table over {self.input_format} would have 2**{self.input_format.bits} entries; "
                f"cast its input to {MAX_ADDRESS_BITS} bits or fewer"
            )
        if self.output.format.bits > MAX_OUTPUT_BITS:
            raise ValueError(
                f"a table's output has at most {MAX_OUTPUT_BITS} bits, unlike {self.output.format}"
            )

    @cached_property
    def ints(self) -> Ints:
        """The entries by address, (2**bits,) int64, read-only."""
        return _build(self.function, self.input_format, self.output)

    @cached_property
    def entries(self) -> BoundedInts:
        """The entries as `BoundedInts`."""
        return _entries(self.function, self.input_format, self.output)

    def lookup(self, ints: Array) -> Ints:
        """The entry of each input code."""
        entries: Ints = self.ints[np.asarray(ints)]
        return entries

    def codes(self, x: Array) -> NDArray[np.intp]:
        """The integers of values of the input format."""
        return np.ldexp(np.asarray(x, np.float64), self.input_format.frac_bits).astype(np.intp)

    def on_floats(self, x: Array) -> NDArray[np.float64]:
        """The entries as real numbers, for values of the input format."""
        codes = self.codes(x)
        return _real(self.function, self.input_format, self.output)[codes]

    def slopes_on_floats(self, x: Array) -> NDArray[np.float64]:
        """The real slope at values of the input format: the mean of the steps to both neighbouring entries."""
        source = self.input_format
        ascending = np.roll(self.ints, -source.int_min) * self.output.format.step
        slopes: NDArray[np.float64] = np.gradient(ascending, source.step)[self.codes(x) - source.int_min]
        return slopes

    def certificate(self) -> Certificate:
        """The certificate, checked over every input code."""
        return _certificate(self.function, self.input_format, self.output)


@lru_cache(maxsize=256)
def _build(name: str, source: QFormat, output: Quantizer) -> Ints:
    function, codes = EXACT_FUNCTIONS[name], _codes(source)
    lsb_bits = output.format.frac_bits
    first, last = source.int_min, source.int_max
    if function.tail is not None:
        limit = _code(function.tail(max(lsb_bits, 0)), source)
        first = max(first, -limit)
        if function.tail_on_the_right:
            last = min(last, limit)
        elif output.overflow is not Overflow.WRAP:
            # exp exceeds the range, and stays there: 3 > 2/log(2), and 3 more bits exceed the format.
            last = min(last, _code(3 * max(output.format.int_bits + 3, 1), source))
    if function.positive_only:
        first = 1
    entries = _rounded(function, np.arange(first, last + 1), source, output)
    ints = entries[np.clip(codes, first, last) - first]
    if function.positive_only:
        least, most = output.format.int_min, output.format.int_max
        ints[codes <= 0] = {"largest": most, "lowest": least, "zero": 0}[function.elsewhere]
    ints.flags.writeable = False
    return ints


@lru_cache(maxsize=256)
def _entries(name: str, source: QFormat, output: Quantizer) -> BoundedInts:
    return BoundedInts.of(_build(name, source, output))


@lru_cache(maxsize=256)
def _real(name: str, source: QFormat, output: Quantizer) -> NDArray[np.float64]:
    real: NDArray[np.float64] = np.ldexp(_build(name, source, output), -output.format.frac_bits)
    return real


@lru_cache(maxsize=256)
def _certificate(name: str, source: QFormat, output: Quantizer) -> Certificate:
    function, codes, ints = EXACT_FUNCTIONS[name], _codes(source), _build(name, source, output)
    order = np.argsort(codes)
    codes, ints = codes[order], ints[order]
    if function.positive_only:
        codes, ints = codes[codes > 0], ints[codes > 0]
    real = np.ldexp(_estimate(function, codes, source), output.format.frac_bits)
    steps = np.diff(ints)
    monotonic = bool((steps >= 0).all()) if function.rising is not False else bool((steps <= 0).all())
    symmetric = None
    if function.mirror is not None and source.signed:
        # The lowest code has no negative.
        paired = ints[1:]
        constant = Fraction(function.mirror) * Fraction(2) ** output.format.frac_bits
        symmetric = bool((paired + paired[::-1] == constant).all())
    return Certificate(float(np.abs(ints - real).max()), monotonic, symmetric)


def _codes(source: QFormat) -> Ints:
    """All input codes, in the order of addresses."""
    addresses = np.arange(1 << source.bits)
    return np.where(addresses > source.int_max, addresses - (1 << source.bits), addresses)


def _code(x: int, source: QFormat) -> int:
    """The code of x, or the next one above it."""
    shift = source.frac_bits
    return x << shift if shift >= 0 else (x >> -shift) + 1


def _estimate(function: ExactFunction, codes: Ints, source: QFormat) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        return function.estimate(np.ldexp(codes.astype(np.float64), -source.frac_bits))


def _rounded(function: ExactFunction, codes: Ints, source: QFormat, output: Quantizer) -> Ints:
    """The function at each code, correctly rounded.

    Every rounding depends only on the half step that contains the value y. In quarters of a step that is 2*floor(2*y),
    plus 1 unless 2*y is an integer; the quantizer itself rounds these quarters.

    If the float estimate is further from a half step than its error, it decides; else decimal arithmetic does.
    """
    lsb_bits = output.format.frac_bits
    with np.errstate(all="ignore"):
        halves = np.ldexp(_estimate(function, codes, source), lsb_bits + 1)
        away = np.abs(halves - np.rint(halves)) > np.abs(halves) * 2.0**-40
        easy = away & (np.abs(halves) < FLOAT64_EXACT)
    quarters = np.where(easy, 2 * np.floor(np.where(easy, halves, 0)) + 1, 0).astype(np.int64)
    modulus = 1 << (output.format.bits + 2)
    for i in np.flatnonzero(~easy):
        x = Fraction(int(codes[i])) / Fraction(2) ** source.frac_bits
        exact = _quarters(function, x, lsb_bits)
        if output.overflow is Overflow.WRAP:
            exact = exact % modulus - (modulus if exact < 0 else 0)  # roundings depend on the sign
        quarters[i] = max(min(exact, 2**62), -(2**62))  # outside every output format either way
    return output.from_ints(quarters, lsb_bits + 2)


def _quarters(function: ExactFunction, x: Fraction, lsb_bits: int) -> int:
    scale = Fraction(2) ** (lsb_bits + 1)
    value = function.rational(x)
    if value is not None:
        halves = value * scale
        return 2 * floor(halves) + (halves.denominator != 1)
    line = None if function.far is None else function.far(x, _finest(x, lsb_bits))
    if line is not None:
        halves, side = line[0] * scale, line[1]
        return 2 * floor(halves) + (1 if halves.denominator != 1 else side)
    assert function.decimal is not None
    digits = 40
    while True:
        with localcontext(Context(prec=digits, Emin=-999999999999999999, Emax=999999999999999999)):
            at = Decimal(x.numerator) / Decimal(x.denominator)
            factor = Decimal(scale.numerator) / Decimal(scale.denominator)
            y = function.decimal(at)
            margin = (max(abs(y), Decimal(1)) * (1 + abs(at)) * factor).scaleb(6 - digits)
            below, above = floor(y * factor - margin), floor(y * factor + margin)
            if below == above and y * factor - margin > below:
                return 2 * below + 1
        digits *= 2


def _finest(x: Fraction, lsb_bits: int) -> int:
    """The n for which no half step, except one on the line itself, is within 2**-n of a line through x."""
    return max(lsb_bits + 1, x.denominator.bit_length() - 1) + 1
