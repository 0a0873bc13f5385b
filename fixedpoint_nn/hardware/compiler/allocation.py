# SPDX-License-Identifier: MIT
"""The pass `allocate`: addresses of buffers (by lifetimes), weight rows, parameters and tables, and the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.hardware.compiler.aligned_table import AlignedTable
from fixedpoint_nn.hardware.compiler.errors import LoweringError, in_layer
from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.compiler.halves import Room
from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Declare,
    EngineProgram,
    Flat,
    JumpIfEqual,
    LoadRegister,
    Repeat,
    SetRegister,
)
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Placement
from fixedpoint_nn.hardware.compiler.lifetimes import lifetimes, reads, writes
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.table import Table

REGISTERS = 8  # of the engine; register 0 reads 0


@dataclass(frozen=True)
class Allocation:
    """The placement of everything, the resulting images, and the depth of the activation memory in words."""

    placement: Placement
    weights: Ints  # (rows, lanes)
    parameters: Ints  # (channels, 3): shift, bias, multiplier; each kernel's begin at a row
    tables: Ints
    activations: Ints
    depth: int


def allocate(program: EngineProgram, items: Sequence[Flat], room: Room | None = None) -> Allocation:
    """Allocate memory for all buffers, weights, parameters and tables of a program flattened to `items`.

    With `room` for a second input the first one keeps its place, too.
    """
    lanes = program.lanes
    kernels = [item for item in items if isinstance(item, Kernel)]
    buffers = [item.value for item in items if isinstance(item, Declare) and isinstance(item.value, Buffer)]
    buffers = [*program.constants, *buffers, *(() if room is None else (room.second, room.word))]
    ends = program.input.buffer.root, program.output.buffer.root
    addresses, depth = _addresses(items, buffers, *ends, lanes, stays=room is not None)
    weights, weight_rows = _stacked(
        [(k, k.weights) for k in kernels if k.weights is not None and not k.streamed],
        np.zeros((0 if _all_streamed(kernels) else 1, lanes), np.int64),
    )
    drain = program.drain
    parameters, parameter_words = _stacked(
        [(k, _whole_rows(k, drain)) for k in kernels], np.zeros((drain, 3), np.int64)
    )
    parameter_rows = {kernel: word // drain for kernel, word in parameter_words.items()}
    tables, table_bases = _tables(kernels)
    placement = Placement(addresses, weight_rows, parameter_rows, table_bases, number_registers(items))
    return Allocation(placement, weights, parameters, tables, _constants(buffers, addresses), depth)


def _all_streamed(kernels: Sequence[Kernel]) -> bool:
    """Whether no run reads a resident weight row, not even a dummy."""
    return any(k.streamed for k in kernels) and all(k.streamed or k.paired for k in kernels)


def _addresses(
    items: Sequence[Flat],
    buffers: Sequence[Buffer],
    input: Buffer,
    output: Buffer,
    lanes: int,
    stays: bool = False,
) -> tuple[dict[Buffer, int], int]:
    """(address of each root buffer, number of words); buffers with disjoint lifetimes share words.

    Constants come first. The input shares no words if it `stays`.
    """
    life = lifetimes(items, _touched, {input: (-1, -1)})
    whole = -1, len(items)
    lasting = {b for b in buffers if b.keep or b.constants is not None or b is output or stays and b is input}
    addresses: dict[Buffer, int] = {}
    end = 0
    placed: list[tuple[Buffer, tuple[int, int]]] = []
    for root in sorted(buffers, key=lambda b: (b.constants is None, b not in lasting, -b.words)):
        span = whole if root in lasting else life.get(root)
        if span is None:
            addresses[root] = 0  # it is never accessed
            continue
        taken = sorted(
            (addresses[other], addresses[other] + other.words)
            for other, (first, last) in placed
            if first <= span[1] and span[0] <= last
        )
        at = 0
        for low, high in taken:
            if at + root.words <= low:
                break
            at = max(at, high)
        addresses[root] = at
        placed.append((root, span))
        end = max(end, at + root.words)
    return addresses, -(-end // lanes) * lanes


def _touched(item: Flat) -> Iterator[Buffer]:
    for span in (*reads(item), *writes(item)):
        yield span[0]


def number_registers(items: Sequence[Flat]) -> dict[Register, int]:
    """The engine's register (1 to 7) of each register, in the order of declaration: the lowest one that is free."""
    life = lifetimes(items, _registers)
    numbers: dict[Register, int] = {}
    for item in items:
        if not (isinstance(item, Declare) and isinstance(item.value, Register)) or item.value not in life:
            continue
        first, last = life[item.value]
        taken = {numbers[r] for r in numbers if life[r][0] <= last and first <= life[r][1]}
        free = [number for number in range(1, REGISTERS) if number not in taken]
        with in_layer(item.layer):
            if not free:
                raise LoweringError(
                    "needs more than the engine's seven registers; use fewer sequences in one loop"
                )
        numbers[item.value] = free[0]
    return numbers


def _registers(item: Flat) -> Iterator[Register]:
    match item:
        case SetRegister() | Advance() | Repeat() | LoadRegister() | JumpIfEqual():
            yield item.register
    for span in (*reads(item), *writes(item)):
        if span[1] is not None:
            yield span[1]


def _constants(buffers: Sequence[Buffer], addresses: Mapping[Buffer, int]) -> Ints:
    """The image of the activation memory: the constants, at its low end."""
    fixed = [(addresses[b], b.constants) for b in buffers if b.constants is not None and b in addresses]
    image = np.zeros(max([at + len(words) for at, words in fixed], default=0), np.int64)
    for at, words in fixed:
        image[at : at + len(words)] = words
    return image


def _whole_rows(kernel: Kernel, drain: int) -> Ints:
    """A kernel's parameters, with each tile padded to whole rows of `drain` channels."""
    size = max(drain, kernel.tile_channels)
    tiles = range(0, len(kernel.parameters), kernel.tile_channels)
    padded = [kernel.parameters[at : at + kernel.tile_channels] for at in tiles]
    padded = [np.pad(rows, ((0, min(size, -len(rows) % drain)), (0, 0))) for rows in padded]
    return np.concatenate(padded)


def _stacked(blocks: Sequence[tuple[Kernel, Ints]], none: Ints) -> tuple[Ints, dict[Kernel, int]]:
    """(stacked blocks without duplicates, first row of each kernel's block)."""
    known: dict[bytes, int] = {}
    stack: list[Ints] = []
    begins: dict[Kernel, int] = {}
    for kernel, block in blocks:
        key = repr(block.shape).encode() + block.tobytes()
        if key not in known:
            known[key] = sum(map(len, stack))
            stack.append(block)
        begins[kernel] = known[key]
    return (np.concatenate(stack) if stack else none), begins


def _tables(kernels: Sequence[Kernel]) -> tuple[Ints, dict[Kernel, int]]:
    """(tables, largest first, so that each is aligned to its size; base of each kernel's table)."""
    tables: list[Table | AlignedTable | NoiseTable] = []
    for kernel in kernels:
        if kernel.table is not None and kernel.table not in tables:
            tables.append(kernel.table)
    tables.sort(key=lambda table: -len(table.ints))
    ends = np.cumsum([0, *(len(table.ints) for table in tables)]).tolist()
    image = np.concatenate([table.ints for table in tables]) if tables else np.zeros(0, np.int64)
    return image, {k: ends[tables.index(k.table)] for k in kernels if k.table is not None}
