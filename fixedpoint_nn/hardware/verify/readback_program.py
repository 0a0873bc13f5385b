# SPDX-License-Identifier: MIT
"""Readback programs: the engine reads its own memories through its multipliers and tables.

Each section checks that one memory holds every bit of its image; the expected output follows from the image alone. The
sections need a few more words after the images, and an engine with room for them; widths, lanes and all else are those
of the pack.

weights      activation 1 times a row, shifted by 0, by a word's width, by two ...: the parts of each weight itself.
parameters   four sums for each word, at which the result of ((sum + bias) >> shift) just changes: no other pair
             {shift, bias} gives the same results (readback_parameters.py proves it). A word whose sums are larger
             than the accumulator holds (no network has one) is seen in part, and counted.
tables       every code as an activation word times 1: the entry at every address.
activations  nothing runs: the host reads the image.

Program words are not read back: the engine cannot address them. The conformance packs run every instruction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Address, Increment, Instruction, Load, Loop, Set
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.pack.resident import demand_resident
from fixedpoint_nn.hardware.verify.readback_parameters import parameter_sections
from fixedpoint_nn.hardware.verify.readback_section import ReadbackImages, ReadbackSection, plain_run


@dataclass(frozen=True)
class Readback:
    """The sections for a pack's memories, and an engine with room for them."""

    config: EngineConfig
    sections: tuple[ReadbackSection, ...]
    in_part: tuple[
        int, ...
    ]  # parameter words that are checked in part: this engine does not reach their sums


def readback_program(config: EngineConfig, images: Images) -> Readback:
    """The sections for every memory with an image; the images are extended, not changed."""
    demand_resident(config, "Readback")
    room = ReadbackImages(config, images)
    makers = (_weights, parameter_sections, _tables, _activations)
    sections = [section for make in makers for section in make(room)]
    return Readback(room.grown(sections), tuple(sections), tuple(room.in_part))


def _weights(room: ReadbackImages) -> Iterator[ReadbackSection]:
    """The sections that read weight rows, in several passes if a weight is wider than an activation word."""
    rows, lanes, parts = len(room.original.weights), room.lanes, room.parts
    block = min(room.block(rows), 1 << (rows - 1).bit_length())
    shift, per_row = block.bit_length() - 1, lanes * parts
    out = max(lanes, 2)  # after the index and the 1
    code: list[Instruction] = [Load(1, Address(0), shift), Set(2, 0), Set(3, block)]
    begin = sum(instruction.words for instruction in code)
    for part in range(parts):
        code.append(
            plain_run(
                Address(1),
                weight=Address(0, 1),
                parameter=Address(room.zero + part * room.rows),
                output=Address(out + lanes * part, 2),
                last_channels=lanes,
                out_bits=room.width,
            )
        )
    code += [Increment(1, 1), Increment(2, per_row), Loop(3, begin)]
    count = -(-rows // block)
    padded = np.zeros((count * block, lanes), np.int64)
    padded[:rows] = room.original.weights
    padded[rows : rows + 1] = 1  # the spare row, if the last block reaches it
    images = room.with_program(code)
    images = replace(images, weights=padded if len(padded) > rows else room.images.weights)
    expected = np.stack([room.words(padded >> room.width * part) for part in range(parts)], axis=1)
    names = [
        f"row {{0}} + {row}, lane {lane}" + (f", bits from {room.width * part} on" if part else "")
        for row in range(block)
        for part in range(parts)
        for lane in range(lanes)
    ]
    yield ReadbackSection(
        "weights",
        images,
        Port((2,), room.format, 0, 2, 2),
        Port((block * per_row,), room.format, out, block * per_row, block * per_row),
        np.stack([np.arange(count), np.ones(count, np.int64)], axis=1),
        expected.reshape(count, -1),
        tuple(names),
        tuple(range(0, count * block, block)),
    )


def _tables(room: ReadbackImages) -> Iterator[ReadbackSection]:
    """The sections that read every table entry, in parts of as many entries as an activation word has codes."""
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
            plain_run(
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
    yield ReadbackSection(
        "tables",
        replace(room.with_program(code), tables=whole),
        Port((size,), room.format, 0, size, size),
        Port((count,), room.format, size, count, count),
        room.words(np.arange(size))[None],
        whole[entries][None],
        tuple(f"word {entry}" for entry in entries),
        (0,),
    )


def _activations(room: ReadbackImages) -> Iterator[ReadbackSection]:
    """The section for the activation image, which the host reads itself; its one input word is after the image."""
    image = room.original.activations
    if not len(image):
        return
    count = len(image)
    yield ReadbackSection(
        "activations",
        replace(room.with_program([]), activations=image),
        Port((1,), room.format, count, 1, 1),
        Port((count,), room.format, 0, count, count),
        np.zeros((1, 1), np.int64),
        image[None],
        tuple(f"word {place}" for place in range(count)),
        (0,),
    )
