# SPDX-License-Identifier: MIT
"""Text that the engine writes by itself, character after character, and the same from the bit-accurate model.

A network that writes has the parts `embedding`, `lstm` (any recurrent layers) and `head`. The engine loads
the last character as an address, runs one step, adds noise to the logits if a temperature asks for it, and
stores the largest one's place as the next character. After the end mark (0) it starts again from states of
zero if `restart` says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.expression import Expression, Scale
from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    EngineProgram,
    JumpIfEqual,
    Label,
    LoadRegister,
    Repeat,
    SetRegister,
    StoreArgmax,
    WriteBack,
)
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, finish
from fixedpoint_nn.hardware.compiler.rules import RULES
from fixedpoint_nn.hardware.compiler.scan_layout import in_place
from fixedpoint_nn.hardware.compiler.scope import Scope
from fixedpoint_nn.hardware.compiler.strided_view import (
    ALL_PADDING,
    ZERO_REGISTER,
    Buffer,
    Register,
    View,
    dense_axes,
)
from fixedpoint_nn.hardware.emit import emit_lowered
from fixedpoint_nn.hardware.isa.lfsr import Noise
from fixedpoint_nn.hardware.sim.run import Job, simulate, write_images
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import Traced
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

END = 0


@dataclass(frozen=True)
class SamplingConfig:
    """How to write: how many characters in all, how warm, and whether each end mark starts a new name."""

    length: int
    temperature: float = 0.0
    restart: bool = True
    noise_bits: int = 10

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"a text has one character or more, not {self.length}")
        if self.temperature < 0:
            raise ValueError(f"a temperature is 0 (always the likeliest) or more, not {self.temperature}")


@dataclass(frozen=True)
class Writer:
    """The parts of a quantised network that writes."""

    fixed: Quantized

    def __post_init__(self) -> None:
        parts = getattr(self.fixed.net, "parts", {})
        if not {"embedding", "lstm", "head"} <= set(parts):
            raise ValueError(
                f"a network that writes has the parts embedding, lstm and head, not {', '.join(parts)}"
            )

    @property
    def net(self) -> Any:
        return self.fixed.net

    @property
    def symbols(self) -> int:
        return int(self.net["embedding"].weight.shape[0])

    def states(self, like: Any) -> tuple[Any, ...]:
        """States of zero."""
        return tuple(self.net["lstm"].initial(like))

    def step(self, token: Any, *states: Any) -> tuple[Any, ...]:
        """Logits, and the next states."""
        x, after = self.net["embedding"](token), []
        for cell in self.net["lstm"].cells:
            count = len(cell.states)
            x, *new = cell(x, *states[:count])
            after += new
            states = states[count:]
        return (self.net["head"](x), *after)

    def logits_format(self) -> QFormat:
        """Of what the head gives."""
        token = FixedArray.from_ints(np.zeros(1, np.int64), self.fixed.input.format)
        logits: FixedArray = self.step(token, *self.states(token))[0]
        return logits.format

    def noise(self, how: SamplingConfig) -> NoiseTable | None:
        if how.temperature == 0:
            return None
        exact = Fraction(how.temperature).limit_denominator(1 << 16)
        return NoiseTable(how.noise_bits, self.logits_format().frac_bits, exact)


def write(fixed: Quantized, how: SamplingConfig, seed: int = 1, first: int = END) -> Ints:
    """What the bit-accurate model writes: the engine's integers from the same seed."""
    writer = Writer(fixed)
    table, source = writer.noise(how), Noise(seed)
    format = fixed.input.format
    token = FixedArray.from_ints(np.array([first]), format)
    states: Sequence[Any] = writer.states(token)
    written = []
    for _ in range(how.length):
        logits, *states = writer.step(token, *states)
        if table is not None:
            drawn = FixedArray.from_ints(table.draw(source, writer.symbols)[None], table.output.format)
            logits = logits + drawn
        token = FixedArray.from_ints(logits.argmax().ints.reshape(1), format)
        written.append(int(token.ints[0]))
        if how.restart and written[-1] == END:
            states = writer.states(token)
    return np.array(written, np.int64)


def _trace(writer: Writer, table: NoiseTable | None) -> Program:
    """One step as a program: (noise, token, states) to (token, states)."""
    program = Program()
    format = writer.fixed.input.format
    noise = None if table is None else Traced.argument(program, (1, writer.symbols), table.output.format)
    token = Traced.argument(program, (1,), format)
    zero = FixedArray.from_ints(np.zeros(1, np.int64), format)
    states = [Traced.argument(program, state.shape, state.format) for state in writer.states(zero)]
    logits, *after = writer.step(token, *states)
    result = (logits if noise is None else logits + noise).argmax()
    program.outputs = [result.place, *(state.place for state in after)]
    return program


