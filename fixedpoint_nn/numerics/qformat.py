# SPDX-License-Identifier: MIT
"""Q formats: the width of an integer and the position of its binary point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ldexp
from operator import index

MAX_BITS = 63
# Within these limits every value of every format is a finite double, and so is its step.
MIN_FRAC_BITS, MAX_FRAC_BITS = -960, 1074

_NUMBER = r"\s*(-?\d+)\s*"
_DOTTED = re.compile(rf"(U?)Q{_NUMBER}\.{_NUMBER}")
_CALL = re.compile(rf"(U?)Q\({_NUMBER},{_NUMBER}\)")
_FXP = re.compile(r"fxp-([su])(\d+)/(-?\d+)")
_AMD = re.compile(rf"(?:ap_)?(u?)fixed<{_NUMBER},{_NUMBER}>")
_AMD_INT = re.compile(rf"(?:ap_)?(u?)int<{_NUMBER}>")


@dataclass(frozen=True)
class QFormat:
    """A fixed-point format: integers of `int_bits + frac_bits` bits that represent `integer * 2**-frac_bits`.

    The sign bit is counted in `int_bits`, so Q(4, 12) has 16 bits and is ap_fixed<16,4>. Either part may be negative;
    together they are 1 to 63 bits.

    >>> QFormat.parse("ap_fixed<16,4>")
    Q(4, 12)
    >>> Q(4, 12).bits, Q(4, 12).min, Q(4, 12).max, Q(4, 12).step
    (16, -8.0, 7.999755859375, 0.000244140625)
    """

    int_bits: int
    frac_bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        for name in ("int_bits", "frac_bits"):
            value = getattr(self, name)
            try:
                if isinstance(value, bool):
                    raise TypeError
                object.__setattr__(self, name, index(value))
            except TypeError:
                raise TypeError(f"{name} of a format is an integer, not {value!r}") from None
        if not isinstance(self.signed, bool):
            raise TypeError(f"signed of a format is True or False, not {self.signed!r}")
        if not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"a format has 1 to {MAX_BITS} bits, but {self!r} would have {self.bits}")
        if not MIN_FRAC_BITS <= self.frac_bits <= MAX_FRAC_BITS:
            raise ValueError(
                f"{self!r} has values outside the range of a double; "
                f"use {MIN_FRAC_BITS} to {MAX_FRAC_BITS} fraction bits"
            )

    def __repr__(self) -> str:
        return f"{'Q' if self.signed else 'UQ'}({self.int_bits}, {self.frac_bits})"

    @property
    def bits(self) -> int:
        """The width in bits, sign included."""
        return self.int_bits + self.frac_bits

    # Every operation uses these, so they are cached.

    @cached_property
    def int_min(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @cached_property
    def int_max(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - self.signed)) - 1

    @cached_property
    def magnitude(self) -> int:
        """The largest |integer|."""
        return max(-self.int_min, self.int_max)

    @cached_property
    def _hash(self) -> int:
        return hash((self.int_bits, self.frac_bits, self.signed))

    def __hash__(self) -> int:
        return self._hash

    @property
    def min(self) -> float:
        """The smallest value."""
        return ldexp(self.int_min, -self.frac_bits)

    @property
    def max(self) -> float:
        """The largest value; above 53 bits, the nearest double."""
        return ldexp(self.int_max, -self.frac_bits)

    @property
    def step(self) -> float:
        """The distance between neighbouring values."""
        return ldexp(1.0, -self.frac_bits)

    # ---- text ----------------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, text: str) -> QFormat:
        """The format in a text, such as Q4.12, UQ0.8, Q(4, 12), fxp-s16/12, ap_ufixed<8,0>, fixed<16,4> or ap_int<8>.

        Any other text raises ValueError.
        """
        if not isinstance(text, str):
            raise TypeError(f"a format is parsed from text, not from {text!r}")
        stripped = text.strip()
        if found := _DOTTED.fullmatch(stripped) or _CALL.fullmatch(stripped):
            return cls(int(found[2]), int(found[3]), signed=not found[1])
        if found := _FXP.fullmatch(stripped):
            bits, frac_bits = int(found[2]), int(found[3])
            return cls(bits - frac_bits, frac_bits, signed=found[1] == "s")
        if found := _AMD.fullmatch(stripped):
            bits, int_bits = int(found[2]), int(found[3])
            return cls(int_bits, bits - int_bits, signed=not found[1])
        if found := _AMD_INT.fullmatch(stripped):
            return cls(int(found[2]), 0, signed=not found[1])
        raise ValueError(
            f"{text!r} is not a format; write it like 'Q4.12', 'UQ0.8', 'fxp-s16/12' or 'ap_fixed<16,4>'"
        )

    # ---- growth --------------------------------------------------------------------------------------------

    @classmethod
    def enclosing(cls, lo: int, hi: int, frac_bits: int, signed: bool = True) -> QFormat:
        """The smallest format that holds the integers lo..hi."""
        return _enclosing(lo, hi, frac_bits, signed, f"the range {lo}..{hi}")

    @classmethod
    def of_int(cls, value: int) -> QFormat:
        """The smallest integer format that holds `value`; unsigned unless it is negative."""
        return _enclosing(min(value, 0), max(value, 0), 0, value < 0, f"the number {value}")

    @classmethod
    def for_sum(cls, a: QFormat, b: QFormat | None = None, *, terms: int | None = None) -> QFormat:
        """The smallest format for every a + b, or for every sum of `terms` values of one format."""
        if (b is None) == (terms is None):
            raise TypeError("for_sum takes a second format, or terms=, and not both")
        return _for_sum(a, b) if b is not None else _for_terms(a, _positive(terms))

    @classmethod
    def for_difference(cls, a: QFormat, b: QFormat) -> QFormat:
        """The smallest signed format for every a - b."""
        return _for_difference(a, b)

    @classmethod
    def for_negation(cls, a: QFormat) -> QFormat:
        """The smallest signed format for every -a."""
        return _for_negation(a)

    @classmethod
    def for_product(cls, a: QFormat, b: QFormat) -> QFormat:
        """The smallest format for every a * b."""
        return _for_dot(a, b, 1)

    @classmethod
    def for_dot(cls, a: QFormat, b: QFormat, terms: int) -> QFormat:
        """The smallest format for every sum of `terms` products a * b."""
        return _for_dot(a, b, _positive(terms))

    @classmethod
    def for_maximum(cls, a: QFormat, b: QFormat) -> QFormat:
        """The smallest format for every max(a, b)."""
        return _for_maximum(a, b)

    @classmethod
    def for_minimum(cls, a: QFormat, b: QFormat) -> QFormat:
        """The smallest format for every min(a, b)."""
        return _for_minimum(a, b)

    @classmethod
    def for_any(cls, formats: Sequence[QFormat]) -> QFormat:
        """The smallest format that holds every value of each of these."""
        return _for_any(tuple(formats))


def Q(int_bits: int, frac_bits: int) -> QFormat:
    """The signed format with these integer bits, sign included, and fraction bits: Q(4, 12) holds -8 to 8 - 2**-12."""
    return QFormat(int_bits, frac_bits)


def UQ(int_bits: int, frac_bits: int) -> QFormat:
    """The unsigned format with these integer and fraction bits: UQ(0, 8) holds 0 to 1 - 2**-8."""
    return QFormat(int_bits, frac_bits, signed=False)


def _positive(terms: int | None) -> int:
    if terms is None or terms < 1:
        raise ValueError(f"a sum has one term or more, not {terms}")
    return terms


def _enclosing(lo: int, hi: int, frac_bits: int, signed: bool, what: str) -> QFormat:
    """The smallest format that holds lo..hi: n bits hold -2**(n-1)..2**(n-1)-1, and ~lo is -lo-1."""
    if lo > hi:
        raise ValueError(f"the range {lo}..{hi} is empty; give the smaller integer first")
    if lo < 0 and not signed:
        raise ValueError(f"an unsigned format does not hold {lo}")
    bits = max(hi, 0).bit_length()
    if signed:
        bits = max(bits, (~lo).bit_length() if lo < 0 else 0) + 1
    bits = max(bits, 1)
    if bits > MAX_BITS:
        raise ValueError(f"{what} needs {bits} bits, and {MAX_BITS} is the most; cast to fewer bits first")
    return QFormat(bits - frac_bits, frac_bits, signed)


def _aligned(a: QFormat, frac_bits: int) -> tuple[int, int]:
    """The format's range in integers of `frac_bits` fraction bits."""
    shift = frac_bits - a.frac_bits
    return a.int_min << shift, a.int_max << shift


