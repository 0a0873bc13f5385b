# SPDX-License-Identifier: MIT
"""Addresses: activation memory by lifetimes, weight rows, parameters, tables; then instructions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.compiler.ir import Fetch, Item, Keep, Leave, Repeat, Start, Step
from fixedpoint_nn.hardware.compiler.kernel import Kernel, address
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View
from fixedpoint_nn.hardware.isa.instructions import (
    Add,
    Halt,
    Instruction,
    JumpEqual,
    Load,
    Loop,
    Run,
    Set,
    Store,
)
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.table import Table

Reach = tuple[Buffer, "Register | None", int, int]  # root, register, lowest and highest offset


def reads(item: Item) -> Iterator[Reach]:
    """The words that an item may read."""
    if isinstance(item, Fetch):
        yield item.word.buffer.root, item.word.buffer.register, item.word.place[1], item.word.place[1]
    if not isinstance(item, Kernel):
        return
    for view in (*item.operands, *item.factors):
        root, low = view.place
        high = low
        for atom in (*item.taps, *item.pixels):
            walk = atom.stride * (atom.size - 1)
            low, high = low + min(walk, 0), high + max(walk, 0)
        if item.tile_stride:
            high += item.tile_stride * item.tiles - 1
        yield root, view.buffer.register, low, high


def writes(item: Item) -> Iterator[Reach]:
    """The words that an item may write."""
    if isinstance(item, Keep):
        yield item.word.buffer.root, item.word.buffer.register, item.word.place[1], item.word.place[1]
    if isinstance(item, Kernel) and item.write:
        root, low, high = item.writes
        yield root, item.target.buffer.register, low, high


def overlap(a: Reach, b: Reach) -> bool:
    """May both touch one word? Words that move in different ways may, if they are of one buffer."""
    return a[0] is b[0] and (a[1] is not b[1] or (a[2] <= b[3] and b[2] <= a[3]))


def targets(item: Item) -> list[int]:
    """The items that an item may jump to."""
    return [item.begin] if isinstance(item, Repeat) else item.target if isinstance(item, Leave) else []


def assign_addresses(
    items: Sequence[Item], buffers: Sequence[Buffer], inputs: Sequence[Buffer], lanes: int
) -> int:
    """Constants first; buffers whose lifetimes do not meet share words. The number of words in all."""
    roots = [buffer for buffer in buffers if buffer.parent is None]
    life = {root: [len(items), -1] for root in roots}
    for root in inputs:
        life[root.root] = [-1, -1]
    for number, item in enumerate(items):
        for reach in (*reads(item), *writes(item)):
            _extend(life[reach[0]], number, number)
    for number, item in enumerate(items):
        for target in targets(item):
            for span in life.values():
                if target <= number and span[0] <= number and span[1] >= target:
                    _extend(span, min(target, span[0]), number)
    end = 0
    placed: list[Buffer] = []
    for root in sorted(roots, key=lambda b: (b.constants is None, not b.keep, -b.words)):
        span = life[root]
        if root.keep or root.constants is not None:
            span[:] = [-1, len(items)]
        if span[1] < span[0]:
            root.address = 0  # nothing touches it
            continue
        taken = sorted(
            (other.address or 0, (other.address or 0) + other.words)
            for other in placed
            if life[other][0] <= span[1] and span[0] <= life[other][1]
        )
        at = 0
        for low, high in taken:
            if at + root.words <= low:
                break
            at = max(at, high)
        root.address = at
        placed.append(root)
        end = max(end, at + root.words)
    return -(-end // lanes) * lanes


def _extend(span: list[int], first: int, last: int) -> None:
    span[0], span[1] = min(span[0], first), max(span[1], last)


def constants(buffers: Sequence[Buffer]) -> Ints:
    """The image of the activation memory: constants stand at its low end."""
    fixed = [(b.address, b.constants) for b in buffers if b.constants is not None and b.address is not None]
    image = np.zeros(max([at + len(words) for at, words in fixed], default=0), np.int64)
    for at, words in fixed:
        image[at : at + len(words)] = words
    return image


@dataclass
class Stacks:
    """Weight rows and parameter words, each distinct block once."""

    weights: list[Ints] = field(default_factory=list)
    parameters: list[Ints] = field(default_factory=list)
    known: dict[tuple[str, bytes], int] = field(default_factory=dict)
    rows: int = 0
    words: int = 0

    def add(self, kernel: Kernel) -> None:
        if kernel.weights is not None:
            key = ("weights", repr(kernel.weights.shape).encode() + kernel.weights.tobytes())
            if key not in self.known:
                self.known[key] = self.rows
                self.weights.append(kernel.weights)
                self.rows += len(kernel.weights)
            kernel.weight_row = self.known[key]
        key = ("parameters", kernel.parameters.tobytes())
        if key not in self.known:
            self.known[key] = self.words
            self.parameters.append(kernel.parameters)
            self.words += len(kernel.parameters)
        kernel.parameter_word = self.known[key]


def lay_tables(kernels: Sequence[Kernel]) -> Ints:
    """Tables, the largest first, so that each starts at a multiple of its size."""
    tables: list[Table | NoiseTable] = []
    for kernel in kernels:
        if kernel.table is not None and kernel.table not in tables:
            tables.append(kernel.table)
    tables.sort(key=lambda table: -len(table.ints))
    bases, at = [], 0
    for table in tables:
        bases.append(at)
        at += len(table.ints)
    for kernel in kernels:
        if kernel.table is not None:
            kernel.table_base = bases[tables.index(kernel.table)]
    return np.concatenate([table.ints for table in tables]) if tables else np.zeros(0, np.int64)


SIZES = {
    Kernel: Run.words,
    Start: Set.words,
    Step: Add.words,
    Repeat: Loop.words,
    Fetch: Load.words,
    Keep: Store.words,
    Leave: JumpEqual.words,
}


def instructions(items: Sequence[Item]) -> tuple[list[Instruction], list[int]]:
    """The program, and the address of each item's first word."""
    places, at = [], 0
    for item in items:
        places.append(at)
        at += SIZES[type(item)]
    places.append(at)
    program: list[Instruction] = []
    for item in items:
        program.append(_instruction(item, places))
    return [*program, Halt()], places


def _instruction(item: Item, places: Sequence[int]) -> Instruction:
    if isinstance(item, Kernel):
        return item.run()
    if isinstance(item, Start):
        return Set(item.register.number, item.value)
    if isinstance(item, Step):
        return Add(item.register.number, item.register.stride)
    if isinstance(item, Repeat):
        return Loop(item.register.number, places[item.begin])
    if isinstance(item, Fetch):
        return Load(item.register.number, _word(item.word), item.shift)
    if isinstance(item, Keep):
        return Store(_word(item.word))
    return JumpEqual(item.register.number, item.value, places[item.target[0]])


def _word(view: View):  # type: ignore[no-untyped-def]
    return address(view.buffer, view.offset)
