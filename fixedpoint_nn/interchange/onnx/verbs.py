# SPDX-License-Identifier: MIT
"""Every verb of a traced program as ONNX nodes over float64, whose values are those of the integers."""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.file import package
from fixedpoint_nn.interchange.onnx.nodes import Nodes
from fixedpoint_nn.numbers.sliding_windows import reach
from fixedpoint_nn.numbers.traced.program import Program, TracedNode
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

EXACT_BITS = 53  # of a double


class Unwritable(ValueError):
    """Raised for a value that a style cannot represent exactly; the message continues "it ..."."""


Write = Callable[[Nodes, "NodeOperands"], str]


class NodeOperands:
    """One node of the program, with the names of its operands."""

    def __init__(self, program: Program, node: TracedNode, names: list[str]) -> None:
        self.node, self.names = node, names
        self.sources = [program.nodes[i] for i in node.inputs]
        self.about = node.attributes

    @property
    def sizes(self) -> tuple[int, ...]:
        """The result's shape, with -1 for the batch."""
        return (-1, *self.node.shape[1:])


def written(nodes: Nodes, program: Program, names: list[str]) -> list[str]:
    """Write the program; returns the names of its outputs, given those of its inputs."""
    values: list[Any] = []
    given = iter(names)
    for node in program.nodes:
        check(node.format, node.place or node.name or node.op)
        if node.op == "input":
            values.append(next(given))
        elif node.op == "constant":
            assert node.value is not None
            values.append(nodes.parameter(node.value))
        elif node.op == "scan":
            values.append(_scan(nodes, program, node, [values[i] for i in node.inputs]))
        elif node.op == "result":
            values.append(values[node.inputs[0]][node.attributes["index"]])
        else:
            values.append(
                WRITERS[node.op](nodes, NodeOperands(program, node, [values[i] for i in node.inputs]))
            )
    return [values[place] for place in program.outputs]


def check(format: QFormat, where: str) -> None:
    """Raise Unwritable unless a float64 holds every integer of the format."""
    if format.bits > EXACT_BITS:
        raise Unwritable(
            f"has values of {format.bits} bits in {where!r}, and a double holds {EXACT_BITS}; "
            "cast them to fewer bits"
        )


def _binary(op: str) -> Write:
    return lambda nodes, x: nodes.add(op, *x.names)


def _dot(nodes: Nodes, x: NodeOperands) -> str:
    """Write a product of matrices, also of one with weights for each row."""
    if x.about["accumulator"] is not None:
        raise Unwritable(
            "has a modelled accumulator, which rounds at every step; only exact ones are written"
        )
    rows, weights = x.sources[0].shape, x.sources[1].shape
    left, right = x.names[:2]
    if len(weights) == 3:
        wide = nodes.add("Unsqueeze", left, nodes.integers(len(rows) - 1))
        product = nodes.add("Squeeze", nodes.add("MatMul", wide, right), nodes.integers(len(rows) - 1))
        product = nodes.reshaped(product, x.sizes)
    else:
        product = nodes.add("MatMul", left, right)
    return product if len(x.names) == 2 else nodes.add("Add", x.names[2], product)


def _reduced(op: str) -> Write:
    def write(nodes: Nodes, x: NodeOperands) -> str:
        axis, keep = x.about["axis"], int(x.about["keepdims"])
        axes = range(len(x.sources[0].shape)) if axis is None else [axis] if isinstance(axis, int) else axis
        return nodes.add(op, x.names[0], nodes.integers(*axes), keepdims=keep)

    return write


def _argmax(nodes: Nodes, x: NodeOperands) -> str:
    places = nodes.add("ArgMax", x.names[0], axis=x.about["axis"], keepdims=0)
    return nodes.number(places)


def _take(nodes: Nodes, x: NodeOperands) -> str:
    ids = nodes.add("Cast", x.names[1], to=package().TensorProto.INT64)
    return nodes.add("Gather", x.names[0], ids, axis=x.about["axis"])


