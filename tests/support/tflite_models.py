# SPDX-License-Identifier: MIT
"""TFLite models made here, through the schema's object API, and the interpreter that judges them.

model = ModelBuilder()
x = model.input((1, 8, 8, 3), scale=0.1, zero=-3)
y = model.operator("CONV_2D", [x, weight, bias], (1, 8, 8, 4), options=..., scale=0.2, zero=5)
blob = model.finish([y])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fixedpoint_nn.interchange.tflite.interpreter import interpreter_of

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
    "resource": schema.TensorType.RESOURCE,
}


class ModelBuilder:
    """Tensors and operators in the order in which they run; a tensor is its number."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [_buffer(None)]
        self.operators: list[Any] = []
        self.codes: list[int] = []
        self.inputs: list[int] = []
        self.variables: dict[str, int] = {}  # the initial data of each, as a tensor
        self.handles: dict[str, int] = {}

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        scale: float | Sequence[float] | None = None,
        zero: int = 0,
        axis: int = 0,
        data: np.ndarray | None = None,
        name: str = "",
        variable: bool = False,
    ) -> int:
        """A tensor; with several scales it is quantised along `axis`, with `data` it is a constant."""
        tensor = schema.TensorT()
        tensor.shape = [int(size) for size in shape]
        tensor.type = TYPES[dtype]
        tensor.name = (name or f"t{len(self.tensors)}").encode()
        tensor.isVariable = variable
        tensor.buffer = 0
        if data is not None:
            tensor.buffer = len(self.buffers)
            self.buffers.append(_buffer(data.astype(dtype)))
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            quantization = schema.QuantizationParametersT()
            quantization.scale = [float(s) for s in scales]
            quantization.zeroPoint = [int(zero)] * len(scales)
            quantization.quantizedDimension = axis
            quantization.details = None
            tensor.quantization = quantization
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def input(self, shape: Sequence[int], dtype: str = "int8", **about: Any) -> int:
        """An input of the model."""
        self.inputs.append(self.tensor(shape, dtype, name=f"input{len(self.inputs)}", **about))
        return self.inputs[-1]

    def constant(self, data: np.ndarray, **about: Any) -> int:
        """A constant tensor of the array's own type."""
        return self.tensor(data.shape, data.dtype.name, data=data, **about)

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        options: Any = None,
        dtype: str = "int8",
        intermediates: Sequence[int] | None = None,
        **about: Any,
    ) -> int:
        """An operator with one output, which has this shape, type and quantisation."""
        output = self.tensor(shape, dtype, **about)
        self.operators.append(self.made(kind, inputs, [output], options))
        if intermediates is not None:
            self.operators[-1].intermediates = list(intermediates)
        return output

    def operator_of_several(
        self,
        kind: str,
        inputs: Sequence[int],
        shapes: Sequence[Sequence[int]],
        options: Any = None,
        **about: Any,
    ) -> list[int]:
        """An operator whose outputs have these shapes."""
        outputs = [self.tensor(shape, **about) for shape in shapes]
        self.operators.append(self.made(kind, inputs, outputs, options))
        return outputs

    def made(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None) -> Any:
        """An operator, which is not among the model's yet."""
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        return operator

    def variable(self, name: str, initial: np.ndarray, **about: Any) -> None:
        """A variable that one call leaves to the next, and its data before the first."""
        self.variables[name] = self.tensor(initial.shape, initial.dtype.name, data=initial, **about)
        self.handles[name] = self.handle(name, self.operators)

    def handle(self, name: str, operators: list[Any]) -> int:
        """The handle of a variable."""
        place = self.tensor((), "resource", name=f"{name} handle")
        about = options("VarHandle", sharedName=name.encode(), container=b"")
        operators.append(self.made("VAR_HANDLE", [], [place], about))
        return place

    def read(self, name: str, shape: Sequence[int], **about: Any) -> int:
        """What a variable holds."""
        return self.operator("READ_VARIABLE", [self.handles[name]], shape, **about)

    def assign(self, name: str, value: int) -> None:
        """Store a value in a variable."""
        self.operators.append(self.made("ASSIGN_VARIABLE", [self.handles[name], value], []))

    def finish(self, outputs: Sequence[int]) -> bytes:
        """The file."""
        first: list[Any] = []
        for name, initial in self.variables.items():
            first.append(self.made("ASSIGN_VARIABLE", [self.handle(name, first), initial], []))
        if first:
            once = self.made("CALL_ONCE", [], [], options("CallOnce", initSubgraphIndex=1))
            self.operators.insert(0, once)
        graphs = [_graph(self.tensors, self.operators, self.inputs, list(outputs), b"main")]
        if first:
            graphs.append(_graph(self.tensors, first, [], [], b"first"))
        model = schema.ModelT()
        model.version, model.description = 3, b"random"
        model.subgraphs, model.buffers = graphs, self.buffers
        model.operatorCodes = [_code(code) for code in self.codes]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def options(kind: str, **values: Any) -> Any:
    """The options of an operator: `options("Conv2D", strideH=2)`."""
    made = getattr(schema, f"{kind}OptionsT")()
    for name, value in values.items():
        if not hasattr(made, name):
            raise AttributeError(f"{kind}Options has no {name!r}; it has {', '.join(vars(made))}")
        setattr(made, name, value)
    return made


def run(blob: bytes, *samples: np.ndarray) -> np.ndarray:
    """What the interpreter's reference kernels give, sample by sample: (samples, ...)."""
    interpreter = interpreter_of(blob)
    interpreter.allocate_tensors()
    places = [about["index"] for about in interpreter.get_input_details()]
    result = interpreter.get_output_details()[0]["index"]
    rows = []
    for one in zip(*samples):
        for place, sample in zip(places, one):
            interpreter.set_tensor(place, sample[np.newaxis])
        interpreter.reset_all_variables()
        interpreter.invoke()
        rows.append(interpreter.get_tensor(result))
    return np.concatenate(rows)


def _graph(
    tensors: list[Any], operators: list[Any], inputs: list[int], outputs: list[int], name: bytes
) -> Any:
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = tensors, operators
    graph.inputs, graph.outputs, graph.name = inputs, outputs, name
    return graph


def _buffer(data: np.ndarray | None) -> Any:
    buffer = schema.BufferT()
    buffer.data = None if data is None else np.frombuffer(data.tobytes(), np.uint8)
    return buffer


def _code(code: int) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode, made.version = code, min(code, 127), 1
    return made
