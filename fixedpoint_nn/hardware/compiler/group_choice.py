# SPDX-License-Identifier: MIT
"""The choice of each kernel's grouping of lanes: the one with which it and the next run end first.

Results of small tiles can be read sooner, and a run that reads few words per step waits less for late words. So the
alternatives of a kernel are compared by the cycles from the run before it to the run after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fixedpoint_nn.hardware.compiler.barriers import Before, drained, first_step, runs_before
from fixedpoint_nn.hardware.compiler.grouping import clocks, with_weights
from fixedpoint_nn.hardware.compiler.ir import Flat
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.isa.timing import drain_clocks

ROUNDS = 2  # over all kernels, because choices depend on neighbours


def choose_groups(items: Sequence[Flat], drain: int, latency: int) -> tuple[Flat, ...]:
    """The program with one alternative chosen for each kernel."""
    chosen: dict[Kernel, Kernel] = {item: item for item in items if isinstance(item, Kernel)}
    if any(kernel.ways for kernel in chosen):
        for kernel in chosen:
            if kernel.ways:
                chosen[kernel] = min(kernel.ways, key=lambda way: (clocks(way, drain), -way.groups))
        _improve(items, chosen, drain, latency)
    settled = []
    for item in items:
        if isinstance(item, Kernel) and item.taps_by_channels is not None:
            item = replace(with_weights(chosen[item], item.taps_by_channels), ways=(), taps_by_channels=None)
        settled.append(item)
    return tuple(settled)


def _improve(items: Sequence[Flat], chosen: dict[Kernel, Kernel], drain: int, latency: int) -> None:
    """Choose the best alternative of each kernel, given those of its neighbours."""
    before: dict[Kernel, Before] = {}
    behind: dict[Kernel, list[tuple[Kernel, Before]]] = {}
    for item, runs in zip(items, runs_before(items), strict=True):
        if isinstance(item, Kernel) and runs:
            before[item] = runs[
                -1
            ]  # for a loop's first kernel the last one of its body, the more frequent case
            for one in runs:
                behind.setdefault(one.kernel, []).append((item, one))

    def cost(kernel: Kernel, way: Kernel) -> int:
        one = before.get(kernel)
        total = clocks(way, drain)
        if one is not None and one.kernel is not kernel:
            total = _span(replace(one, kernel=chosen[one.kernel]), way, drain, latency)
        later = [
            _span(replace(one, kernel=way), chosen[follower], drain, latency)
            for follower, one in behind.get(kernel, [])
            if follower is not kernel
        ]
        return total + max(later, default=drained(way, drain, latency))

    for _ in range(ROUNDS):
        for kernel in chosen:
            if len(kernel.ways) > 1:
                chosen[kernel] = min(kernel.ways, key=lambda way: (cost(kernel, way), way.groups))


def _span(before: Before, kernel: Kernel, drain: int, latency: int) -> int:
    """Cycles from the last step of the run before to the last step of the kernel."""
    steps = kernel.tile_steps
    tile = max(steps, drain_clocks(min(kernel.channels, kernel.tile_channels), drain))
    first = max(
        first_step(kernel, before, drain, latency) + steps - 1, drained(before.kernel, drain, latency)
    )
    return first + clocks(kernel, drain) - tile
