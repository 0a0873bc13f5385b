# SPDX-License-Identifier: MIT
"""The engine's form of a rescaled sum: a multiplier and a shift per channel.

`frac` are the fraction bits of the sum, `ends` its (lowest, highest) integer per channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.hardware.compiler.step_functions import HIGH_PRODUCT, found, steps_of
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding, shift_right

MOST_CODES = 1 << 10  # codes of a step function that is compared step by step
Form = tuple[tuple[int, ...], tuple[int, ...], bool]  # (multipliers, shifts, whether two roundings follow)


@dataclass(frozen=True)
class Chain:
    """The chain of verbs from a sum to its cast."""

    source: int
    factor: FixedArray
    offset: FixedArray | None
    first: Quantizer | None
    power: FixedArray | None
    last: Quantizer
    between: tuple[int, ...]


def once(chain: Chain, frac: int, ends: Sequence[tuple[int, int]], most_bits: int) -> Form | None:
    """The form with one rounding, if any; an offset becomes the first of two roundings, or another multiplier."""
    channels = len(ends)
    ms = each(chain.factor.ints, channels)
    shift = frac + chain.factor.format.frac_bits - chain.last.format.frac_bits
    if chain.offset is None:
        return (*_shortest(ms, [shift] * channels), False)
    up = frac + chain.factor.format.frac_bits - chain.offset.format.frac_bits
    if up < 0 or shift < 1 or chain.last.rounding is not Rounding.HALF_UP:
        return None
    offsets = [offset << up for offset in each(chain.offset.ints, channels)]
    f = chain.last.format
    if chain.last.overflow is not Overflow.SATURATE or f.int_max - f.int_min > MOST_CODES or min(ms) < 1:
        return None
    for rounds_twice in (True, False):
        known: dict[tuple[int, ...], tuple[int, int] | None] = {}
        for m, offset, (low, high) in zip(ms, offsets, ends, strict=True):
            channel = (m, offset, low, high)
            if channel not in known:
                steps = steps_of(m, offset, shift, (low, high), (f.int_min, f.int_max))
                slope = m / (1 << shift)
                known[channel] = found(steps, slope, most_bits, chain.last.rounding, rounds_twice)
            if known[channel] is None:
                break
        else:
            pairs = [known[m, o, low, high] for m, o, (low, high) in zip(ms, offsets, ends, strict=True)]
            factors, shifts = zip(*(pair for pair in pairs if pair is not None), strict=True)
            return tuple(factors), tuple(shifts), rounds_twice
    return None


def twice(chain: Chain, frac: int, ends: Sequence[tuple[int, int]]) -> Form | None:
    """The form with two roundings, the first half up after 31 bits, if any."""
    channels = len(ends)
    first, last, power = chain.first, chain.last, chain.power
    assert first is not None and power is not None
    if chain.offset is not None or first.rounding is not Rounding.HALF_UP:
        return None
    one = frac + chain.factor.format.frac_bits - first.format.frac_bits  # bits dropped by the first rounding
    two = first.format.frac_bits + power.format.frac_bits - last.format.frac_bits
    seconds = [two - p.bit_length() + 1 for p in each(power.ints, channels)]
    if one < 0 or min(seconds) < 0:
        return None
    factors, shifts = [], []
    for m, second, (low, high) in zip(each(chain.factor.ints, channels), seconds, ends, strict=True):
        if not _passes(first, last, second, one, sorted((low * m, high * m))):
            return None
        if not second:  # one rounding
            (m,), (total,) = _shortest([m], [one])
            if total > HIGH_PRODUCT:
                return None
        else:
            down = one - HIGH_PRODUCT
            if down >= 0 and m & (1 << down) - 1:
                return None
            m, total = m >> down if down >= 0 else m << -down, HIGH_PRODUCT + second
        factors.append(m)
        shifts.append(total)
    return tuple(factors), tuple(shifts), True


def _passes(first: Quantizer, last: Quantizer, second: int, one: int, products: Sequence[int]) -> bool:
    """Whether everything that the first cast saturates is also saturated by the last one."""
    f, ends = first.format, [int(shift_right(np.array(p, object), one, first.rounding)) for p in products]
    if f.int_min <= ends[0] and ends[1] <= f.int_max:
        return True
    if first.overflow is not Overflow.SATURATE or last.overflow is not Overflow.SATURATE:
        return False
    low, high = (
        int(shift_right(np.array(end, object), second, last.rounding)) for end in (f.int_min, f.int_max)
    )
    return low <= last.format.int_min and last.format.int_max <= high


def _shortest(ms: Sequence[int], shifts: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(multipliers, shifts) without common trailing zeros."""
    pairs = list(map(_short, ms, shifts))
    return tuple(m for m, _ in pairs), tuple(shift for _, shift in pairs)


def _short(m: int, shift: int) -> tuple[int, int]:
    if shift < 0:
        return m << -shift, 0
    zeros = min((m & -m).bit_length() - 1, shift) if m else shift
    return m >> zeros, shift - zeros


def each(ints: Array, channels: int) -> list[int]:
    """The integers as a list of one per channel."""
    values: list[int] = np.broadcast_to(np.asarray(ints).reshape(-1), (channels,)).tolist()
    return values
