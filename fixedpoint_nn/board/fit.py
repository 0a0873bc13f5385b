# SPDX-License-Identifier: MIT
"""Whether an engine fits a chip, before synthesis: block memories by the chip's shapes, and multipliers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from fixedpoint_nn.board.families import Family
from fixedpoint_nn.hardware.isa.config import LANES, EngineConfig
from fixedpoint_nn.hardware.isa.instructions import AssemblyError

LARGE_BITS = 65536  # from which a memory of an iCE40 uses its large memories (board/ice40/memory.v)
LARGE = (16384, 16)  # words and bits of one
WHOLE_FACTOR = 18  # bits up to which multiply.v does not split a factor
BANK_LANES = 64  # of the activation memory, at most
BLOCK_ROWS, BLOCK_BITS = 64, 64  # of its smallest bank, from which all are block memories
SHORTEST_WORD = 4  # bits, for a proposal


class Resources(Protocol):
    """The available resources: of a board, a chip, or a budget."""

    @property
    def part(self) -> str:
        """The name in messages."""

    @property
    def chip(self) -> Family:
        """The chip's family."""

    @property
    def block_memories(self) -> int:
        """The available block memories, in the family's blocks."""

    @property
    def large_memories(self) -> int:
        """The available large memories (iCE40)."""

    @property
    def multipliers(self) -> int:
        """The available multipliers, in the family's blocks."""


R = TypeVar("R", bound=Resources)


@dataclass(frozen=True)
class EngineMemory:
    """One memory of the engine: words, bits per word, and bits written at a time."""

    name: str
    words: int
    bits: int
    written: int
    block: bool = False  # whatever its size


@dataclass(frozen=True)
class Needs:
    """The resources that an engine needs: block memories and large memories by name, and multipliers."""

    blocks: dict[str, int]
    large: dict[str, int]
    multipliers: int

    @property
    def total(self) -> int:
        """The total number of block memories."""
        return sum(self.blocks.values())


def memories(config: EngineConfig) -> tuple[EngineMemory, ...]:
    """The memories of an engine, including the activation banks and one copy of the tables per drained word."""
    word, weights, parameters = (
        config.activation_width,
        config.lanes * config.weight_width,
        config.parameter_width,
    )
    rows = config.activation_depth // config.lanes
    large = rows >= BLOCK_ROWS and min(banks(config)) * word >= BLOCK_BITS
    return (
        EngineMemory("weights", config.weight_depth, weights, weights),
        *(EngineMemory("activations", rows, lanes * word, word, large) for lanes in banks(config)),
        EngineMemory("parameters", config.parameter_depth, parameters, parameters),
        *(EngineMemory("tables", config.table_depth, word, word),) * config.drain,
        EngineMemory("program", config.program_depth, 32, 32),
    )


def registers(config: EngineConfig) -> EngineMemory:
    """The sequencer's registers, which are a block memory if memories of that size are."""
    return EngineMemory("registers", 8, config.address_width, config.address_width)


def banks(config: EngineConfig) -> list[int]:
    """The number of lanes of each bank of the activation memory (reference_rtl/activation_memory.v)."""
    lanes, moving = config.lanes, max(config.drain, config.words)
    if moving == lanes:
        return [1] * lanes
    ends = [moving] * (moving > 1) + [*range(BANK_LANES, lanes, BANK_LANES), lanes]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def blocks(memory: EngineMemory, family: Family) -> int:
    """The fewest block memories for one memory over all shapes; separately written words start at a write enable."""
    return 0 if _is_logic(memory, family) else _blocks(memory, family)