@lru_cache(maxsize=4096)
def _for_sum(a: QFormat, b: QFormat) -> QFormat:
    frac = max(a.frac_bits, b.frac_bits)
    (a_lo, a_hi), (b_lo, b_hi) = _aligned(a, frac), _aligned(b, frac)
    return _enclosing(a_lo + b_lo, a_hi + b_hi, frac, a.signed or b.signed, f"the sum of {a} and {b}")


@lru_cache(maxsize=4096)
def _for_terms(a: QFormat, terms: int) -> QFormat:
    what = f"the sum of {terms} terms of {a}"
    return _enclosing(a.int_min * terms, a.int_max * terms, a.frac_bits, a.signed, what)


@lru_cache(maxsize=4096)
def _for_difference(a: QFormat, b: QFormat) -> QFormat:
    frac = max(a.frac_bits, b.frac_bits)
    (a_lo, a_hi), (b_lo, b_hi) = _aligned(a, frac), _aligned(b, frac)
    return _enclosing(a_lo - b_hi, a_hi - b_lo, frac, True, f"the difference of {a} and {b}")


@lru_cache(maxsize=4096)
def _for_negation(a: QFormat) -> QFormat:
    return _enclosing(-a.int_max, -a.int_min, a.frac_bits, True, f"the negation of {a}")


