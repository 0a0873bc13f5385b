# SPDX-License-Identifier: MIT
"""Real multipliers as integers: of 31 bits and a shift, or of fewer bits, proven to round equally."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import frexp
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited

ONE = 1 << 31
MOST_MULTIPLIER_BITS = 31


def quantized_multiplier(real: float) -> tuple[int, int]:
    """(m, shift) with real = m / 2**31 * 2**shift and m of 31 bits, as TFLite computes them."""
    if not np.isfinite(real) or real < 0:
        raise Unsuited(f"has the multiplier {real}, which is no positive number")
    if real == 0:
        return 0, 0
    fraction, shift = frexp(real)
    m = int(np.floor(fraction * ONE + 0.5))  # exact: the fraction has 53 bits, and m 31
    if m == ONE:
        m, shift = m // 2, shift + 1
    if shift < -31:
        m, shift = 0, 0
    if shift > 30:
        m, shift = ONE - 1, 30
    return m, shift


def quantized_multipliers(reals: Any) -> tuple[list[int], list[int]]:
    """(multipliers, shifts) of several reals, by `quantized_multiplier`."""
    pairs = [quantized_multiplier(float(real)) for real in np.atleast_1d(reals)]
    return [m for m, _ in pairs], [shift for _, shift in pairs]


def high_product(x: int, m: int) -> int:
    """x * m / 2**31, rounded half up: gemmlowp's saturating rounding doubling high product."""
    return (x * m + (1 << 30)) >> 31


def rounding_shift(x: int, shift: int) -> int:
    """x / 2**shift, rounded half away from zero."""
    if shift == 0:
        return x
    half = 1 << (shift - 1)
    return (x + half) >> shift if x >= 0 else -((-x + half) >> shift)


def multiplied(x: int, m: int, shift: int) -> int:
    """x * m / 2**31 * 2**shift, rounded twice, as TFLite's kernels for 8-bit activations do."""
    return rounding_shift(high_product(x << max(shift, 0), m), max(-shift, 0))


@dataclass(frozen=True)
class Proven:
    """Multipliers m and shifts per channel, for which round(x * m / 2**shift) is proven correct at every sum.

    With `low`, x * m / 2**low is first rounded down, so that the product has few more bits than x.
    """

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    low: int = 0


def proven_multiplier(
    reals: Any, sums: tuple[int, int], codes: tuple[int, int], fewest_bits: int = 8
) -> Proven:
    """Multipliers of few bits for codes = round(float64(x) * real), ties away from zero.

    Both functions are monotonic, so they are equal if each code is first reached at the same sum. These sums are
    compared for every code in `codes`, over all sums x in `sums`.
    """
    reals = np.atleast_1d(np.asarray(reals, np.float64))
    if not (np.isfinite(reals).all() and (reals > 0).all()):
        raise Unsuited(f"has the multiplier {reals.min()}, which is no positive number")
    reached = np.arange(codes[0] + 1, codes[1] + 1, dtype=np.int64)[np.newaxis]
    wanted = _first_sums(reals[:, np.newaxis], reached, sums)
    channels = deque(range(len(reals)))  # the one for which the last width was too small first

    def proven(pairs: Sequence[tuple[int, int]], low: int = 0) -> Proven | None:
        """The multipliers with these shifts, or their neighbours, that are the same in every channel."""
        found = dict.fromkeys(range(len(pairs)), 0)
        for channel in channels:
            m, shift = pairs[channel]
            for near in (m, m + 1, m - 1):
                if _same(near, shift, low, reached[0], wanted[channel], sums):
                    found[channel] = near
                    break
            else:
                channels.remove(channel)
                channels.appendleft(channel)
                return None
        return Proven(tuple(found.values()), tuple(shift for _, shift in pairs), low)

    step = 1 if reached.size < 1024 else 5
    for bits in (*range(fewest_bits, MOST_MULTIPLIER_BITS, step), MOST_MULTIPLIER_BITS):
        if result := proven([_of_bits(float(real), bits) for real in reals]):
            return result
    for bits, low in ((40, 12), (46, 16), (52, 22)):  # bits of the largest one; all have the same shift
        shift = _of_bits(float(reals.max()), bits)[1]
        if result := proven([(int(np.floor(np.ldexp(real, shift) + 0.5)), shift) for real in reals], low):
            return result
    raise Unsuited(f"multiplies by {reals.max()}, for which no multiplier of 52 bits rounds alike")


def _of_bits(real: float, bits: int) -> tuple[int, int]:
    fraction, exponent = frexp(real)
    return int(np.floor(fraction * (1 << bits) + 0.5)), bits - exponent


def round_away(x: Any) -> Any:
    """Floats rounded to the nearest integer, ties away from zero, exactly."""
    whole = np.trunc(x)
    return whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0)


def _first_sums(reals: Any, codes: Any, sums: tuple[int, int]) -> Any:
    """For each code the smallest sum with round(sum * real) >= code, or one past the largest sum."""
    low, high = sums[0] - 1, sums[1] + 1
    guess = np.clip(np.ceil((codes - 0.5) / reals), low, high)
    for _ in range(5):  # the estimate can be off by one
        early = (guess > low) & (round_away((guess - 1) * reals) >= codes)
        late = (guess < high) & (round_away(guess * reals) < codes)
        if not (early | late).any():
            return np.clip(guess, sums[0], high).astype(np.int64)
        guess = np.where(early, guess - 1, np.where(late, guess + 1, guess))
    raise Unsuited("has a multiplier whose steps cannot be found")


def _same(m: int, shift: int, low: int, codes: Any, wanted: Any, sums: tuple[int, int]) -> bool:
    """Whether each code is first reached at the wanted sum; first asked for a few of them."""
    if m < 1 or shift <= low:
        return False
    return all(
        np.array_equal(_first_products(m, shift, low, codes[some], sums), wanted[some])
        for some in (slice(None, None, 255), slice(None))
    )


def _first_products(m: int, shift: int, low: int, codes: Any, sums: tuple[int, int]) -> Any:
    """For each code the smallest sum whose product with the multiplier rounds to it, or one past the largest sum.

    Code k > 0 is reached where floor(x * m / 2**low) >= (2k - 1) * 2**(shift - low - 1), and k <= 0 where it is
    greater. The quotient in floats is wrong by less than 2**-50 of itself; close to an integer it is computed exactly.
    """
    quotient = np.ldexp(np.ldexp(2.0 * codes - 1, shift - low - 1) + (codes <= 0), low) / m
    first = np.clip(np.ceil(quotient), sums[0], sums[1] + 1)
    close = np.abs(quotient - np.rint(quotient)) <= np.ldexp(np.abs(quotient), -50)
    close &= (quotient > sums[0] - 2) & (quotient < sums[1] + 2)
    if close.any():
        some = codes[close].astype(object)
        ties = (2 * some - 1) * (1 << (shift - low - 1)) + (some <= 0)
        first[close] = np.clip(-(-ties * (1 << low) // m), sums[0], sums[1] + 1)
    return first.astype(np.int64)
