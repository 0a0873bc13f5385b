# SPDX-License-Identifier: MIT
"""The engine's program for text generation: a loop that feeds its last character back as an embedding address.

Each iteration is one time step of the network, plus Gumbel noise on the logits if the temperature is not 0; the argmax
is stored as the next character. With `restart`, states are reset to zero after an end mark (0).
"""

from __future__ import annotations

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
from fixedpoint_nn.hardware.textgen.network import END, SamplingConfig, TextNetwork
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import Traced
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding


def _trace(network: TextNetwork, table: NoiseTable | None) -> Program:
    """One time step as a traced program: (noise, token, states) -> (token, states)."""
    program = Program()
    format = network.fixed.input.format
    noise = None if table is None else Traced.argument(program, (1, network.symbols), table.output.format)
    token = Traced.argument(program, (1,), format)
    zero = FixedArray.from_ints(np.zeros(1, np.int64), format)
    states = [Traced.argument(program, state.shape, state.format) for state in network.states(zero)]
    logits, *after = network.step(token, *states)
    result = (logits if noise is None else logits + noise).argmax()
    program.outputs = [result.place, *(state.place for state in after)]
    return program


def lower_writer(fixed: Quantized, how: SamplingConfig, lanes: int = 8, drain: int = 1) -> CompiledNetwork:
    """Compile a text generator: its input is the first character, its output all that follow."""
    network = TextNetwork(fixed)
    table = network.noise(how)
    body = _trace(network, table)
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
            builder.buffer("noise", network.symbols),
            0,
            dense_axes((1, network.symbols), (0, 1)),
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
    return finish(body, EngineProgram(lanes, tuple(items), constants, token.reshape((1, 1)), output, drain))


def _draw(builder: Builder, noise: View, table: NoiseTable) -> None:
    """Emit a run that reads one random table word for each symbol."""
    builder.layer = "noise"
    size = noise.shape[-1]
    nothing = View(noise.buffer, 0, dense_axes((1, size), (0, 0)), noise.format, ALL_PADDING)
    term = Scale(nothing, np.zeros((1, size), np.int64), 0)
    address = Quantizer(table.input_format, Rounding.FLOOR, Overflow.WRAP)
    drawn = Expression((1, size), noise.format, ((term,),), quantizer=address)
    builder.compute(drawn, Target(noise.buffer, 0, size), (), noise=table)
