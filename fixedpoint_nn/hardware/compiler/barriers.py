# SPDX-License-Identifier: MIT
"""The pass `barriers`: a run waits for earlier results only if it would read a word before it is written.

By the engine's timing the first step of a run is at least HANDOVER cycles after the last step of the run before, and a
word can be read `latency` cycles, plus one for every `drain` channels before it, plus one, after the last step of its
tile. The last step of a run's first tile waits until all results of the run before can be read. So only the directly
preceding run matters, and only the steps before that one: the run above, or at the beginning of a loop also the last
one of its body. A run that reads its latest words late enough needs no barrier, and any other waits only as long as
needed (`early`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Flat,
    Label,
    LoadRegister,
    Repeat,
    SetRegister,
    StoreArgmax,
)
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.lifetimes import targets, writes
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Register, View
from fixedpoint_nn.hardware.isa.config import LATENCY
from fixedpoint_nn.hardware.isa.timing import HANDOVER, drain_clocks
from fixedpoint_nn.numerics.arrays import Ints

MOST_EARLY = 63  # cycles, the limit of the instruction's field


@dataclass(frozen=True)
class Before:
    """A run that may directly precede, and the change of registers since (None: unknown)."""

    kernel: Kernel
    moved: Mapping[Register, int | None] = field(default_factory=dict)

    def after(self, register: Register, by: int | None) -> Before:
        """The same run, after a further change of a register."""
        so_far = self.moved.get(register, 0)
        return replace(
            self, moved={**self.moved, register: None if by is None or so_far is None else so_far + by}
        )


Runs = tuple[Before, ...] | None  # None: unknown


def place_barriers(
    items: Sequence[Flat], drain: int = 1, latency: int = LATENCY, words: int = 1
) -> tuple[Flat, ...]:
    """The program with barriers only at kernels that may need one, as early as the engine allows.

    On an engine that reads one word per clock a barrier waits for all results.
    """
    placed: list[Flat] = []
    for item, before in zip(items, runs_before(items), strict=True):
        if isinstance(item, Kernel):
            item = replace(_waiting(item, before, drain, latency, words), may_be_short=words > 1)
        placed.append(item)
    return tuple(placed)


def runs_before(items: Sequence[Flat]) -> Iterator[Runs]:
    """The runs that may directly precede each item."""
    at_jumps: dict[Label, list[Runs]] = {}
    now: Runs = ()
    for item in items:
        for label in targets(item):
            at_jumps.setdefault(label, []).append(_passed(item, now) if isinstance(item, Repeat) else None)
        now = _passed(item, now)
    now = ()
    for item in items:
        if isinstance(item, Label) and item in at_jumps:
            known = [now, *at_jumps[item]]
            now = None if None in known else tuple(one for runs in known if runs is not None for one in runs)
        yield now
        now = _passed(item, now)


def _passed(item: Flat, now: Runs) -> Runs:
    match item:
        case Kernel():
            return (Before(item),)
        case LoadRegister() | StoreArgmax():  # they wait for all results
            return ()
        case Advance(register):
            return now if now is None else tuple(one.after(register, register.stride) for one in now)
        case SetRegister(register) | Repeat(register):
            return now if now is None else tuple(one.after(register, None) for one in now)
    return now


def _waiting(kernel: Kernel, before: Runs, drain: int, latency: int, words: int) -> Kernel:
    """The kernel with the barrier that it needs."""
    if before is None or kernel.argmax:
        return replace(kernel, barrier=True)
    waits = [(first_step(kernel, one, drain, latency), drained(one.kernel, drain, latency)) for one in before]
    waits = [(first, drained) for first, drained in waits if first > HANDOVER]
    if not waits:
        return replace(kernel, barrier=False)
    early = min(ready - first for first, ready in waits) if words > 1 else 0
    return replace(kernel, barrier=True, early=min(early, MOST_EARLY))


def drained(kernel: Kernel, drain: int, latency: int) -> int:
    """Cycles from a kernel's last step until all its results can be read."""
    last = kernel.channels - (kernel.tiles - 1) * kernel.tile_channels
    return latency + drain_clocks(last, drain)


def first_step(kernel: Kernel, before: Before, drain: int, latency: int) -> int:
    """The minimum of cycles from the last step of the kernel before to the first step of this kernel."""
    producer = before.kernel
    written = next(writes(producer), None)
    if written is None or not any(
        view.buffer.root is written[0] for view in (*kernel.operands, *kernel.factors)
    ):
        return HANDOVER
    register = producer.target.buffer.register
    moved = before.moved.get(register, 0) if register is not None else 0
    steps: list[int] = []
    starts: list[int] = []
    # From the last step of the first tile on, everything can be read.
    count = min(latency + drain_clocks(producer.tile_channels, drain), kernel.tile_steps - 1)
    for step, view, offset in _first_reads(kernel, count):
        if view.buffer.root is not written[0]:
            continue
        if view.buffer.register is not register or moved is None:
            return drained(producer, drain, latency)
        steps.append(step)
        starts.append((offset - offset % kernel.lanes if kernel.vector else offset) + moved)
    if not steps:
        return HANDOVER
    words = np.array(starts)[:, None] + np.arange(kernel.step_words)
    waits = _ready_cycles(producer, words, drain, latency) - np.array(steps)[:, None]
    return max(HANDOVER, int(waits.max()))


def _first_reads(kernel: Kernel, count: int) -> Iterator[tuple[int, View, int]]:
    """(step, operand that it reads, offset in its root buffer) for the first `count` steps."""
    terms, pairs = len(kernel.operands), 2 if kernel.factors else 1
    loops = [
        *kernel.pixels,
        Atom(kernel.tiles, kernel.tile_stride),
        Atom(terms, 0),
        *kernel.taps,
        Atom(pairs, 0),
    ]
    term_at = len(kernel.pixels) + 1
    for step in range(min(count, kernel.steps)):
        rest, walked, indices = step, 0, [0] * len(loops)
        for place in reversed(range(len(loops))):
            rest, indices[place] = divmod(rest, loops[place].size)
            walked += indices[place] * loops[place].stride
        view = (kernel.factors if indices[-1] else kernel.operands)[indices[term_at]]
        yield step, view, view.place[1] + walked


def _ready_cycles(producer: Kernel, offsets: Ints, drain: int, latency: int) -> Ints:
    """Cycles from the producer's last step until each word can be read; very negative for words it does not write."""
    _, start = producer.target.place
    pixels, tiles, size = prod(atom.size for atom in producer.pixels), producer.tiles, producer.tile_channels
    pixel, channel = np.zeros_like(offsets), offsets - start
    if pixels > 1:
        pixel, channel = np.divmod(offsets - start, producer.target.stride)
    tile, lane = channel // size, channel % size
    steps, last = producer.tile_steps, producer.channels - (tiles - 1) * size
    whole = max(steps, drain_clocks(size, drain))
    each = (tiles - 1) * whole + max(steps, drain_clocks(last, drain))
    after = (pixels - 1 - pixel) * each + (tiles - 1 - tile) * whole
    there = (pixel >= 0) & (pixel < pixels) & (channel >= 0) & (channel < producer.channels)
    return np.where(there, latency + lane // drain + 1 - after, -(1 << 30))
