# SPDX-License-Identifier: MIT
"""Programs by which the engine reads its own memories back, through its own multipliers and tables.

Each section answers one question: does this memory hold its image, every bit of it? What must come out follows from
the image alone. The sections need a few words of their own behind the images (`SPARE`), and an engine that has room
for them; widths, lanes and everything else are those of the pack.

weights      activation 1 times a row, shifted by 0, by a word's width, by two ...: the parts of each weight itself.
parameters   sums at which the result of ((sum + bias) >> shift) just changes: with u an integer in the middle of the
             words' range and S = u * 2**shift - bias,

                 sum              S - 1    S    S + 2**shift - 1    S + 2**shift
                 result           u - 1    u    u                   u + 1

             Another pair (shift', bias') gives the first two results only if u * 2**shift' - bias' = S, and then the
             last two only if 2**shift' = 2**shift: so shift' = shift, and bias' = bias. Results saturate, so that no
             result is taken for another one. Each sum is made of products of two activation words. A word whose sums
             are larger than the accumulator holds (no network has one) is seen in part, and counted.
tables       every code as an activation word times 1: the entry at every address.
activations  nothing runs: the host reads the image.

Program words are not read back: the engine cannot address them. The conformance packs run every instruction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import (
    OVERFLOWS,
    ROUNDINGS,
    Add,
    Address,
    Halt,
    Instruction,
    Load,
    Loop,
    Run,
    Set,
    encode,
)
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat

MEMORIES = ("weights", "parameters", "tables", "activations")
SUMS = 4  # that pin down one parameter word
BLOCK = 64  # rows or parameter words that one vector asks about, at least
MOST_TAPS, INNER = 4096, 64  # pairs of words that make one sum; of them in the inner loop
FLOOR, WRAP, SATURATE = ROUNDINGS.index("FLOOR"), OVERFLOWS.index("WRAP"), OVERFLOWS.index("SATURATE")


@dataclass(frozen=True)
class Section:
    """One memory's question: a program, what the host writes, and what must come out."""

    memory: str
    images: Images
    input: Port
    output: Port
    vectors: Ints  # (vectors, words)
    expected: Ints  # (vectors, words)
    names: tuple[
        str, ...
    ]  # of the output words of a vector; {0} is the first word that the vector asks about
    firsts: tuple[int, ...]  # that word, for each vector

    def name(self, vector: int, element: int) -> str:
        """What an output word is about."""
        return self.names[element].format(self.firsts[vector])


@dataclass(frozen=True)
class Readback:
    """The sections of a pack's memories, and the engine that has room for them."""

    config: EngineConfig
    sections: tuple[Section, ...]
    in_part: tuple[
        int, ...
    ]  # parameter words whose sums this engine does not reach: not every bit of them is seen


def readback_program(config: EngineConfig, images: Images) -> Readback:
    """Programs for every memory that holds an image; the images are not changed, only longer."""
    room = _Room(config, images)
    makers = (_weights, _parameters, _tables, _activations)
    sections = [section for make in makers for section in make(room)]
    return Readback(room.grown(sections), tuple(sections), tuple(room.in_part))


