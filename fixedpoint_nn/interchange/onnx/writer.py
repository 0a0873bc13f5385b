# SPDX-License-Identifier: MIT
"""Export of a quantised network to an ONNX file with the same results in other runtimes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.interchange.affine.quantizer import AffineQuantizer
from fixedpoint_nn.interchange.onnx.file import package
from fixedpoint_nn.interchange.onnx.nodes import Nodes
from fixedpoint_nn.interchange.onnx.own_file import description
from fixedpoint_nn.interchange.onnx.quantised_nodes import QONNX_DOMAIN, QONNX_VERSION, QdqNodes, QonnxNodes
from fixedpoint_nn.interchange.onnx.quantised_verbs import quantised
from fixedpoint_nn.interchange.onnx.verbs import Unwritable, check, written
from fixedpoint_nn.layers.fields import PARAMETER
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import walk
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import Traced

STYLES: dict[str, type[Nodes]] = {"float64": Nodes, "qdq": QdqNodes, "qonnx": QonnxNodes}
OPSET, IR_VERSION = 18, 8  # of 2022, for compatibility
QDQ_OPSET, QDQ_IR_VERSION = 21, 10  # for 16-bit quantisers


def to_onnx(
    fixed: Quantized,
    path: str | os.PathLike[str],
    style: str = "float64",
    shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
) -> None:
    """Write a quantised network as ONNX: it takes floats, and returns the real numbers of `fixed(x)`.

    Style "float64" computes in doubles with floor, minimum and maximum; every value is an integer multiple of its step
    below 2**53, so results are exact on any machine and at any optimisation level. Style "qdq" has float32 between
    QuantizeLinear and DequantizeLinear, style "qonnx" between QONNX's Quant; both support convolutions, pooling,
    matrix products and sums of up to 24 bits, but no tables and loops. A runtime that optimises "qdq" may change its
    results.

    `shape` is that of one sample, or of one sample of each input; a network that starts with a dense layer does not
    need it.

    >>> to_onnx(fixed, "fixed.onnx")  # doctest: +SKIP
    """
    if style not in STYLES:
        raise ValueError(f"the style {style!r} is not known; there is {', '.join(map(repr, STYLES))}")
    if not isinstance(fixed, Quantized):
        raise TypeError(
            f"to_onnx writes a quantised network, not a {type(fixed).__name__}; quantize(net, plan) makes one"
        )
    write_whole(Path(path), model_of(fixed, style, _shapes(fixed, shape)).SerializeToString())


def model_of(fixed: Quantized, style: str, shapes: Sequence[tuple[int, ...]]) -> Any:
    """The ONNX model; in the style "float64" with a description of the network in its metadata."""
    onnx = package()
    program = Program()
    arguments = [
        Traced.argument(program, (1, *sizes), quantizer.format)
        for sizes, quantizer in zip(shapes, fixed.inputs, strict=True)
    ]
    result = fixed.net(*arguments)
    program.outputs = [one.place for one in (result if isinstance(result, tuple) else (result,))]
    nodes = STYLES[style]()
    names = [f"x{number}" if len(shapes) > 1 else "x" for number in range(len(shapes))]
    try:
        rounded = []
        for name, quantizer in zip(names, fixed.inputs, strict=True):
            check(quantizer.format, "input")
            if isinstance(quantizer, AffineQuantizer):
                raise Unwritable("takes integers that are worth a scale of their own; its own file holds it")
            rounded.append(nodes.cast(name, quantizer))
        results = (written if style == "float64" else quantised)(nodes, program, rounded)
    except Unwritable as reason:
        raise ValueError(f"the network cannot be written in the style {style!r}: it {reason}") from None
    outputs = [f"y{number}" if len(results) > 1 else "y" for number in range(len(results))]
    for name, output in zip(results, outputs, strict=True):
        nodes.add("Identity", name, outputs=[output])
    about = description(fixed, shapes, nodes) if style == "float64" else {}
    number = onnx.TensorProto.DOUBLE if style == "float64" else onnx.TensorProto.FLOAT
    places = [program.nodes[place].shape for place in program.outputs]
    graph = onnx.helper.make_graph(
        nodes.nodes,
        "fixedpoint_nn",
        [
            onnx.helper.make_tensor_value_info(name, number, ["batch", *sizes])
            for name, sizes in zip(names, shapes, strict=True)
        ],
        [
            onnx.helper.make_tensor_value_info(name, number, ["batch", *sizes[1:]])
            for name, sizes in zip(outputs, places, strict=True)
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in nodes.constants.items()],
    )
    model = onnx.helper.make_model(
        graph,
        opset_imports=[
            onnx.helper.make_opsetid("", QDQ_OPSET if style == "qdq" else OPSET),
            *([onnx.helper.make_opsetid(QONNX_DOMAIN, QONNX_VERSION)] if style == "qonnx" else []),
        ],
        ir_version=QDQ_IR_VERSION if style == "qdq" else IR_VERSION,
        producer_name="fixedpoint_nn",
    )
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    return model


def _shapes(fixed: Quantized, shape: Sequence[int] | Sequence[Sequence[int]] | None) -> list[tuple[int, ...]]:
    """The shape of one sample of each input."""
    count = len(fixed.inputs)
    if shape is None:
        first = next(
            (leaf for leaf in walk(fixed.net) if leaf.kind == PARAMETER and leaf.value is not None), None
        )
        if count > 1 or first is None or first.path.rpartition(".")[2] != "weight" or first.value.ndim != 2:
            raise ValueError("say the shape of one sample: to_onnx(fixed, path, shape=(28, 28, 1))")
        return [(first.value.shape[0],)]
    several = [tuple(sizes) for sizes in shape if not isinstance(sizes, int)]
    shapes = several or [tuple(size for size in shape if isinstance(size, int))]
    if len(shapes) != count:
        raise ValueError(f"the network has {count} inputs, and there are shapes for {len(shapes)}")
    return shapes
