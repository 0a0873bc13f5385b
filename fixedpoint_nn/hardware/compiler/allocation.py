# SPDX-License-Identifier: MIT
"""Kernels to addresses: activation memory by lifetimes, weight rows, parameters, tables, and their images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.compiler.ir import Flat, JumpIfEqual, Label, LoadRegister, Repeat, StoreArgmax
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Placement
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.table import Table

Span = tuple[Buffer, "Register | None", int, int]  # root, register, lowest and highest offset


def reads(item: Flat) -> Iterator[Span]:
    """The words that an item may read."""
    if isinstance(item, LoadRegister):
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


def writes(item: Flat) -> Iterator[Span]:
    """The words that an item may write."""
    if isinstance(item, StoreArgmax):
        yield item.word.buffer.root, item.word.buffer.register, item.word.place[1], item.word.place[1]
    if isinstance(item, Kernel) and item.write:
        root, low, high = item.writes
        yield root, item.target.buffer.register, low, high


def overlap(a: Span, b: Span) -> bool:
    """May both touch one word? Words that move in different ways may, if they are of one buffer."""
    return a[0] is b[0] and (a[1] is not b[1] or (a[2] <= b[3] and b[2] <= a[3]))


def targets(item: Flat) -> tuple[Label, ...]:
    """The labels that an item may jump to."""
    if isinstance(item, Repeat):
        return (item.begin,)
    return (item.target,) if isinstance(item, JumpIfEqual) else ()


@dataclass(frozen=True)
class Allocation:
    """Where everything stands, the images that follow from it, and how deep the activation memory is."""

    placement: Placement
    weights: Ints  # (rows, lanes)
    parameters: Ints  # (words, 2): shift, bias
    tables: Ints
    activations: Ints
    depth: int


def allocate(
    items: Sequence[Flat], buffers: Sequence[Buffer], inputs: Sequence[Buffer], lanes: int
) -> Allocation:
    """Memory for every buffer, weight, parameter and table; `inputs` are written before the program starts."""
    kernels = [item for item in items if isinstance(item, Kernel)]
    addresses, depth = _addresses(items, buffers, inputs, lanes)
    weights, weight_rows = _stacked(
        [(k, k.weights) for k in kernels if k.weights is not None], np.zeros((1, lanes), np.int64)
    )
    parameters, parameter_words = _stacked([(k, k.parameters) for k in kernels], np.zeros((1, 2), np.int64))
    tables, table_bases = _tables(kernels)
    placement = Placement(addresses, weight_rows, parameter_words, table_bases)
    return Allocation(placement, weights, parameters, tables, _constants(buffers, addresses), depth)


def _addresses(
    items: Sequence[Flat], buffers: Sequence[Buffer], inputs: Sequence[Buffer], lanes: int
) -> tuple[dict[Buffer, int], int]:
    """Constants first; buffers whose lifetimes do not meet share words. Addresses, and the number of words in all."""
    roots = [buffer for buffer in buffers if buffer.parent is None]
    life = _lifetimes(items, roots, inputs)
    addresses: dict[Buffer, int] = {}
    end = 0
    placed: list[Buffer] = []
    for root in sorted(roots, key=lambda b: (b.constants is None, not b.keep, -b.words)):
        span = life[root]
        if root.keep or root.constants is not None:
            span[:] = [-1, len(items)]
        if span[1] < span[0]:
            addresses[root] = 0  # nothing touches it
            continue
        taken = sorted(
            (addresses[other], addresses[other] + other.words)
            for other in placed
            if life[other][0] <= span[1] and span[0] <= life[other][1]
        )
        at = 0
        for low, high in taken:
            if at + root.words <= low:
                break
            at = max(at, high)
        addresses[root] = at
        placed.append(root)
        end = max(end, at + root.words)
    return addresses, -(-end // lanes) * lanes


def _lifetimes(
    items: Sequence[Flat], roots: Sequence[Buffer], inputs: Sequence[Buffer]
) -> dict[Buffer, list[int]]:
    """The first and the last item that touches each buffer; a loop keeps what it finds and leaves."""
    places = {item: number for number, item in enumerate(items) if isinstance(item, Label)}
    life = {root: [len(items), -1] for root in roots}
    for buffer in inputs:
        life[buffer.root] = [-1, -1]
    for number, item in enumerate(items):
        for span in (*reads(item), *writes(item)):
            _extend(life[span[0]], number, number)
    for number, item in enumerate(items):
        for label in targets(item):
            target = places[label]
            for alive in life.values():
                if target <= number and alive[0] <= number and alive[1] >= target:
                    _extend(alive, min(target, alive[0]), number)
    return life


def _extend(span: list[int], first: int, last: int) -> None:
    span[0], span[1] = min(span[0], first), max(span[1], last)


def _constants(buffers: Sequence[Buffer], addresses: Mapping[Buffer, int]) -> Ints:
    """The image of the activation memory: constants stand at its low end."""
    fixed = [(addresses[b], b.constants) for b in buffers if b.constants is not None and b in addresses]
    image = np.zeros(max([at + len(words) for at, words in fixed], default=0), np.int64)
    for at, words in fixed:
        image[at : at + len(words)] = words
    return image


def _stacked(blocks: Sequence[tuple[Kernel, Ints]], none: Ints) -> tuple[Ints, dict[Kernel, int]]:
    """The kernels' blocks below each other, each distinct one once, and where each kernel's begins."""
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
    """Tables, the largest first, so that each starts at a multiple of its size; and where each kernel's begins."""
    tables: list[Table | NoiseTable] = []
    for kernel in kernels:
        if kernel.table is not None and kernel.table not in tables:
            tables.append(kernel.table)
    tables.sort(key=lambda table: -len(table.ints))
    ends = np.cumsum([0, *(len(table.ints) for table in tables)]).tolist()
    image = np.concatenate([table.ints for table in tables]) if tables else np.zeros(0, np.int64)
    return image, {k: ends[tables.index(k.table)] for k in kernels if k.table is not None}
