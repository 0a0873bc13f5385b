# SPDX-License-Identifier: MIT
"""The compiler's pipeline of passes.

trace -> lower -> legalise -> select -> flatten -> group -> stream -> barriers -> allocate -> encode

`show.py` prints the program after each of them (`fixedpoint-nn emit NET --show PASS`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fixedpoint_nn.hardware.compiler.allocation import allocate
from fixedpoint_nn.hardware.compiler.barriers import place_barriers
from fixedpoint_nn.hardware.compiler.encode import instructions
from fixedpoint_nn.hardware.compiler.engine_fit import fitted
from fixedpoint_nn.hardware.compiler.engine_sizing import smallest_engine
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.flatten import flatten
from fixedpoint_nn.hardware.compiler.group_choice import choose_groups
from fixedpoint_nn.hardware.compiler.halves import both, room
from fixedpoint_nn.hardware.compiler.host_port import host_port
from fixedpoint_nn.hardware.compiler.ir import EngineProgram, Flat
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.legalise import legalise
from fixedpoint_nn.hardware.compiler.lower import lowered
from fixedpoint_nn.hardware.compiler.select import select
from fixedpoint_nn.hardware.compiler.show import Stages
from fixedpoint_nn.hardware.compiler.streaming import stream_weights, streamed_rows
from fixedpoint_nn.hardware.isa.config import (
    EngineConfig,
    drain_rule,
    is_drain,
    is_words,
    words_rule,
)
from fixedpoint_nn.hardware.isa.config import latency as latency_of
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import AssemblyError, Halt, Instruction, encode
from fixedpoint_nn.hardware.isa.port import Halves, Port
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.qformat import QFormat

MULTIPLIER_BITS = 32  # of the widest multiplier that an engine has
ONE_OF_EACH = "A program on the engine has one input and one output; join the others."


@dataclass(frozen=True)
class CompiledNetwork:
    """A compiled network: engine, images, program and ports."""

    config: EngineConfig
    images: Images
    program: Program
    instructions: tuple[Instruction, ...]
    items: tuple[Flat, ...]
    places: tuple[int, ...]  # the program address of each item
    input: Port
    output: Port
    stages: Stages = field(repr=False, compare=False)
    halves: Halves | None = None  # of a program whose next input is written while it runs

    @property
    def batch(self) -> int:
        """The number of samples that a run of the program computes."""
        return self.program.nodes[self.program.inputs[0]].shape[0]

    @property
    def kernels(self) -> list[Kernel]:
        """The runs of the program, in order."""
        return [item for item in self.items if isinstance(item, Kernel)]

    @property
    def placed_kernels(self) -> list[tuple[int, Kernel]]:
        """(program address, run) of all runs, also of the second program that reads the second place of the input."""
        first = [
            (place, item)
            for item, place in zip(self.items, self.places, strict=False)
            if isinstance(item, Kernel)
        ]
        if self.halves is None:
            return first
        apart = self.places[-1] + Halt.words - self.places[0]
        return first + [(place + apart, item) for place, item in first]


def lower(
    net: Callable[[Any], Any],
    shape: tuple[int, ...],
    format: QFormat,
    lanes: int = 8,
    engine: EngineConfig | None = None,
    drain: int = 1,
    multiplier: int = MULTIPLIER_BITS,
    words: int = 1,
    pack: int = 1,
    window: int = 0,
    batch: int = 1,
    ahead: bool = False,
) -> CompiledNetwork:
    """Compile a quantised network for samples of this shape and format; raises LoweringError.

    It runs on `engine`, if that is large enough, or on the smallest engine with `lanes` lanes that drains `drain` and
    reads `words` words per clock, with `pack` lanes sharing a multiplier. Its requantisers have multipliers of at most
    `multiplier` bits if the network benefits; 0 forbids them. With a `window` of that many rows, weights outside of
    loops are streamed. A run of the program computes `batch` samples. With `ahead` the host may write the input of the
    next run while one is computed, and the engine has `host_writes`.
    """
    if not isinstance(batch, int) or batch < 1:
        raise LoweringError(f"A run computes 1 or more samples, not {batch!r}.")
    if len(getattr(net, "inputs", ("x",))) != 1:
        raise LoweringError(ONE_OF_EACH)
    program = trace(net, shape, format, batch)
    if engine is None:
        network = lower_program(program, lanes, drain, multiplier, words=words, window=window, ahead=ahead)
        return packed(network, pack)
    lowered = lower_program(
        program,
        engine.lanes,
        engine.drain,
        engine.multiplier_width,
        engine.latency,
        engine.words,
        engine.weight_window,
        ahead,
    )
    return replace(lowered, config=fitted(lowered.config, engine, lowered.kernels))


def packed(network: CompiledNetwork, pack: int) -> CompiledNetwork:
    """The program on an engine with `pack` lanes sharing a multiplier; its cycles may differ."""
    try:
        return replace(network, config=replace(network.config, pack=pack))
    except AssemblyError as error:
        raise LoweringError(f"The network does not fit any engine: {error}.") from None


def lower_program(
    program: Program,
    lanes: int = 8,
    drain: int = 1,
    multiplier: int = MULTIPLIER_BITS,
    latency: int = 0,
    words: int = 1,
    window: int = 0,
    ahead: bool = False,
) -> CompiledNetwork:
    """Compile a traced program of one input and one output, for an engine of at least this latency."""
    if not 0 <= multiplier <= MULTIPLIER_BITS or multiplier == 1:
        raise LoweringError(
            f"A multiplier has 2 to {MULTIPLIER_BITS} bits, or 0 for none, not {multiplier!r}."
        )
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        raise LoweringError(ONE_OF_EACH)
    return finish(program, lowered(program, lanes, drain, multiplier, words), latency, window, ahead)


def finish(
    program: Program, lower: EngineProgram, latency: int = 0, window: int = 0, ahead: bool = False
) -> CompiledNetwork:
    """The passes after lowering, for a traced program and its lowered form.

    `latency` is the engine's, if it is given; `window` the rows of its window for streamed weights; `ahead` asks for
    a second place of the input.
    """
    if not is_drain(lower.drain, lower.lanes):
        raise LoweringError(
            f"The network does not fit any engine: drain = {lower.drain!r} is no engine; {drain_rule(lower.lanes)}."
        )
    if not is_words(lower.words, lower.lanes):
        raise LoweringError(
            f"The network does not fit any engine: words = {lower.words!r} is no engine; {words_rule(lower.lanes)}."
        )
    legal = legalise(lower)
    selected = select(legal)
    flat = flatten(selected.items)
    multiplied = any(isinstance(item, Kernel) and item.multiplied for item in flat)
    latency = max(latency, latency_of(multiplied, selected.words))
    grouped = choose_groups(flat, selected.drain, latency)
    streamed = stream_weights(grouped, window) if window else grouped
    items = place_barriers(streamed, selected.drain, latency, selected.words)
    halves = room(selected) if ahead else None
    allocation = allocate(selected, items, halves)
    at = allocation.placement
    try:
        code, places = instructions(items, at) if halves is None else both(items, at, halves)
        words = encode(code)
    except AssemblyError as error:
        raise LoweringError(f"The program does not fit the engine's instructions: {error}.") from None
    parameters = allocation.parameters if multiplied else allocation.parameters[:, :2]
    kernels = [item for item in items if isinstance(item, Kernel)]
    images = Images(
        words,
        allocation.weights,
        parameters,
        allocation.tables,
        allocation.activations,
        streamed_rows(kernels, selected.lanes),
    )
    config = smallest_engine(
        selected.lanes,
        selected.drain,
        images,
        kernels,
        selected.input.format,
        allocation.depth,
        selected.words,
        window,
    )
    return CompiledNetwork(
        replace(config, host_writes=int(ahead)),
        images,
        program,
        code,
        items,
        places,
        host_port(selected.input, at),
        host_port(selected.output, at),
        Stages(program, lower, legal, selected, flat, grouped, streamed, items, allocation, code, places),
        None
        if halves is None
        else Halves(host_port(selected.input, halves.placed(at)), at.addresses[halves.word]),
    )
