# SPDX-License-Identifier: MIT
"""A network to the engine's program, pass after pass: trace, lower, flatten, barriers, allocate, encode.

`show.py` prints the program after each of them (`fixedpoint-nn emit NET --show PASS`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fixedpoint_nn.hardware.compiler.allocation import allocate
from fixedpoint_nn.hardware.compiler.barriers import place_barriers
from fixedpoint_nn.hardware.compiler.builder import Assembly
from fixedpoint_nn.hardware.compiler.dense_copy import dense
from fixedpoint_nn.hardware.compiler.encode import instructions
from fixedpoint_nn.hardware.compiler.engine_fit import fitted
from fixedpoint_nn.hardware.compiler.engine_sizing import smallest_engine
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.flatten import flatten
from fixedpoint_nn.hardware.compiler.ir import Flat
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Placement
from fixedpoint_nn.hardware.compiler.rules import RULES
from fixedpoint_nn.hardware.compiler.scope import Scope, input_view
from fixedpoint_nn.hardware.compiler.show import Stages
from fixedpoint_nn.hardware.compiler.strided_view import View, merge
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import AssemblyError, Instruction, encode
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.qformat import QFormat


@dataclass(frozen=True)
class CompiledNetwork:
    """Everything that a pack is made of, but for the vectors."""

    config: EngineConfig
    images: Images
    program: Program
    instructions: tuple[Instruction, ...]
    items: tuple[Flat, ...]
    places: tuple[int, ...]  # the program address of each item
    input: Port
    output: Port
    stages: Stages = field(repr=False, compare=False)

    @property
    def kernels(self) -> list[Kernel]:
        return [item for item in self.items if isinstance(item, Kernel)]


def lower(
    net: Callable[[Any], Any],
    shape: tuple[int, ...],
    format: QFormat,
    lanes: int = 8,
    engine: EngineConfig | None = None,
) -> CompiledNetwork:
    """A network over FixedArrays, for samples of this shape and format.

    It runs on `engine`, if that is large enough, or on the smallest one of so many lanes.
    """
    program = trace(net, shape, format)
    if engine is None:
        return lower_program(program, lanes)
    lowered = lower_program(program, engine.lanes)
    return replace(lowered, config=fitted(lowered.config, engine, lowered.kernels))


def lower_program(program: Program, lanes: int = 8) -> CompiledNetwork:
    """A traced program of one input and one output."""
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        raise LoweringError("A program on the engine has one input and one output; join the others.")
    assembly = Assembly(lanes)
    scope = Scope(assembly, program, RULES)
    place = program.inputs[0]
    node = program.nodes[place]
    source = input_view(scope, assembly, node.shape, node.format, place)
    (result,) = scope.run(source)
    result = _settled(assembly, scope, result, program)
    result.buffer.root.keep = True
    return finish(assembly, program, (source, node.shape), (result, program.nodes[program.outputs[0]].shape))


def finish(
    assembly: Assembly,
    program: Program,
    source: tuple[View, tuple[int, ...]],
    result: tuple[View, tuple[int, ...]],
) -> CompiledNetwork:
    """Addresses, images and instructions for what has been assembled; input and output with their shapes."""
    lanes = assembly.lanes
    flat = flatten(assembly.items)
    items = place_barriers(flat)
    allocation = allocate(items, assembly.buffers, [source[0].buffer], lanes)
    try:
        code, places = instructions(items, allocation.placement)
        words = encode(code)
    except AssemblyError as error:
        raise LoweringError(f"The program does not fit the engine's instructions: {error}.") from None
    images = Images(
        words, allocation.weights, allocation.parameters, allocation.tables, allocation.activations
    )
    kernels = [item for item in items if isinstance(item, Kernel)]
    return CompiledNetwork(
        smallest_engine(lanes, images, kernels, source[0].format, allocation.depth),
        images,
        program,
        code,
        items,
        places,
        _port(source[0], source[1], allocation.placement),
        _port(result[0], result[1], allocation.placement),
        Stages(program, tuple(assembly.items), flat, items, allocation, code, places),
    )


def _settled(assembly: Assembly, scope: Scope, view: View, program: Program) -> View:
    """The output in the format that the model gives it, and not in memory that is a constant or the input."""
    wanted = program.nodes[program.outputs[0]].format
    if view.buffer.root.constants is None and view.format == wanted and view.window is None:
        try:
            _blocks(view)
            return view
        except LoweringError:
            pass
    assembly.layer = "output"
    place = program.outputs[0]
    copied = dense(assembly, view, scope.path(place))
    if copied.format != wanted:
        raise LoweringError(
            f"The output is {copied.format} on the engine and {wanted} in the model; cast it last."
        )
    return copied


def _port(view: View, shape: tuple[int, ...], at: Placement) -> Port:
    run, stride = _blocks(view)
    root, offset = view.place
    return Port(shape[1:], view.format, at.addresses[root] + offset, run, stride)


def _blocks(view: View) -> tuple[int, int]:
    """Words side by side, and the distance from block to block; the host's port knows no more than that."""
    atoms = merge([atom for axis in view.axes for atom in axis])
    if len(atoms) > 2 or (len(atoms) == 2 and atoms[1].stride != 1):
        raise LoweringError(
            "The values that the host writes or reads must be blocks of words at equal distances."
        )
    if not atoms:
        return 1, 1
    if len(atoms) == 1:
        return (atoms[0].size, atoms[0].size) if atoms[0].stride == 1 else (1, atoms[0].stride)
    return atoms[1].size, atoms[0].stride
