# SPDX-License-Identifier: MIT
"""Bits of the images that no output can depend on, whatever the inputs: the instruction set says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.faults.fault import Flip
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import (
    INSTRUCTIONS,
    OPCODE,
    OVERFLOWS,
    Add,
    Address,
    AssemblyError,
    Instruction,
    Load,
    Run,
    Set,
    Store,
    decode,
)

Flags = NDArray[np.bool_]


def idle(config: EngineConfig, images: Images) -> Iterator[Flip]:
    """Spare bits, fields that the others leave without meaning, and lanes without a channel."""
    place, argmax_kept = 0, any(isinstance(instruction, Store) for _, instruction in decode(images.program))
    used: Flags | None = np.zeros((len(images.weights), config.lanes), bool)
    while place < len(images.program):
        kind = INSTRUCTIONS[images.program[place] >> OPCODE.start & 7]
        words = images.program[place : place + kind.words]
        meaning = _decoded(kind, words, config, argmax_kept)
        for offset, bit in product(range(kind.words), range(32)):
            changed = list(words)
            changed[offset] ^= 1 << bit
            if _decoded(kind, changed, config, argmax_kept) == meaning:
                yield Flip("program", place + offset, bit)
        if isinstance(meaning, Run) and used is not None:
            # Where an address comes from a register, no claim is made.
            used = None if meaning.weight.register else _marked(used, meaning, config.lanes)
        place += kind.words
    for row, lane in np.argwhere(~used).tolist() if used is not None else ():
        for bit in range(config.weight_width):
            yield Flip("weights", row, lane * config.weight_width + bit)


def _decoded(
    kind: type[Instruction], words: list[int], config: EngineConfig, argmax_kept: bool
) -> Instruction | None:
    """What the engine does with these words; None if they are no such instruction."""
    if INSTRUCTIONS[words[0] >> OPCODE.start & 7] is not kind:
        return None
    try:
        instruction = kind.decode(words)
    except AssemblyError:
        return None
    mask = (1 << config.address_width) - 1
    if isinstance(instruction, Run):
        run = _effective(instruction, config, mask)
        return run if argmax_kept else replace(run, argmax=False)
    if isinstance(instruction, (Set, Add)):
        return replace(instruction, value=instruction.value & mask)
    if isinstance(instruction, (Load, Store)):
        return replace(instruction, address=_within(instruction.address, mask))
    return instruction


def _within(address: Address, mask: int) -> Address:
    return Address(address.base & mask, address.register)


def _effective(run: Run, config: EngineConfig, mask: int) -> Run:
    """The same run with every field at its default that has no effect beside the others.

    Arithmetic on addresses is modulo 2**ADDRESS_WIDTH.
    """
    default = Run()
    _, _, _, tiles, width, height = run.counts
    without: dict[str, Any] = {}
    for name in ("activation", "weight", "parameter", "output"):
        without[name] = _within(getattr(run, name), mask)
    # The jump of a loop of one round is never taken, and the output's gap comes between pixels.
    pairs = zip(run.counts, run.strides, strict=True)
    without["strides"] = tuple(0 if count == 1 else stride & mask for count, stride in pairs)
    without["output_gap"] = run.output_gap & mask if width * height > 1 else default.output_gap
    if tiles == 1:  # a tile is a pixel
        without["per_tile"] = default.per_tile
    if not run.bounded:
        for name in ("x_origin", "y_origin", "x_step", "y_step", "x_limit", "y_limit"):
            without[name] = getattr(default, name)
    if width == 1:
        without["x_step"] = default.x_step
    if height == 1:
        without["y_step"] = default.y_step
    if not run.table:
        without["table_base"] = default.table_base
    clipped = not run.out_signed and OVERFLOWS[run.overflow] != "WRAP"  # what is negative becomes 0
    if clipped:
        without["relu_before"] = default.relu_before
    if run.relu_before or clipped:
        without["leak"] = default.leak
    if not run.out_signed and not run.table:  # no result is negative
        without["relu_after"] = default.relu_after
    if not config.model_width and not config.product_bits:
        without["modelled"] = default.modelled
    return replace(run, **without)


def _marked(used: Flags, run: Run, lanes: int) -> Flags:
    """The weights that a run may read, lane by lane; a tile's lanes beyond its channels are not used."""
    tiles, taps, base = run.counts[3], int(np.prod(run.counts[:3])), run.weight.base
    for tile in range(tiles):
        row = base + (0 if run.per_tile else tile * taps)
        used[row : row + taps, : run.last_channels if tile == tiles - 1 else lanes] = True
    return used