def _blocks(memory: EngineMemory, family: Family) -> int:
    """The fewest block memories for one memory, even if it is small."""
    return min(-(-memory.words // words) * _columns(memory, bits, family) for words, bits in family.shapes)


def memory_luts(config: EngineConfig, room: Resources) -> int:
    """The LUTs of the memories that are made of logic."""
    return sum(_luts(memory, room.chip) for memory in memories(config) if _is_logic(memory, room.chip))


def _luts(memory: EngineMemory, family: Family) -> int:
    """The fewest LUTs for one memory over all shapes."""
    return min(
        luts * -(-memory.words // words) * -(-memory.bits // bits)
        for words, bits, luts in family.lut_memories
    )


def _is_logic(memory: EngineMemory, family: Family) -> bool:
    """Whether a memory is made of logic, because it is small or LUTs are cheaper."""
    if memory.block:
        return False
    if family.block_in_luts == 0:
        return memory.words * memory.bits <= family.small_bits
    return _luts(memory, family) <= family.block_in_luts * _blocks(memory, family)


def _columns(memory: EngineMemory, bits: int, family: Family) -> int:
    """The number of block memories of `bits` bits side by side."""
    if memory.written == memory.bits:
        return -(-memory.bits // bits)
    lanes = memory.bits // memory.written
    if bits < family.masked:  # one write enable: no two lanes share a block
        return lanes * -(-memory.written // bits)
    parts = lanes * -(-memory.written // family.write_bits)
    return -(-parts // (bits // family.write_bits))


def needs(config: EngineConfig, room: Resources) -> Needs:
    """The resources that an engine needs on this chip."""
    inside: dict[str, int] = {}
    large: dict[str, int] = {}
    for memory in (*memories(config), registers(config)):
        name = memory.name
        if room.large_memories and name != "activations" and memory.words * memory.bits > LARGE_BITS:
            large[name] = large.get(name, 0) + -(-memory.bits // LARGE[1]) * -(-memory.words // LARGE[0])
        else:
            inside[name] = inside.get(name, 0) + blocks(memory, room.chip)
    factors = sorted((config.activation_width, _other_factor(config)))
    capacity = sorted(room.chip.multiplier_bits)
    each = _parts(factors[0], capacity[0]) * _parts(factors[1], capacity[1])
    return Needs(
        inside, large, config.lanes // config.pack * each + config.drain * _scaling(config, capacity)
    )


def _other_factor(config: EngineConfig) -> int:
    """The bits of the second factor of a lane, or of a pair of lanes (reference_rtl/product_pair.v)."""
    word, weight = config.activation_width, config.weight_width
    return max(word, weight) if config.pack == 1 else word + weight - 1 + max(word, weight + 1)


def _scaling(config: EngineConfig, capacity: list[int]) -> int:
    """The multipliers of one requantiser (reference_rtl/multiply.v: above 18 bits, the low 17 separately)."""
    bits = config.multiplier_width
    sums = max(config.accumulator_width, config.bias_width) + 1
    factors = [bits] if bits <= WHOLE_FACTOR else [18, bits - 17]
    return sum(
        _parts(min(sums, factor), capacity[0]) * _parts(max(sums, factor), capacity[1])
        for factor in factors
        if factor
    )


def _parts(bits: int, capacity: int) -> int:
    """The number of parts of a signed factor: each but the highest has one bit less, for its sign."""
    return max(1, -(-(bits - 1) // (capacity - 1)))


def misfit(config: EngineConfig, board: Resources) -> str:
    """A sentence about a lacking resource; empty if the engine fits."""
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


def smallest_change(
    config: EngineConfig,
    board: R,
    others: Mapping[str, R],
    kind: str = "board",
    lacks: Callable[[EngineConfig, R], object] = misfit,
    fewer_lanes: bool = True,
) -> str:
    """A proposal: the smallest reduction of bits or lanes that fits, or a board with more room."""
    for less, candidate in _shorter(config):
        if not lacks(candidate, board):
            return f"words {less} bit{'s' if less > 1 else ''} shorter would fit: emit it again with a smaller --word"
    for lanes, candidate in _fewer_lanes(config) if fewer_lanes else ():
        if not lacks(candidate, board):
            return f"{lanes} lane{'s' if lanes > 1 else ''} would fit: emit it again with --lanes {lanes}"
    roomy = [name for name, other in others.items() if not lacks(config, other)]
    return f"the {kind} {roomy[0]} has room for it" if roomy else f"no {kind} that is known has room for it"


def _shorter(config: EngineConfig) -> Iterator[tuple[int, EngineConfig]]:
    """(bits fewer, engine) with weights and words shortened alike, as long as the engine is possible."""
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
    """(lanes, engine) with fewer lanes and more rows for the same weights."""
    for lanes in sorted((lanes for lanes in LANES if lanes < config.lanes), reverse=True):
        depth = -(-config.activation_depth // lanes) * lanes
        drain, pack = min(config.drain, lanes), min(config.pack, lanes)
        yield (
            lanes,
            replace(
                config,
                lanes=lanes,
                drain=drain,
                words=min(config.words, lanes // pack),
                pack=pack,
                activation_depth=max(depth, 2 * lanes),
                parameter_depth=config.parameter_depth * config.drain // drain,
                weight_depth=config.weight_depth * config.lanes // lanes,
            ),
        )
