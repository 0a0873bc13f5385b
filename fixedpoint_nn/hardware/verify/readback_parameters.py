# SPDX-License-Identifier: MIT
"""Reading parameter words {shift, bias} back through the requantiser, every bit of them.

The sums are chosen where the result of ((sum + bias) >> shift) just changes: with an integer u in the middle of the
words' range and S = u * 2**shift - bias,

    sum              S - 1    S    S + 2**shift - 1    S + 2**shift
    result           u - 1    u    u                   u + 1

Another pair (shift', bias') gives the first two results only if u * 2**shift' - bias' = S, and then the last two only
if 2**shift' = 2**shift: so shift' = shift, and bias' = bias. Results saturate, so that different results stay
different. Each sum is made of products of two activation words. A word whose sums exceed the accumulator (no network
has one) is checked in part, and listed in `ReadbackImages.in_part`.

An engine with a multiplier uses twelve sums instead, which distinguish a word from all that differ in one bit
(`readback_multipliers.py`); a word with an invisible bit is listed, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fixedpoint_nn.hardware.isa.instructions import Address, Instruction, Load
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.verify.readback_multipliers import MODES, SATURATED, telling_sums
from fixedpoint_nn.hardware.verify.readback_multipliers import results as results_of
from fixedpoint_nn.hardware.verify.readback_section import ReadbackImages, ReadbackSection, plain_run
from fixedpoint_nn.numerics.arrays import Ints

MOST_TAPS, INNER = 4096, 64  # pairs of words per sum; those of the inner loop


def parameter_sections(room: ReadbackImages) -> Iterator[ReadbackSection]:
    """The sections that read parameter words, in groups of LANES words, with four sums per word."""
    lanes, words = room.lanes, room.original.parameters
    columns = room.images.parameters.shape[1]
    groups = -(-len(words) // lanes)
    padded = np.concatenate([room.images.parameters[: len(words)], room.images.parameters[len(words) :]])
    padded = np.resize(padded, (max(len(padded), groups * lanes), columns))[: groups * lanes]
    half = 1 << room.width - 1
    reach = min((1 << room.config.accumulator_width - 1) - 1, (MOST_TAPS - 2) * (half - 1) ** 2)
    if columns > 2:
        sums, whole = telling_sums(room.config, padded, reach)
        room.in_part += [place for place, seen in enumerate(whole[: len(words)]) if not seen]
        results = _multiplied(room, np.array(sums), padded)
    else:
        sums, results = _crossings(room, padded, half, reach)
    pairs, taps = _as_products(sums, half - 1)
    index_bits = max(0, (max(-(-groups // (1 << room.width - 1)), 1) - 1).bit_length())
    if index_bits:
        for place in range(1 << index_bits):  # one index word cannot address all groups
            yield _section(room, pairs, taps, np.array(results), groups, index_bits, place)
        return
    yield _section(room, pairs, taps, np.array(results), groups, 0)


def _multiplied(room: ReadbackImages, sums: Ints, words: Ints) -> list[list[int]]:
    """The results of each word for its sums."""
    columns = []
    for number, mode in enumerate(MODES):
        single = [
            int(results_of(room.width, one[None], word[None], mode)[0, 0])
            for one, word in zip(sums[:, number], words, strict=True)
        ]
        columns.append(single)
    return [list(row) for row in zip(*columns, strict=True)]


def _crossings(
    room: ReadbackImages, padded: Ints, half: int, reach: int
) -> tuple[list[list[int]], list[list[int]]]:
    """(the four sums of each word {shift, bias}, their results)."""
    words = room.original.parameters
    sums: list[list[int]] = []
    results: list[list[int]] = []
    for shift, bias in padded.tolist():
        u = max(2 - half, min(half - 2, bias + (1 << shift >> 1) >> shift))
        start = (u << shift) - bias
        wanted = (start - 1, start, start + (1 << shift) - 1, start + (1 << shift))
        sums.append([max(-reach, min(reach, s)) for s in wanted])
        results.append([max(-half, min(half - 1, s + bias >> shift)) for s in sums[-1]])
        if tuple(sums[-1]) != wanted and len(sums) <= len(words):
            room.in_part.append(len(sums) - 1)
    return sums, results


def _section(
    room: ReadbackImages, pairs: Ints, taps: int, results: Ints, groups: int, index_bits: int, place: int = 0
) -> ReadbackSection:
    """The section that reads group (index << index_bits) + place, with the index as the vector's first word."""
    lanes, count = room.lanes, results.shape[1]
    modes = MODES if count == len(MODES) else (SATURATED,) * count
    chosen = np.arange(place, groups, 1 << index_bits)
    shift = index_bits + (room.rows.bit_length() - 1)
    first = lanes  # of the rows of operands: (count, 2, taps, lanes)
    code: list[Instruction] = [Load(1, Address(0), shift)]
    out = first + count * 2 * taps * lanes
    for number, (rounding, overflow) in enumerate(modes):
        code.append(
            plain_run(
                Address(first + number * 2 * taps * lanes),
                parameter=Address(place * room.rows, 1),
                output=Address(out + number * lanes),
                counts=(2, *_split(taps), 1, 1, 1),
                strides=(taps * lanes, lanes, lanes * _split(taps)[0], 0, 0, 0),
                last_channels=lanes,
                vector=True,
                paired=True,
                rounding=rounding,
                overflow=overflow,
                out_bits=room.width,
            )
        )
    # pairs: (words, count, 2, taps), as rows of lanes
    by_group = pairs.reshape(groups, lanes, count, 2, taps)[chosen].transpose(0, 2, 3, 4, 1)
    vectors = np.zeros((len(chosen), lanes + by_group[0].size), np.int64)
    vectors[:, 0] = chosen >> index_bits
    vectors[:, lanes:] = by_group.reshape(len(chosen), -1)
    expected = results.reshape(groups, lanes, count)[chosen].transpose(0, 2, 1).reshape(len(chosen), -1)
    names = tuple(f"word {{0}} + {lane}, sum {number}" for number in range(count) for lane in range(lanes))
    words = vectors.shape[1]
    return ReadbackSection(
        "parameters",
        room.with_program(code),
        Port((words,), room.format, 0, words, words),
        Port((count * lanes,), room.format, out, count * lanes, count * lanes),
        vectors,
        expected,
        names,
        tuple((chosen * lanes).tolist()),
    )


def _split(taps: int) -> tuple[int, int]:
    """The counts of two loops for `taps` taps, because the count of one loop is limited."""
    inner = min(taps, INNER)
    return inner, taps // inner


def _as_products(sums: Sequence[Sequence[int]], high: int) -> tuple[Ints, int]:
    """(pairs of words (words, sums, 2, taps) whose products add up to the sums, taps).

    A sum is split into multiples of m = high * high, and the rest into quotient * high + remainder * 1.
    """
    whole = [[divmod(abs(s), high * high) for s in row] for row in sums]
    needed = 2 + max(count for row in whole for count, _ in row)
    taps = needed if needed <= INNER else -(-needed // INNER) * INNER
    pairs = np.zeros((len(sums), len(sums[0]), 2, taps), np.int64)
    for word, row in enumerate(whole):
        for number, (count, rest) in enumerate(row):
            sign = -1 if sums[word][number] < 0 else 1
            quotient, remainder = divmod(rest, high)
            pairs[word, number, 0, :count] = sign * high
            pairs[word, number, 1, :count] = high
            pairs[word, number, :, count] = sign * quotient, high
            pairs[word, number, :, count + 1] = sign * remainder, 1
    return pairs, taps