@lru_cache(maxsize=4096)
def _for_dot(a: QFormat, b: QFormat, terms: int) -> QFormat:
    """Extremes of a product are products of extremes, and every term can reach them."""
    corners = [x * y for x in (a.int_min, a.int_max) for y in (b.int_min, b.int_max)]
    what = f"the product of {a} and {b}" if terms == 1 else f"the sum of {terms} products of {a} and {b}"
    return _enclosing(
        terms * min(corners), terms * max(corners), a.frac_bits + b.frac_bits, a.signed or b.signed, what
    )


@lru_cache(maxsize=4096)
def _for_maximum(a: QFormat, b: QFormat) -> QFormat:
    frac = max(a.frac_bits, b.frac_bits)
    (a_lo, a_hi), (b_lo, b_hi) = _aligned(a, frac), _aligned(b, frac)
    lo, hi = max(a_lo, b_lo), max(a_hi, b_hi)
    return _enclosing(lo, hi, frac, lo < 0, f"the maximum of {a} and {b}")


@lru_cache(maxsize=4096)
def _for_minimum(a: QFormat, b: QFormat) -> QFormat:
    frac = max(a.frac_bits, b.frac_bits)
    (a_lo, a_hi), (b_lo, b_hi) = _aligned(a, frac), _aligned(b, frac)
    lo, hi = min(a_lo, b_lo), min(a_hi, b_hi)
    return _enclosing(lo, hi, frac, lo < 0, f"the minimum of {a} and {b}")


@lru_cache(maxsize=4096)
def _for_any(formats: tuple[QFormat, ...]) -> QFormat:
    frac = max(f.frac_bits for f in formats)
    ranges = [_aligned(f, frac) for f in formats]
    lo, hi = min(lo for lo, _ in ranges), max(hi for _, hi in ranges)
    names = ", ".join(str(f) for f in formats)
    return _enclosing(lo, hi, frac, any(f.signed for f in formats), f"a format for all of {names}")
