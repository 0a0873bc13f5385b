# SPDX-License-Identifier: MIT
"""The pass `lower`: a traced program becomes computations, loops and data movement, by one rule per verb.

The rules are in `rules.py`.
"""

from __future__ import annotations

from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.dense_copy import dense
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.host_port import blocks
from fixedpoint_nn.hardware.compiler.ir import EngineProgram
from fixedpoint_nn.hardware.compiler.rules import RULES
from fixedpoint_nn.hardware.compiler.scope import Scope, input_view
from fixedpoint_nn.hardware.compiler.strided_view import View
from fixedpoint_nn.numbers.traced.program import Program


def lowered(
    program: Program, lanes: int, drain: int = 1, multiplier: int = 0, words: int = 1
) -> EngineProgram:
    """Lower a program of one input and one output; `multiplier` is the most bits of a requantiser's multiplier.

    A network that needs a multiplier somewhere uses it wherever that saves weights or runs.
    """
    builder, made = _lowered(program, Builder(lanes, multiplier, words), drain)
    if builder.multiplied:
        made = _lowered(program, Builder(lanes, multiplier, words, multiply_everywhere=True), drain)[1]
    return made


def _lowered(program: Program, builder: Builder, drain: int) -> tuple[Builder, EngineProgram]:
    scope = Scope(builder, program, RULES)
    (place,) = program.inputs
    node = program.nodes[place]
    source = input_view(scope, node.shape, node.format, place)
    (result,) = scope.run(source)
    output = _settled(scope, result)
    items, constants = tuple(builder.items), tuple(builder.constants.buffers)
    return builder, EngineProgram(builder.lanes, items, constants, source, output, drain, builder.words)


def _settled(scope: Scope, view: View) -> View:
    """The output in the model's format, copied if it is a constant or the input."""
    program = scope.program
    (place,) = program.outputs
    wanted = program.nodes[place].format
    if view.buffer.root.constants is None and view.format == wanted and view.window is None:
        try:
            blocks(view)
            return view
        except LoweringError:
            pass
    scope.builder.layer = "output"
    copied = dense(scope.builder, view, scope.path(place))
    if copied.format != wanted:
        raise LoweringError(
            f"The output is {copied.format} on the engine and {wanted} in the model; cast it last."
        )
    return copied