def lower_writer(fixed: Quantized, how: SamplingConfig, lanes: int = 8) -> CompiledNetwork:
    """The engine's program that writes: its input is the first character, its output are all that follow."""
    writer = Writer(fixed)
    table = writer.noise(how)
    body = _trace(writer, table)
    builder = Builder(lanes)
    scope = Scope(builder, body, RULES)
    items = builder.items
    format = fixed.input.format
    token_buffer = builder.buffer("token", 1, keep=True)
    text = builder.buffer("text", how.length, keep=True)
    token = View(token_buffer, 0, ((),), format)
    noise = None
    if table is not None:
        noise = View(
            builder.buffer("noise", writer.symbols),
            0,
            dense_axes((1, writer.symbols), (0, 1)),
            table.output.format,
        )
    tokens = 1 if noise is None else 2
    states, targets = in_place(body, builder, body.inputs[tokens:])
    scope.targets.update(targets)
    scope.targets[body.outputs[0]] = Target(token_buffer, 0, 1)
    counter, place, last = Register(), Register(1), Register()
    builder.registers(counter, place, last)
    restart, again, check, end = (Label(name) for name in ("restart", "again", "check", "end"))
    items += [SetRegister(place, 0), SetRegister(counter, how.length), restart]
    for state, node in zip(states, body.inputs[tokens:], strict=True):
        zeros = FixedArray.from_ints(np.zeros(state.shape, np.int64), body.nodes[node].format)
        builder.layer = "states of zero"
        builder.fill(zeros, Target(state.buffer, state.offset, zeros.size))
    items.append(again)
    if noise is not None and table is not None:
        _draw(builder, noise, table)
    results = scope.run(*([] if noise is None else [noise]), token, *states)
    for number, (state, result) in enumerate(zip(states, results[1:], strict=True)):
        before, after = body.inputs[tokens + number], body.outputs[1 + number]
        if after != before:
            items.append(WriteBack(builder.layer, builder.refused, result, state, after in body.inputs))
    moving = Buffer("character", 1, parent=text, loop_register=place)
    items.append(StoreArgmax(View(moving, 0, ((),), format), (body.outputs[0],)))
    items += [Advance(place), Repeat(counter, check), JumpIfEqual(ZERO_REGISTER, 0, end), check]
    if how.restart:
        items += [LoadRegister(last, token, 0), JumpIfEqual(last, END, restart)]
    items += [JumpIfEqual(ZERO_REGISTER, 0, again), end]
    output = View(text, 0, dense_axes((1, how.length), (0, 1)), format)
    constants = tuple(builder.constants.buffers)
    return finish(body, EngineProgram(lanes, tuple(items), constants, token.reshape((1, 1)), output))


def _draw(builder: Builder, noise: View, table: NoiseTable) -> None:
    """A run that takes one word of the table for each symbol."""
    builder.layer = "noise"
    size = noise.shape[-1]
    nothing = View(noise.buffer, 0, dense_axes((1, size), (0, 0)), noise.format, ALL_PADDING)
    term = Scale(nothing, np.zeros((1, size), np.int64), 0)
    address = Quantizer(table.input_format, Rounding.FLOOR, Overflow.WRAP)
    drawn = Expression((1, size), noise.format, ((term,),), quantizer=address)
    builder.compute(drawn, Target(noise.buffer, 0, size), (), noise=table)


def emit_writer(
    fixed: Quantized,
    how: SamplingConfig,
    directory: str | Path,
    *,
    name: str = "writer",
    first: int = END,
    seeds: int = 1,
    lanes: int = 8,
    seed: int = 1,
    radix: int = 16,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """A pack of a network that writes: `seeds` vectors, each from the next seed."""
    if progress is not None:
        progress(f"lowering {name} for {lanes} lanes")
    lowered = lower_writer(fixed, how, lanes)
    format = fixed.input.format
    vectors = FixedArray.from_ints(np.full((seeds, 1), first), format)
    texts = np.stack([write(fixed, how, seed + number, first) for number in range(seeds)])
    expected = FixedArray.from_ints(texts, format)
    return emit_lowered(directory, lowered, vectors, expected, ["seed"] * seeds, name, radix=radix, seed=seed)


class RtlWriter:
    """The Verilog as a writer: `RtlWriter(fixed, how)(seed)` equals `write(fixed, how, seed)`."""

    def __init__(
        self, fixed: Quantized, how: SamplingConfig, lanes: int = 8, simulator: str = "iverilog"
    ) -> None:
        self.lowered = lower_writer(fixed, how, lanes)
        self.simulator = simulator

    def __call__(self, seed: int = 1, first: int = END, texts: int = 1) -> Ints:
        """Texts (texts, length) from the seeds seed, seed + 1, ..."""
        lowered = self.lowered
        with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
            images = write_images(Path(folder), lowered.config, lowered.images)
            job = Job(lowered.config, images, lowered.input, lowered.output, self.simulator, seed)
            self.outcome = simulate(job, np.full((texts, 1), first, np.int64))
        return self.outcome.ints(lowered.config.activation_width)
