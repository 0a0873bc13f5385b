# SPDX-License-Identifier: MIT
"""Which runs must wait for results: only those that would read a word before it is written.

By the engine's timing the first step of a run comes at least HANDOVER cycles after the last step of the run
before it, and a word can be read `latency` cycles, and one for every `drain` lanes before it, after the last step of
its tile. The last step of a run's first tile waits until the results of the run before can be read; so only the run
directly before matters, and a run that reads its latest words late enough needs no barrier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fixedpoint_nn.hardware.compiler.ir import Flat, LoadRegister, StoreArgmax
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.lifetimes import overlap, reads, targets, writes
from fixedpoint_nn.hardware.compiler.strided_view import Atom
from fixedpoint_nn.hardware.isa.config import LATENCY
from fixedpoint_nn.hardware.isa.timing import HANDOVER, drain_clocks


def place_barriers(items: Sequence[Flat], drain: int = 1, latency: int = LATENCY) -> tuple[Flat, ...]:
    """The program with a barrier at those kernels alone that may need one."""
    jumped_to = {target for item in items for target in targets(item)}
    before: Kernel | None = None
    unknown = False
    placed: list[Flat] = []
    for item in items:
        unknown |= item in jumped_to  # what the end of the loop has written
        if isinstance(item, Kernel):
            waits = (
                item.argmax or unknown or (before is not None and _too_early(item, before, drain, latency))
            )
            item = replace(item, barrier=waits)
            before, unknown = item, False
        elif isinstance(item, (LoadRegister, StoreArgmax)):
            before, unknown = None, False
        placed.append(item)
    return tuple(placed)


def _too_early(kernel: Kernel, producer: Kernel, drain: int, latency: int) -> bool:
    """May the kernel read a word of the one before it that is not yet there?"""
    written = next(writes(producer), None)
    if written is None or not any(overlap(read, written) for read in reads(kernel)):
        return False
    operand = kernel.operands[0]
    alone = len(kernel.operands) == 1 and not kernel.factors
    if not alone or operand.buffer.register is not producer.target.buffer.register:
        return True
    width = kernel.lanes if kernel.vector else 1
    for step, offset in _first_steps(kernel, latency + drain_clocks(kernel.lanes, drain)):
        start = offset - offset % kernel.lanes if kernel.vector else offset
        read = range(start, start + width)
        if any(_ready_cycle(producer, word, drain, latency) > HANDOVER + step for word in read):
            return True
    return False


def _first_steps(kernel: Kernel, count: int) -> Iterator[tuple[int, int]]:
    """For the first steps, each not before its number: the offset that it reads."""
    loops = [*kernel.pixels, Atom(kernel.tiles, kernel.tile_stride), *kernel.taps]
    base = kernel.operands[0].place[1]
    for step in range(min(count, kernel.steps)):
        rest, offset = step, base
        for atom in reversed(loops):
            rest, index = divmod(rest, atom.size)
            offset += index * atom.stride
        yield step, offset


def _ready_cycle(producer: Kernel, offset: int, drain: int, latency: int) -> int:
    """Cycles from the producer's last step until the word can be read; very negative: it writes another."""
    _, start = producer.target.place
    pixels = producer.steps // (producer.tiles * producer.tile_steps)
    pixel, channel = divmod(offset - start, producer.target.stride) if pixels > 1 else (0, offset - start)
    if not (0 <= pixel < pixels and 0 <= channel < producer.channels):
        return -(1 << 30)
    tile, lane = divmod(channel, producer.lanes)
    after = (pixels - 1 - pixel) * producer.tiles + producer.tiles - 1 - tile
    return latency + lane // drain - after * producer.tile_steps
