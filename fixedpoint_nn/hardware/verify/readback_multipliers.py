# SPDX-License-Identifier: MIT
"""Sums that distinguish a parameter word {multiplier, shift, bias} from every word that differs in one bit.

The requantiser's result is ((sum + bias) * multiplier) >> shift, saturated or wrapped to a word, or rounded half up.
The lowest bit of the multiplier changes the product by `sum + bias` only, which is visible only next to a multiple of
2**shift, or of half of it. The sums whose products come closest to one are the best rational approximations of
multiplier / 2**shift. From these, sums around changes of small results, powers of two and some others, those are
chosen greedily that reveal the most new bits; for bits that remain, all sums are tried. A bit that is still not seen
changes the result of no sum that was tried, or its word has no sum left.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fixedpoint_nn.hardware.emulator.datapath import exact_products
from fixedpoint_nn.hardware.isa.config import SHIFT_BITS, EngineConfig
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS
from fixedpoint_nn.numerics.arrays import Ints

FLOOR, HALF_UP = ROUNDINGS.index("FLOOR"), ROUNDINGS.index("HALF_UP")
SATURATE, WRAP = OVERFLOWS.index("SATURATE"), OVERFLOWS.index("WRAP")
SATURATED, WRAPPED, ROUNDED = (FLOOR, SATURATE), (FLOOR, WRAP), (HALF_UP, WRAP)
Mode = tuple[int, int]  # rounding and overflow
MODES = (SATURATED,) * 4 + (WRAPPED,) * 4 + (ROUNDED,) * 4  # of the sums for one word
SEARCHED = 1 << 20  # sums on each side that are tried exhaustively if nothing else reveals a bit
NEAR_TAPS = 256  # products per sum, if that is enough


def telling_sums(config: EngineConfig, words: Ints, reach: int) -> tuple[list[list[int]], list[bool]]:
    """For each word {shift, bias, multiplier} one sum per entry of `MODES`, and whether they reveal every bit."""
    half = 1 << config.activation_width - 1
    near = min(reach, NEAR_TAPS * (half - 1) ** 2)
    found = [_of_word(config, tuple(word), near, reach) for word in words.tolist()]
    return [sums for sums, _ in found], [whole for _, whole in found]


def results(width: int, sums: Ints, words: Ints, mode: Mode) -> Ints:
    """The requantiser's results (n, k) for sums (n,) and words (k, 3)."""
    rounding, overflow = mode
    products, shifts = exact_products(np.asarray(sums)[:, np.newaxis] + words[:, 1], words[:, 2]), words[:, 0]
    values = products >> shifts
    if rounding == HALF_UP:  # one more if the highest dropped bit is set
        values = values + np.where(shifts > 0, products >> np.maximum(shifts - 1, 0) & 1, 0)
    half = 1 << width - 1
    fitted = (
        np.clip(values, -half, half - 1) if overflow == SATURATE else (values + half & 2 * half - 1) - half
    )
    return np.asarray(fitted, np.int64)


def _of_word(
    config: EngineConfig, word: tuple[int, int, int], near: int, reach: int
) -> tuple[list[int], bool]:
    """(sums, in the order of MODES, whose results show a change of a bit of this word; whether they show all bits)."""
    others = np.array([word, *_flipped(config, word)], np.int64)
    chosen: dict[Mode, list[int]] = {SATURATED: [], WRAPPED: [], ROUNDED: []}
    unseen = np.ones(len(others) - 1, bool)
    for most, searched in ((near, False), (reach, False), (reach, True)):
        places = set(_searched(word, others[1:][unseen], most) if searched else _candidates(word, most))
        if not places:
            continue
        sums = np.array(sorted(places, key=lambda x: (abs(x), x)), np.int64)
        shown = {}
        for mode in chosen:
            got = results(config.activation_width, sums, others, mode)
            shown[mode] = got[:, 1:] != got[:, :1]
        while unseen.any():
            gains = {
                mode: (shown[mode] & unseen).sum(axis=1)
                for mode, taken in chosen.items()
                if len(taken) < MODES.count(mode)
            }
            if not gains or max(int(gain.max()) for gain in gains.values()) == 0:
                break
            mode = max(gains, key=lambda one: int(gains[one].max()))
            place = int(gains[mode].argmax())
            chosen[mode].append(int(sums[place]))
            unseen &= ~shown[mode][place]
        if not unseen.any():
            break
    filled = [(taken + [0] * MODES.count(mode))[: MODES.count(mode)] for mode, taken in chosen.items()]
    return [one for taken in filled for one in taken], not unseen.any()


def _flipped(config: EngineConfig, word: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
    """All words that differ from this one in one bit."""
    shift, bias, multiplier = word
    for bit in range(SHIFT_BITS):
        yield shift ^ 1 << bit, bias, multiplier
    for bit in range(config.bias_width):
        yield shift, _signed(bias ^ 1 << bit, config.bias_width), multiplier
    for bit in range(config.multiplier_width):
        yield shift, bias, _signed(multiplier ^ 1 << bit, config.multiplier_width)


def _signed(pattern: int, bits: int) -> int:
    return (pattern + (1 << bits - 1) & (1 << bits) - 1) - (1 << bits - 1)


def _candidates(word: tuple[int, int, int], most: int) -> Iterator[int]:
    """Sums up to `most` that may reveal bits of a word."""
    shift, bias, multiplier = word
    places = {0, most, -most, *(sign << power for power in range(most.bit_length()) for sign in (1, -1))}
    if multiplier:
        places |= {(u << shift >> 1) // multiplier for u in range(-6, 7)}
        places |= {
            sign * below for below in _denominators(abs(multiplier), 1 << shift, 2 * most) for sign in (1, -1)
        }
    for place in places:
        for step in (-1, 0, 1):
            if abs(place + step - bias) <= most:
                yield place + step - bias
            if abs(place + step) <= most:
                yield place + step


def _searched(word: tuple[int, int, int], others: Ints, most: int) -> Iterator[int]:
    """The smallest sums, up to 2**20, at which other multipliers give another result."""
    shift, bias, multiplier = word
    last = min(most - abs(bias), SEARCHED)
    if last < 1:
        return
    biased = np.arange(1, last + 1)
    biased = np.stack([biased, -biased], 1).reshape(-1)
    half = 1 << shift >> 1
    floors, nearest = biased * multiplier >> shift, biased * multiplier + half >> shift
    for other in others[(others[:, 0] == shift) & (others[:, 1] == bias), 2].tolist():
        changed = biased * other
        for differs in (changed >> shift != floors, changed + half >> shift != nearest):
            places = np.flatnonzero(differs)
            for place in (places[:2], places[-1:]):
                yield from (biased[place] - bias).tolist()


def _denominators(numerator: int, denominator: int, most: int) -> Iterator[int]:
    """The denominators of a fraction's best approximations, with small multiples and sums of two consecutive ones."""
    before, now = 1, 0
    while denominator:
        whole, rest = divmod(numerator, denominator)
        numerator, denominator = denominator, rest
        before, now = now, whole * now + before
        if now > most:
            return
        yield from (multiple * now for multiple in range(1, 4))
        yield now + before
        yield 2 * now + before