class _Room:
    """The images with the words that the sections need behind them."""

    def __init__(self, config: EngineConfig, images: Images) -> None:
        self.config, self.lanes, self.width = config, config.lanes, config.activation_width
        self.original = images
        self.parts = -(-config.weight_width // self.width)  # passes that show a whole weight
        self.one_row = len(images.weights)  # a row of weights that are 1
        self.zero = len(
            images.parameters
        )  # parameter words without bias that shift by 0, width, 2 * width ...
        shifts = np.repeat(np.arange(self.parts) * self.width, self.lanes)
        self.images = replace(
            images,
            weights=np.concatenate([images.weights, np.ones((1, self.lanes), np.int64)]),
            parameters=np.concatenate([images.parameters, np.stack([shifts, np.zeros_like(shifts)], 1)]),
            activations=np.zeros(0, np.int64),
        )
        self.format = QFormat(self.width, 0)
        self.in_part: list[int] = []

    def with_program(self, code: Sequence[Instruction]) -> Images:
        return replace(self.images, program=encode([*code, Halt()]))

    def words(self, ints: Ints) -> Ints:
        """The lowest bits of each integer, as signed words of the activation memory."""
        half = 1 << self.width - 1
        wrapped: Ints = (ints + half & (1 << self.width) - 1) - half
        return wrapped

    def grown(self, sections: Sequence[Section]) -> EngineConfig:
        """The pack's engine with memories deep enough for every section."""
        activations = [int(port.addresses().max()) + 1 for s in sections for port in (s.input, s.output)] + [
            len(s.images.activations) for s in sections
        ]
        depth = max([self.config.activation_depth, *activations])
        weights = [len(s.images.weights) for s in sections]
        return replace(
            self.config,
            activation_depth=-(-depth // self.lanes) * self.lanes,
            weight_depth=max([self.config.weight_depth, *weights]),
            parameter_depth=max(self.config.parameter_depth, len(self.images.parameters)),
            table_depth=max([self.config.table_depth, *(len(s.images.tables) for s in sections)]),
            program_depth=max([self.config.program_depth, *(len(s.images.program) for s in sections)]),
        )

    def block(self, count: int) -> int:
        """How many of `count` things one vector asks about: a power of two, so that an index word holds the number."""
        indices = 1 << self.width - 1
        return max(BLOCK, 1 << (max(-(-count // indices), 1) - 1).bit_length())


def _read(memory: Address, **settings: object) -> Run:
    """A run that rounds nothing and wraps."""
    plain = {"rounding": FLOOR, "overflow": WRAP, "barrier": False}
    return Run(**{"activation": memory, **plain, **settings})  # type: ignore[arg-type]


def _weights(room: _Room) -> Iterator[Section]:
    """Row after row, each in as many parts as a weight is wider than a word."""
    rows, lanes, parts = len(room.original.weights), room.lanes, room.parts
    block = min(room.block(rows), 1 << (rows - 1).bit_length())
    shift, per_row = block.bit_length() - 1, lanes * parts
    out = max(lanes, 2)  # behind the index and the 1
    code: list[Instruction] = [Load(1, Address(0), shift), Set(2, 0), Set(3, block)]
    begin = sum(instruction.words for instruction in code)
    for part in range(parts):
        code.append(
            _read(
                Address(1),
                weight=Address(0, 1),
                parameter=Address(room.zero + part * lanes),
                output=Address(out + lanes * part, 2),
                last_channels=lanes,
                out_bits=room.width,
            )
        )
    code += [Add(1, 1), Add(2, per_row), Loop(3, begin)]
    count = -(-rows // block)
    padded = np.zeros((count * block, lanes), np.int64)
    padded[:rows] = room.original.weights
    padded[rows : rows + 1] = 1  # the spare row, where the last block reaches it
    images = room.with_program(code)
    images = replace(images, weights=padded if len(padded) > rows else room.images.weights)
    expected = np.stack([room.words(padded >> room.width * part) for part in range(parts)], axis=1)
    names = [
        f"row {{0}} + {row}, lane {lane}" + (f", bits from {room.width * part} on" if part else "")
        for row in range(block)
        for part in range(parts)
        for lane in range(lanes)
    ]
    yield Section(
        "weights",
        images,
        Port((2,), room.format, 0, 2, 2),
        Port((block * per_row,), room.format, out, block * per_row, block * per_row),
        np.stack([np.arange(count), np.ones(count, np.int64)], axis=1),
        expected.reshape(count, -1),
        tuple(names),
        tuple(range(0, count * block, block)),
    )


def _parameters(room: _Room) -> Iterator[Section]:
    """Groups of one word for each lane; four sums for each word."""
    lanes, words = room.lanes, room.original.parameters
    groups = -(-len(words) // lanes)
    padded = np.concatenate([words, room.images.parameters[len(words) :]])
    padded = np.resize(padded, (max(len(padded), groups * lanes), 2))[: groups * lanes]
    half = 1 << room.width - 1
    reach = min((1 << room.config.accumulator_width - 1) - 1, (MOST_TAPS - 2) * (half - 1) ** 2)
    sums, results = [], []
    for shift, bias in padded.tolist():
        u = max(2 - half, min(half - 2, bias + (1 << shift >> 1) >> shift))
        start = (u << shift) - bias
        wanted = (start - 1, start, start + (1 << shift) - 1, start + (1 << shift))
        sums.append([max(-reach, min(reach, s)) for s in wanted])
        results.append([max(-half, min(half - 1, s + bias >> shift)) for s in sums[-1]])
        if tuple(sums[-1]) != wanted and len(sums) <= len(words):
            room.in_part.append(len(sums) - 1)
    pairs, taps = _as_products(sums, half - 1)
    index_bits = max(0, (max(-(-groups // (1 << room.width - 1)), 1) - 1).bit_length())
    if index_bits:
        for place in range(1 << index_bits):  # an index word cannot count all groups
            yield _parameter_section(room, pairs, taps, np.array(results), groups, index_bits, place)
        return
    yield _parameter_section(room, pairs, taps, np.array(results), groups, 0)


def _parameter_section(
    room: _Room, pairs: Ints, taps: int, results: Ints, groups: int, index_bits: int, place: int = 0
) -> Section:
    """Group number (index << index_bits) + place in each vector."""
    lanes = room.lanes
    chosen = np.arange(place, groups, 1 << index_bits)
    shift = index_bits + (lanes.bit_length() - 1)
    first = lanes  # of the rows that make the sums: (SUMS, 2, taps, lanes)
    code: list[Instruction] = [Load(1, Address(0), shift)]
    out = first + SUMS * 2 * taps * lanes
    for number in range(SUMS):
        code.append(
            _read(
                Address(first + number * 2 * taps * lanes),
                parameter=Address(place * lanes, 1),
                output=Address(out + number * lanes),
                counts=(2, *_split(taps), 1, 1, 1),
                strides=(taps * lanes, lanes, lanes * _split(taps)[0], 0, 0, 0),
                last_channels=lanes,
                vector=True,
                paired=True,
                overflow=SATURATE,
                out_bits=room.width,
            )
        )
    # pairs: (words, SUMS, 2, taps), as rows of lanes
    by_group = pairs.reshape(groups, lanes, SUMS, 2, taps)[chosen].transpose(0, 2, 3, 4, 1)
    vectors = np.zeros((len(chosen), lanes + by_group[0].size), np.int64)
    vectors[:, 0] = chosen >> index_bits
    vectors[:, lanes:] = by_group.reshape(len(chosen), -1)
    expected = results.reshape(groups, lanes, SUMS)[chosen].transpose(0, 2, 1).reshape(len(chosen), -1)
    names = tuple(f"word {{0}} + {lane}, sum {number}" for number in range(SUMS) for lane in range(lanes))
    words = vectors.shape[1]
    return Section(
        "parameters",
        room.with_program(code),
        Port((words,), room.format, 0, words, words),
        Port((SUMS * lanes,), room.format, out, SUMS * lanes, SUMS * lanes),
        vectors,
        expected,
        names,
        tuple((chosen * lanes).tolist()),
    )


def _split(taps: int) -> tuple[int, int]:
    """Two loops for so many taps: the counts of the engine's loops are limited."""
    inner = min(taps, INNER)
    return inner, taps // inner


def _as_products(sums: Sequence[Sequence[int]], high: int) -> tuple[Ints, int]:
    """Pairs of words (words, SUMS, 2, taps) whose products add up to the sums; and how many taps there are.

    With m = high * high: whole multiples of m, then the rest as quotient * high + remainder * 1.
    """
    whole = [[divmod(abs(s), high * high) for s in row] for row in sums]
    needed = 2 + max(count for row in whole for count, _ in row)
    taps = needed if needed <= INNER else -(-needed // INNER) * INNER
    pairs = np.zeros((len(sums), SUMS, 2, taps), np.int64)
    for word, row in enumerate(whole):
        for number, (count, rest) in enumerate(row):
            sign = -1 if sums[word][number] < 0 else 1
            quotient, remainder = divmod(rest, high)
            pairs[word, number, 0, :count] = sign * high
            pairs[word, number, 1, :count] = high
            pairs[word, number, :, count] = sign * quotient, high
            pairs[word, number, :, count + 1] = sign * remainder, 1
    return pairs, taps


def _tables(room: _Room) -> Iterator[Section]:
    """Every entry: the table memory in parts that the words' codes address."""
    tables, lanes = room.original.tables, room.lanes
    if not len(tables):
        return
    bits = min(room.width, max(1, (len(tables) - 1).bit_length()))
    whole = np.zeros(-(-len(tables) // lanes) * lanes, np.int64)
    whole[: len(tables)] = tables
    size = max(1 << bits, lanes)
    code: list[Instruction] = []
    entries: list[int] = []
    for base in range(0, len(whole), 1 << bits):
        tiles = -(-min(1 << bits, len(whole) - base) // lanes)
        code.append(
            _read(
                Address(0),
                weight=Address(room.one_row),
                parameter=Address(room.zero),
                output=Address(size + len(entries)),
                counts=(1, 1, 1, tiles, 1, 1),
                strides=(0, 0, 0, lanes, 0, 0),
                last_channels=lanes,
                vector=True,
                per_tile=True,
                out_bits=bits,
                table=True,
                table_base=base,
            )
        )
        entries += [base + code % (1 << bits) for code in range(tiles * lanes)]
    count = len(entries)
    yield Section(
        "tables",
        replace(room.with_program(code), tables=whole),
        Port((size,), room.format, 0, size, size),
        Port((count,), room.format, size, count, count),
        room.words(np.arange(size))[None],
        whole[entries][None],
        tuple(f"word {entry}" for entry in entries),
        (0,),
    )


def _activations(room: _Room) -> Iterator[Section]:
    """The image as the host reads it; its one input word is written behind it."""
    image = room.original.activations
    if not len(image):
        return
    count = len(image)
    yield Section(
        "activations",
        replace(room.with_program([]), activations=image),
        Port((1,), room.format, count, 1, 1),
        Port((count,), room.format, 0, count, count),
        np.zeros((1, 1), np.int64),
        image[None],
        tuple(f"word {place}" for place in range(count)),
        (0,),
    )