def _index(nodes: Nodes, x: NodeOperands) -> str:
    """Write an index expression as slices, and squeezes of the axes that single indices drop."""
    index = x.about["index"]
    items = list(index) if isinstance(index, tuple) else [index]
    shape = x.sources[0].shape
    if any(isinstance(item, EllipsisType) for item in items):
        at = next(i for i, item in enumerate(items) if isinstance(item, EllipsisType))
        items[at : at + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    name, gone = x.names[0], []
    for axis, item in enumerate(items):
        if isinstance(item, slice):
            if item != slice(None):
                start, stop, step = item.indices(shape[axis])
                name = nodes.part(name, axis, start, stop, step)
        elif isinstance(item, int | np.integer):
            place = int(item) % shape[axis]
            name = nodes.part(name, axis, place, place + 1)
            gone.append(axis)
        else:
            raise Unwritable("takes elements by an array of indices, which is not written")
    return nodes.add("Squeeze", name, nodes.integers(*gone)) if gone else name


def _windows(nodes: Nodes, x: NodeOperands) -> str:
    """Windows: every tap as a slice of the padded image, concatenated."""
    about, source = x.about, x.sources[0]
    kernel, stride, dilation = about["kernel"], about["stride"], about.get("dilation", (1, 1))
    (top, bottom), (left, right) = about["padding"]
    image = x.names[0]
    if top or bottom or left or right:
        fill = source.format.int_min * source.format.step if about["lowest"] else 0.0
        pads = nodes.integers(0, top, left, 0, 0, bottom, right, 0)
        image = nodes.add("Pad", image, pads, nodes.constant(fill))
    rows, columns = x.node.shape[1:3]
    high, wide = reach(kernel, dilation)
    assert (rows - 1) * stride[0] + high <= source.shape[1] + top + bottom
    assert (columns - 1) * stride[1] + wide <= source.shape[2] + left + right
    taps = []
    for y in range(kernel[0]):
        down = nodes.part(image, 1, y * dilation[0], y * dilation[0] + (rows - 1) * stride[0] + 1, stride[0])
        for z in range(kernel[1]):
            start = z * dilation[1]
            tap = nodes.part(down, 2, start, start + (columns - 1) * stride[1] + 1, stride[1])
            taps.append(nodes.add("Unsqueeze", tap, nodes.integers(3)))
    whole = nodes.add("Concat", *taps, axis=3)
    groups = about["groups"]
    if groups == 1:
        return whole
    channels = source.shape[3] // groups
    apart = nodes.reshaped(whole, (-1, rows, columns, kernel[0] * kernel[1], groups, channels))
    return nodes.add("Transpose", apart, perm=[0, 1, 2, 4, 3, 5])


def _lookup(nodes: Nodes, x: NodeOperands) -> str:
    table = x.about["table"]
    codes = nodes.wrapped(nodes.times(x.names[0], table.input_format.frac_bits), 0, table.input_format.bits)
    address = nodes.add("Cast", codes, to=package().TensorProto.INT64)
    entries = np.ldexp(table.ints.astype(np.float64), -table.output.format.frac_bits)
    return nodes.add("Gather", nodes.constant(entries), address)


def _cast(nodes: Nodes, x: NodeOperands) -> str:
    quantizer = x.about["quantizer"]
    if not isinstance(quantizer, Quantizer):
        raise Unwritable("rounds activations channel by channel, which is not written")
    return nodes.cast(x.names[0], quantizer)


def _zeros(nodes: Nodes, x: NodeOperands) -> str:
    """Zeros for every sample of the source."""
    batch = nodes.part(nodes.add("Shape", x.names[0]), 0, 0, 1)
    shape = nodes.add("Concat", batch, nodes.integers(*x.node.shape[1:]), axis=0)
    zero = package().helper.make_tensor("zero", package().TensorProto.DOUBLE, [1], [0.0])
    return nodes.add("ConstantOfShape", shape, value=zero)


def _scan(nodes: Nodes, program: Program, node: TracedNode, names: list[str]) -> list[str]:
    """A Scan along axis 1, whose body is the program of one time step; the output sequence, then the final states."""
    onnx, body = package(), node.body
    assert body is not None
    inner = Nodes(f"{nodes.name('step')}_")
    arguments = [inner.name(f"in{i}_") for i in range(len(body.inputs))]
    now, *states = arguments
    y, *after = [inner.add("Identity", name) for name in written(inner, body, arguments)]
    shapes = {name: body.nodes[place].shape for name, place in zip(arguments, body.inputs, strict=True)}
    shapes |= {name: body.nodes[place].shape for name, place in zip([y, *after], body.outputs, strict=True)}

    def info(name: str) -> Any:
        sizes = ["batch", *shapes[name][1:]]
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, sizes)

    constants = [onnx.numpy_helper.from_array(value, name) for name, value in inner.constants.items()]
    graph = onnx.helper.make_graph(
        inner.nodes, "step", [info(n) for n in (*states, now)], [info(n) for n in (*after, y)], constants
    )
    finals, ys = [nodes.name(f"state{i}_") for i in range(len(after))], nodes.name("ys")
    nodes.add(
        "Scan",
        *names[1:],
        names[0],
        outputs=[*finals, ys],
        body=graph,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_output_axes=[1],
    )
    return [ys, *finals]


WRITERS: dict[str, Write] = {
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "neg": _binary("Neg"),
    "matmul": _binary("MatMul"),
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "dot": _dot,
    "relu": lambda nodes, x: nodes.add("Max", x.names[0], nodes.constant(0.0)),
    "scaled": lambda nodes, x: nodes.times(x.names[0], x.about["power"]),
    "max": _reduced("ReduceMax"),
    "sum": _reduced("ReduceSum"),
    "argmax": _argmax,
    "reshape": lambda nodes, x: nodes.reshaped(x.names[0], x.sizes),
    "take": _take,
    "index": _index,
    "concat": lambda nodes, x: nodes.add("Concat", *x.names, axis=x.about["axis"]),
    "transpose": lambda nodes, x: nodes.add("Transpose", x.names[0], perm=list(x.about["axes"])),
    "windows": _windows,
    "dilated_windows": _windows,
    "lookup": _lookup,
    "cast": _cast,
    "zeros": _zeros,
}
