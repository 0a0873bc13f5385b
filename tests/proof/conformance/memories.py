# SPDX-License-Identifier: MIT
"""The memories of the conformance programs: every word of each, and where in them what is found."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat
from tests.proof.conformance.sections import RandomSource

# The window: blocks of words all over the memory. The rest holds constants, which no section changes.
WINDOW = {"blocks": 8, "run": 24, "stride": 556, "address": 16}
ENDS = 65  # constants from the memory's word 208 on, and as many rows of weights, whose sums are the ends
ENDS_AT = 208
PLAIN = 3000  # parameters from here on: no shift, a small bias that is not negative
SHIFTED = PLAIN + 60  # four that shift by 9
WIDE = PLAIN + 64  # ten that shift by 3 to 12, to words from 128 to 236, which formats of 9 bits hold
FULL = WIDE + 10  # one for each lane, far beyond every format of a word, whatever a few products add
CLIPPING, CLIPS = 2 * ENDS, 20  # rows from here on, so many for each lane: its sums lose bits, others are 0
TOP, TOPS = (
    240,
    17,
)  # rows from here on, whose quantised products with -128 add up to the highest sum of 16 bits
TIES = 3100  # and from here on: biases that end in the middle between two words, or one beside it
LOST = TIES + 384  # and from here on: biases of a half and one bit more, all pairs of them
FAR = (
    LOST + 384
)  # and from here on: powers of two below 0 that leave few bits or the sign alone, all of them lost
RAMP, CLOSE = 2300, 2560  # activations from here on: all words in order; words that differ by little
SMALL_WEIGHTS = 1536  # rows from here on: -1, 0 and 1, for sums of many taps


def window() -> Port:
    words = WINDOW["blocks"] * WINDOW["run"]
    return Port((words,), QFormat(8, 0), WINDOW["address"], WINDOW["run"], WINDOW["stride"])


def memories(config: EngineConfig, draw: RandomSource) -> Images:
    """Every word of every memory, so that no address reads what nobody wrote."""
    lanes, bits = config.lanes, config.weight_width
    weights = draw.words(bits, (config.weight_depth, lanes))
    shifts = draw.rng.integers(0, 20, config.parameter_depth)
    far = draw.rng.integers(0, 64, config.parameter_depth)
    shifts = np.where(draw.rng.integers(0, 12, config.parameter_depth) == 0, far, shifts)
    biases = draw.words(config.bias_width, config.parameter_depth)
    weights[SMALL_WEIGHTS:] = draw.rng.integers(-1, 2, (config.weight_depth - SMALL_WEIGHTS, lanes))
    for place in range(TIES, TIES + 2 * window().words):
        shifts[place], biases[place] = _tie(draw, place - TIES, config.bias_width - 1)
    shifts[FULL : FULL + lanes], biases[FULL : FULL + lanes] = 12, 236 << 12
    for place, (shift, bias) in enumerate(_halves(2 * window().words, config.bias_width - 1), LOST):
        shifts[place], biases[place] = shift, bias
    for place, (power, shift) in enumerate(_powers(window().words, config.bias_width - 2), FAR):
        shifts[place], biases[place] = shift, -1 << power
    plain = slice(PLAIN, PLAIN + 64)
    shifts[plain], biases[plain] = 0, draw.rng.integers(0, 100, 64)
    shifts[SHIFTED : SHIFTED + 4] = 9
    for place in range(10):
        shifts[WIDE + place], biases[WIDE + place] = 3 + place, 128 + 12 * place << 3 + place
    activations = draw.words(config.activation_width, config.activation_depth)
    low, most = -(1 << bits - 1), 1 << config.accumulator_width - 1
    activations[RAMP : RAMP + 256] = np.arange(-128, 128)
    close = np.repeat(draw.rng.integers(-126, 126, 50), 8)
    activations[CLOSE : CLOSE + 400] = close + draw.rng.integers(-2, 3, 400)
    words = np.full(ENDS, -128)
    rows = np.full((ENDS, lanes), low)
    # 127 * w and -128 * w in all taps but the last two, which bring what is missing to the end.
    for lane in range(lanes):
        rows[:, lane] = _row_to(most - 1 if lane % 2 == 0 else -most, words, low)
    activations[ENDS_AT : ENDS_AT + ENDS] = words
    weights[:ENDS] = rows
    weights[ENDS : 2 * ENDS], weights[ENDS : 2 * ENDS, 0] = low, 0
    for lane in range(lanes):
        rows = slice(CLIPPING + lane * CLIPS, CLIPPING + (lane + 1) * CLIPS)
        weights[rows], weights[rows, lane] = 0, low
    if config.product_bits:
        weights[TOP : TOP + TOPS] = -60
        weights[TOP] = low
    columns = [shifts, biases]
    if config.multiplier_width:
        multipliers = draw.words(config.multiplier_width, config.parameter_depth)
        multipliers[PLAIN:] = 1  # what sections aim at
        columns.append(multipliers)
    return Images(
        [],
        weights,
        _in_rows(np.stack(columns, 1), config.drain),
        draw.words(config.activation_width, config.table_depth),
        activations,
    )


def _in_rows(parameters: Ints, drain: int) -> Ints:
    """Rows of `drain` parameters that begin with these; the others of a row are those after it."""
    places = np.arange(len(parameters))[:, None] + np.arange(drain)
    rows: Ints = parameters[places % len(parameters)].reshape(-1, parameters.shape[1])
    return rows


def _tie(draw: RandomSource, number: int, bits: int) -> tuple[int, int]:
    """A shift, and a bias in the middle between two words, or that and one bit, or a power of two."""
    if number % 3 == 0:
        shift = number // 3 % (bits - 3) + 1
        return shift, (2 * draw.between(-3, 2) + 1 << shift - 1) + draw.of(-1, 0, 0, 1)
    if number % 3 == 1:
        shift = draw.between(17 if number % 2 else 4, bits - 2)
        one = number // 6 % 16 if number % 2 else draw.between(0, shift - 2)
        return shift, (2 * draw.between(-2, 1) + 1 << shift - 1) + draw.of(-1, 1) * (1 << one)
    power = number // 3 % bits
    shift = draw.of(draw.between(0, power), draw.between(0, power), draw.between(20, 42))
    return shift, draw.of(-1, 1) * (1 << power) - draw.between(0, 1)


def _halves(count: int, bits: int) -> list[tuple[int, int]]:
    """A shift, and a bias of a half at that shift with one bit below it: above 0, and as room is left, below."""
    pairs = [(shift, one) for shift in range(2, bits) for one in range(shift - 1)]
    found = [(shift, (1 << shift - 1) + (1 << one)) for shift, one in pairs]
    found += [(shift, (-3 << shift - 1) + (1 << one)) for shift, one in reversed(pairs) if shift < bits - 1]
    return found[:count]


def _powers(count: int, bits: int) -> list[tuple[int, int]]:
    """Powers of two, and shifts that lose few bits of them; those around 16 and 32 first."""
    near = [(power, shift) for shift in (32, 16, 48, 31, 33) for power in range(min(bits, shift - 2), 13, -1)]
    others = [
        (min(bits, shift - 2) - less, shift)
        for less in range(4)
        for shift in range(2, 60)
        if min(bits, shift - 2) >= less
    ]
    return [*near, *others][:count]


def _row_to(end: int, words: Ints, low: int) -> Ints:
    """Weights whose products with the words add up to `end`, as near as they come."""
    weights, left = np.zeros(len(words), np.int64), end
    for place, word in enumerate(words.tolist()):
        weights[place] = min(-low - 1, max(low, int(left / word)))
        left -= int(weights[place]) * word
    return weights
