# SPDX-License-Identifier: MIT
"""Writing a quantised network as a pack: memory images, golden vectors, manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from numpy.typing import ArrayLike

from fixedpoint_nn.hardware.compiler.pipeline import MULTIPLIER_BITS, CompiledNetwork, lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.port import input_of
from fixedpoint_nn.hardware.isa.schedule import Schedule, schedule
from fixedpoint_nn.hardware.isa.weight_window import RowClock, WeightMemory
from fixedpoint_nn.hardware.pack import manifest
from fixedpoint_nn.hardware.pack.writer import (
    PackContents,
    check_replaceable,
    write_pack,
)
from fixedpoint_nn.hardware.vectors import cover_points, reachability, search
from fixedpoint_nn.hardware.vectors.whole_runs import whole_runs
from fixedpoint_nn.network.one_port import as_one
from fixedpoint_nn.network.quantized import Quantized, demand_quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.arrays import Ints


def emit(
    fixed: Quantized,
    inputs: ArrayLike | FixedArray | tuple[ArrayLike | FixedArray, ...],
    directory: str | Path,
    *,
    name: str = "network",
    lanes: int = 8,
    drain: int = 1,
    words: int = 1,
    pack: int = 1,
    multiplier: int = MULTIPLIER_BITS,
    engine: EngineConfig | None = None,
    weight_window: int = 0,
    weight_memory: WeightMemory | None = None,
    radix: int = 16,
    mif: bool = False,
    corner_vectors: int = 8,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    weights: str | None = None,
    batch: int = 1,
    ahead: bool = False,
) -> Path:
    """Compile a quantised network and write its pack; returns the pack's folder.

    A pack has memory images as .coe and .mem, golden vectors (the `inputs` (n, ...) and up to `corner_vectors` more
    that hit cover points) with their expected outputs, and a manifest. A graph of several inputs takes a tuple of
    `inputs`; in the pack all inputs of a sample are one row, and its outputs another.

    The engine is `engine`, or the smallest one with `lanes` lanes that drains `drain` and reads `words` words per
    clock, `pack` lanes sharing a multiplier, with requantiser multipliers of at most `multiplier` bits if the network
    benefits. A run of the program computes `batch` samples, and a vector holds as many; the last one is filled up with
    the first samples. With a `weight_window` of that many rows, weights outside of loops are streamed from outside, and
    cycles are predicted for `weight_memory` (default: one row per clock). With `ahead` the input of a vector is written
    while the one before is computed, into two places in turn.

    The folder is written atomically; an existing one is replaced if it is a pack. `radix` is that of the .coe files,
    `mif` adds .mif files. `weights`, the hash of the float network (`network.serialization.identity`), is kept in the
    manifest. Raises `LoweringError` for a network that the engine cannot run.

    >>> from fixedpoint_nn import calibrate, emit, quantize, zoo
    >>> net, x = zoo.load("moons"), zoo.samples("moons", 100)
    >>> emit(quantize(net, calibrate(net, x)), x[:4], "moons_pack")  # doctest: +SKIP
    PosixPath('moons_pack')
    """
    say = progress or (lambda line: None)
    demand_quantized(fixed, "emit")
    fixed, samples = as_one(fixed, inputs)
    directory = Path(directory)
    check_replaceable(directory)
    say(f"lowering {name} for {lanes} lanes")
    lowered = lower(
        fixed.net,
        samples.shape[1:],
        fixed.input.format,
        lanes,
        engine,
        drain,
        multiplier,
        words,
        pack,
        weight_window,
        batch,
        ahead,
    )
    say("searching for corner vectors")
    program = lowered.program if batch == 1 else trace(fixed.net, samples.shape[1:], fixed.input.format)
    unreachable = reachability.unreachable(program, samples)
    vectors, origins = search.golden(program, samples, corner_vectors, seed, unreachable)
    vectors = whole_runs(vectors, batch)
    origins = [origins[place % len(origins)] for place in range(len(vectors))]
    expected = fixed(vectors)
    say(f"writing {directory}")
    return emit_lowered(
        directory,
        lowered,
        vectors,
        expected,
        origins,
        name,
        radix=radix,
        mif=mif,
        unreachable=unreachable,
        weights=weights,
        memory=weight_memory,
    )


def emit_lowered(
    directory: str | Path,
    lowered: CompiledNetwork,
    vectors: FixedArray,
    expected: FixedArray,
    origins: list[str],
    name: str,
    *,
    radix: int = 16,
    mif: bool = False,
    seed: int = 1,
    unreachable: Mapping[cover_points.Key, str] | None = None,
    weights: str | None = None,
    memory: WeightMemory | None = None,
) -> Path:
    """Write the pack of a compiled network, atomically: into a temporary folder, which is then renamed."""
    check_replaceable(Path(directory))
    config = lowered.config
    memory = (memory or WeightMemory()) if config.weight_window else None
    plans = [_plan(lowered, memory, run) for run in range(1 if lowered.halves is None else 2)]
    plan = _both(plans)
    batch = lowered.batch
    inputs, outputs = (_by_run(value.ints, batch) for value in (vectors, expected))
    cycles, macs, stalls = _predicted(lowered, plans, inputs, seed)
    contents = PackContents(
        name=name,
        config=lowered.config,
        images=lowered.images,
        input=lowered.input,
        output=lowered.output,
        vectors=inputs,
        expected=outputs,
        origins=[", ".join(origins[first : first + batch]) for first in range(0, len(origins), batch)],
        cycles=cycles,
        mac_cycles=macs,
        listing=manifest.listing(lowered, plan),
        runs=manifest.describe_runs(lowered, plan),
        corners=cover_points.count(lowered.program, vectors, unreachable) if plan is not None else {},
        seed=seed,
        memory=memory,
        stalls=stalls,
        weights=weights,
        batch=batch,
        halves=lowered.halves,
    )
    return write_pack(Path(directory), contents, radix, mif)


def _by_run(samples: Ints, batch: int) -> Ints:
    """The samples of each run together: (runs, batch, ...), or (runs, ...) for a batch of one."""
    return samples if batch == 1 else samples.reshape(-1, batch, *samples.shape[1:])


def _plan(lowered: CompiledNetwork, memory: WeightMemory | None, run: int) -> Schedule | None:
    """The schedule of this run: with two places for the input they take turns."""
    config = lowered.config
    rows = None if memory is None else RowClock(config.weight_window, memory)
    choice = None if lowered.halves is None else lowered.halves.choice(run)
    return schedule(
        lowered.instructions, config.lanes, config.drain, config.latency, config.pack, rows, choice
    )


def _both(plans: Sequence[Schedule | None]) -> Schedule | None:
    """The first schedule, and the cycles of the runs of the others beside its own."""
    found = [plan for plan in plans if plan is not None]
    if len(found) < len(plans):
        return None
    runs = {place: cycles for plan in found for place, cycles in plan.by_run.items()}
    stalls = {place: cycles for plan in found for place, cycles in plan.stalls_by_run.items()}
    return replace(found[0], by_run=runs, stalls_by_run=stalls)


def _predicted(
    lowered: CompiledNetwork, plans: Sequence[Schedule | None], vectors: Ints, seed: int
) -> tuple[list[int], list[int], list[int]]:
    """(cycles, multiplying cycles, stalls) of each vector; a program that jumps on data is run on the emulator."""
    turns = [plans[run % len(plans)] for run in range(len(vectors))]
    found = [plan for plan in turns if plan is not None]
    if len(found) == len(vectors):
        return [one.cycles for one in found], [one.mac_cycles for one in found], [one.stalls for one in found]
    twins = []
    for run, row in enumerate(vectors.reshape(len(vectors), -1)):
        port, choice = input_of(lowered.input, lowered.halves, run)
        twins.append(Twin(lowered.config, lowered.images, port, row, choice=choice).run(seed + run))
    return [twin.cycles for twin in twins], [twin.mac_cycles for twin in twins], []
