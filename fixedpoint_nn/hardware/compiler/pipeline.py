# SPDX-License-Identifier: MIT
"""A network on the engine: its parameters, its memory images, and where inputs and outputs stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler.allocation import (
    Stacks,
    assign_addresses,
    constants,
    instructions,
    lay_tables,
)
from fixedpoint_nn.hardware.compiler.barriers import relax_barriers
from fixedpoint_nn.hardware.compiler.builder import Assembly
from fixedpoint_nn.hardware.compiler.engine_fit import fitted
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.ir import Item
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.scope import Scope, input_view
from fixedpoint_nn.hardware.compiler.strided_view import View, merge
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS, AssemblyError, Instruction, encode
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat

MAX_WIDTH = 32
MAX_ACCUMULATOR = 63


@dataclass(frozen=True)
class CompiledNetwork:
    """Everything that a pack is made of, but for the vectors."""

    config: EngineConfig
    images: Images
    program: Program
    instructions: tuple[Instruction, ...]
    items: tuple[Item, ...]
    places: tuple[int, ...]  # the program address of each item
    input: Port
    output: Port

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
    scope = Scope(assembly, program)
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
    relax_barriers(assembly.items)
    depth = assign_addresses(assembly.items, assembly.buffers, [source[0].buffer], lanes)
    kernels = [item for item in assembly.items if isinstance(item, Kernel)]
    stacks = Stacks()
    for kernel in kernels:
        stacks.add(kernel)
    tables = lay_tables(kernels)
    try:
        code, places = instructions(assembly.items)
        words = encode(code)
    except AssemblyError as error:
        raise LoweringError(f"The program does not fit the engine's instructions: {error}.") from None
    images = Images(
        words,
        np.concatenate(stacks.weights) if stacks.weights else np.zeros((1, lanes), np.int64),
        np.concatenate(stacks.parameters) if stacks.parameters else np.zeros((1, 2), np.int64),
        tables,
        constants(assembly.buffers),
    )
    formats = [source[0].format, *(_stored(kernel) for kernel in kernels)]
    config = _config(lanes, images, kernels, formats, depth)
    return CompiledNetwork(
        config,
        images,
        program,
        tuple(code),
        tuple(assembly.items),
        tuple(places),
        _port(source[0], source[1], source[0].format),
        _port(result[0], result[1], result[0].format),
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
    copied = assembly.copied(view, scope.path(place))
    if copied.format != wanted:
        raise LoweringError(
            f"The output is {copied.format} on the engine and {wanted} in the model; cast it last."
        )
    return copied


def _stored(kernel: Kernel) -> QFormat:
    return kernel.table.output.format if kernel.table is not None else kernel.quantizer.format


def _port(view: View, shape: tuple[int, ...], format: QFormat) -> Port:
    root = view.buffer.root
    assert root.address is not None
    run, stride = _blocks(view)
    return Port(shape[1:], format, root.address + view.place[1], run, stride)


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


def _word_bits(format: QFormat) -> int:
    """Of a signed word that holds the format."""
    return format.bits + (not format.signed)


def _bits(low: int, high: int) -> int:
    return max((low if low >= 0 else ~low).bit_length(), (high if high >= 0 else ~high).bit_length()) + 1


def _range_bits(array: Ints) -> int:
    return _bits(int(array.min()), int(array.max())) if array.size else 2


def _config(
    lanes: int, images: Images, kernels: Sequence[Kernel], formats: Sequence[QFormat], depth: int
) -> EngineConfig:
    """The smallest engine that holds every format, weight, bias, and the proven bounds of every sum."""
    for kernel in kernels:
        f = max((_stored(kernel), kernel.quantizer.format), key=_word_bits)
        if _word_bits(f) > MAX_WIDTH:
            raise LoweringError(
                f"Layer {kernel.name!r} does not fit the engine: its result {f} needs words of "
                f"{_word_bits(f)} "
                f"bits, and {MAX_WIDTH} is the most; cast it to {MAX_WIDTH - (not f.signed)} bits or fewer."
            )
        if kernel.weights is not None and (bits := _range_bits(kernel.weights)) > MAX_WIDTH:
            raise LoweringError(
                f"Layer {kernel.name!r} does not fit the engine: its weights, aligned, need {bits} "
                f"bits, and {MAX_WIDTH} "
                f"is the most; give its operands fraction bits that differ by {bits - MAX_WIDTH} less."
            )
    widths = [_word_bits(f) for f in formats]
    activation = max(
        [2, *widths, _range_bits(images.activations), *(_word_bits(k.quantizer.format) for k in kernels)]
    )
    weight = max([2, _range_bits(images.weights)])
    sums = max([_bits(*kernel.bound) for kernel in kernels], default=2)
    accumulator = max(8, activation + max(activation, weight), sums)
    if accumulator > MAX_ACCUMULATOR:
        worst = max(kernels, key=lambda kernel: _bits(*kernel.bound))
        raise LoweringError(
            f"Layer {worst.name!r} does not fit the engine: its sums need {accumulator} bits, and "
            f"{MAX_ACCUMULATOR} is the "
            f"most; take {accumulator - MAX_ACCUMULATOR} bits from its input or its weights."
        )
    needed: dict[str, int] = dict(
        lanes=lanes,
        activation_width=activation,
        weight_width=weight,
        accumulator_width=accumulator,
        bias_width=max(2, _range_bits(images.parameters[:, 1])),
        **_model(kernels),
        activation_depth=max(depth, 2 * lanes),
        weight_depth=max(2, len(images.weights)),
        parameter_depth=max(2, len(images.parameters)),
        table_depth=max(2, len(images.tables)),
        program_depth=max(2, len(images.program)),
    )
    try:
        return EngineConfig(**needed)
    except AssemblyError as error:
        raise LoweringError(f"The network does not fit any engine: {error}.") from None


def _model(kernels: Sequence[Kernel]) -> dict[str, int]:
    """The modelled accumulator: one for the whole engine."""
    chosen: dict[str, int] = {}
    first = ""
    for kernel in kernels:
        accumulator = kernel.accumulator
        if accumulator is None:
            continue
        model = {
            "model_width": accumulator.format.bits,
            "model_saturate": int(accumulator.overflow.name == "SATURATE"),
        }
        if accumulator.product is not None:
            product = accumulator.product
            model |= {
                "product_bits": product.format.bits,
                "product_shift": kernel.product_shift,
                "product_signed": int(product.format.signed),
                "product_rounding": ROUNDINGS.index(product.rounding.name),
                "product_overflow": OVERFLOWS.index(product.overflow.name),
            }
        if chosen and model != chosen:
            raise LoweringError(
                f"Layer {kernel.name!r} does not fit the engine: its modelled accumulator differs from "
                f"that of {first!r}, "
                "and one engine has one; give both the same width, overflow and products."
            )
        chosen, first = model, first or kernel.name
    return chosen
