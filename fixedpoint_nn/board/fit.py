# SPDX-License-Identifier: MIT
"""Does an engine fit a chip? Block memories by the chip's own shapes, and multipliers, before any synthesis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fixedpoint_nn.board.boards import Board
from fixedpoint_nn.board.families import Family
from fixedpoint_nn.hardware.isa.config import LANES, EngineConfig
from fixedpoint_nn.hardware.isa.instructions import AssemblyError

LARGE_BITS = 65536  # from which on a memory of an iCE40 goes into its large memories (board/ice40/memory.v)
LARGE = (16384, 16)  # words and bits of one
SHORTEST_WORD = 4  # bits that are worth proposing


@dataclass(frozen=True)
class Memory:
    """One memory of the engine: words, bits, and the bits that are written at a time."""

    name: str
    words: int
    bits: int
    written: int


@dataclass(frozen=True)
class Needs:
    """What an engine takes of a chip: block memories (and large ones) by memory, and multipliers."""

    blocks: dict[str, int]
    large: dict[str, int]
    multipliers: int

    @property
    def total(self) -> int:
        """Block memories in all."""
        return sum(self.blocks.values())


def memories(config: EngineConfig) -> tuple[Memory, ...]:
    """The five memories of an engine."""
    row, word = config.lanes * config.activation_width, config.activation_width
    weights, parameters = config.lanes * config.weight_width, config.parameter_width
    return (
        Memory("weights", config.weight_depth, weights, weights),
        Memory("activations", config.activation_depth // config.lanes, row, word),
        Memory("parameters", config.parameter_depth, parameters, parameters),
        Memory("tables", config.table_depth, word, word),
        Memory("program", config.program_depth, 32, 32),
    )


def blocks(memory: Memory, family: Family) -> int:
    """Block memories for one memory: the least of all shapes; words that are written alone start at a write enable."""
    if memory.words * memory.bits <= family.small_bits:
        return 0
    return min(-(-memory.words // words) * _columns(memory, bits, family) for words, bits in family.shapes)


def _columns(memory: Memory, bits: int, family: Family) -> int:
    """Block memories of so many bits side by side."""
    if memory.written == memory.bits:
        return -(-memory.bits // bits)
    lanes = memory.bits // memory.written
    if bits < family.masked:  # has one write enable: no two lanes share a block
        return lanes * -(-memory.written // bits)
    parts = lanes * -(-memory.written // family.write_bits)
    return -(-parts // (bits // family.write_bits))


def needs(config: EngineConfig, board: Board) -> Needs:
    """What an engine takes of a board's chip."""
    inside: dict[str, int] = {}
    large: dict[str, int] = {}
    for memory in memories(config):
        if board.large_memories and memory.name != "activations" and memory.words * memory.bits > LARGE_BITS:
            large[memory.name] = -(-memory.bits // LARGE[1]) * -(-memory.words // LARGE[0])
        else:
            inside[memory.name] = blocks(memory, board.chip)
    factors = sorted((config.activation_width, max(config.activation_width, config.weight_width)))
    capacity = sorted(board.chip.multiplier_bits)
    each = -(-factors[0] // capacity[0]) * -(-factors[1] // capacity[1])
    sums = max(config.accumulator_width, config.bias_width) + 1
    scaled = -(-sums // capacity[1]) * -(-config.multiplier_width // capacity[0])
    return Needs(inside, large, config.lanes * each + config.drain * scaled)


def misfit(config: EngineConfig, board: Board) -> str:
    """What the chip has too few of; nothing if the engine fits."""
    wanted, chip = needs(config, board), board.chip
    if wanted.total > board.block_memories:
        parts = ", ".join(f"{name} {count}" for name, count in wanted.blocks.items() if count)
        return f"{wanted.total} {chip.block} block memories ({parts}), and the {board.part} has {board.block_memories}"
    if sum(wanted.large.values()) > board.large_memories:
        parts = ", ".join(f"{name} {count}" for name, count in wanted.large.items())
        return f"{sum(wanted.large.values())} large memories ({parts}), and the {board.part} has {board.large_memories}"
    if wanted.multipliers > board.multipliers:
        return f"{wanted.multipliers} {chip.multiplier} multipliers, and the {board.part} has {board.multipliers}"
    return ""


def smallest_change(config: EngineConfig, board: Board, others: dict[str, Board]) -> str:
    """What to do about it: as few bits less as possible, as many lanes as possible, or a board that has room."""
    for less, candidate in _shorter(config):
        if not misfit(candidate, board):
            return f"words {less} bit{'s' if less > 1 else ''} shorter would fit: emit it again with a smaller --word"
    for lanes, candidate in _fewer_lanes(config):
        if not misfit(candidate, board):
            return f"{lanes} lane{'s' if lanes > 1 else ''} would fit: emit it again with --lanes {lanes}"
    roomy = [name for name, other in others.items() if not misfit(config, other)]
    return f"the board {roomy[0]} has room for it" if roomy else "no board that is known has room for it"


def _shorter(config: EngineConfig) -> Iterator[tuple[int, EngineConfig]]:
    for less in range(1, min(config.weight_width, config.activation_width) - SHORTEST_WORD + 1):
        try:
            yield (
                less,
                replace(
                    config,
                    weight_width=config.weight_width - less,
                    activation_width=config.activation_width - less,
                    bias_width=max(2, config.bias_width - less),
                ),
            )
        except AssemblyError:
            return


def _fewer_lanes(config: EngineConfig) -> Iterator[tuple[int, EngineConfig]]:
    """The same weights in more rows of fewer lanes."""
    for lanes in sorted((lanes for lanes in LANES if lanes < config.lanes), reverse=True):
        depth = -(-config.activation_depth // lanes) * lanes
        yield (
            lanes,
            replace(
                config,
                lanes=lanes,
                activation_depth=max(depth, 2 * lanes),
                weight_depth=config.weight_depth * config.lanes // lanes,
            ),
        )
