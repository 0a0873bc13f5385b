# SPDX-License-Identifier: MIT
"""Reading a .tflite file into a `TfliteModel`, in time and memory proportional to its size, even if it is malicious.

Offsets in a flatbuffer can point anywhere, so a short file can describe a very long one. Every element read is
therefore deducted from a budget, which a valid file cannot exhaust.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.interchange.tflite.options import OPTIONS
from fixedpoint_nn.interchange.tflite.sizes import with_known_sizes
from fixedpoint_nn.interchange.tflite.sparsity import dense, densified, places_of
from fixedpoint_nn.numerics.arrays import Ints

IDENTIFIER = b"TFL3"
MOST_ELEMENTS = 1 << 25  # of one tensor
MOST_AXES = 8
SPARSER = 16  # a sparse tensor may have so many elements for each one that the file may describe
MOST_LETTERS = 80  # of a name
TYPES = {
    "FLOAT32": "float32",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
    "FLOAT64": "float64",
    "FLOAT16": "float16",
}
DAMAGE = (
    struct.error,
    IndexError,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    AttributeError,
    MemoryError,
    AssertionError,
)


class TfliteError(ValueError):
    """Raised for a file that is damaged or not a TFLite model."""


def schema() -> Any:
    """The generated readers of the schema; raises an error with a hint if the package is not installed."""
    try:
        import tflite
    except ImportError:
        raise ImportError(
            "reading a .tflite file takes the package 'tflite': pip install 'fixedpoint_nn[tflite]'"
        ) from None
    return tflite


def read(source: str | os.PathLike[str] | bytes) -> TfliteModel:
    """The model in a file (its path or its bytes); raises TfliteError."""
    if isinstance(source, bytes | bytearray | memoryview):
        blob, what = bytes(source), f"the model of {len(source)} bytes"
    else:
        try:
            blob, what = Path(source).read_bytes(), str(source)
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {source}") from None
    if blob[4:8] != IDENTIFIER:
        raise TfliteError(f"{what} is no TFLite model: it does not have the identifier 'TFL3'")
    readers = schema()
    try:
        return Reader(blob, readers).model()
    except TfliteError as error:
        raise TfliteError(f"{what} is damaged: {error}") from None
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise TfliteError(f"{what} is damaged: {reason}") from error


class Reader:
    """The reader of one file."""

    def __init__(self, blob: bytes, readers: Any) -> None:
        self.blob, self.readers, self.budget = blob, readers, 4 * len(blob) + 1000
        self.names = {
            number: name for name, number in vars(readers.BuiltinOperator).items() if isinstance(number, int)
        }
        self.types = {
            number: TYPES.get(name, name.lower())
            for name, number in vars(readers.TensorType).items()
            if isinstance(number, int)
        }

    def model(self) -> TfliteModel:
        """The file's first graph, with the graphs that it calls once at the beginning."""
        model = self.readers.Model.GetRootAs(self.blob, 0)
        if model.SubgraphsLength() < 1:
            raise TfliteError("it has no graph")
        kinds = self.each(model.OperatorCodesLength(), lambda i: self.kind(model.OperatorCodes(i)))
        main = self.graph(model, 0, kinds)
        first = []
        for operator in main.operators:
            if operator.kind == "CALL_ONCE":
                place = int(operator.options["InitSubgraphIndex"])
                if not 0 < place < model.SubgraphsLength():
                    raise TfliteError(f"it calls graph {place}, and there are {model.SubgraphsLength()}")
                first.append(self.graph(model, place, kinds))
        return replace(main, first=tuple(first))

    def graph(self, model: Any, place: int, kinds: tuple[str, ...]) -> TfliteModel:
        """One graph of the file."""
        graph = model.Subgraphs(place)
        tensors = self.each(graph.TensorsLength(), lambda i: self.tensor(model, i, graph.Tensors(i)))
        operators = self.each(graph.OperatorsLength(), lambda i: self.operator(i, graph.Operators(i), kinds))
        inputs = self.each(graph.InputsLength(), graph.Inputs)
        outputs = self.each(graph.OutputsLength(), graph.Outputs)
        for index in (*inputs, *outputs):
            self.check(index, tensors)
        for operator in operators:
            for index in (*operator.inputs, *operator.outputs, *operator.intermediates):
                if index != -1:
                    self.check(index, tensors)
        made = TfliteModel(tensors, operators, tuple(map(int, inputs)), tuple(map(int, outputs)))
        return with_known_sizes(densified(made))

    def each(self, count: int, read: Callable[[int], Any]) -> tuple[Any, ...]:
        """`read(i)` for every element of a vector, deducted from the budget."""
        self.pay(count)
        return tuple(read(i) for i in range(count))

    def pay(self, elements: int) -> None:
        """Deduct elements from the budget; raises TfliteError when it is exhausted."""
        self.budget -= elements
        if self.budget < 0:
            raise TfliteError("it describes more data than it holds")

    @staticmethod
    def check(place: int, tensors: tuple[TfliteTensor, ...]) -> None:
        """Raise TfliteError for an index of a missing tensor."""
        if not 0 <= place < len(tensors):
            raise TfliteError(f"it names tensor {place}, and there are {len(tensors)}")

    def text(self, name: bytes | None) -> str:
        """A name as printable text of limited length."""
        self.pay(len(name or b""))
        text = (name or b"")[: 4 * MOST_LETTERS].decode("utf-8", "replace")
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
        return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 3] + "..."

    def kind(self, code: Any) -> str:
        """The name of an operator code."""
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = self.names.get(number, f"operator {number}")
        return f"CUSTOM {self.text(code.CustomCode())}" if name == "CUSTOM" else name

    def tensor(self, model: Any, index: int, tensor: Any) -> TfliteTensor:
        """A tensor with its quantisation and, if it is a constant, its data."""
        name = self.text(tensor.Name())
        shape = tuple(int(size) for size in self.each(tensor.ShapeLength(), tensor.Shape))
        if len(shape) > MOST_AXES or any(size < 0 for size in shape):
            raise TfliteError(f"tensor {name!r} has the shape {shape[:MOST_AXES]}")
        if prod(shape) > MOST_ELEMENTS:
            raise TfliteError(f"tensor {name!r} has {prod(shape)} elements, and {MOST_ELEMENTS} is the most")
        dtype = self.types.get(tensor.Type(), f"type {tensor.Type()}")
        about = tensor.Quantization()
        scales: tuple[float, ...] = ()
        zeros: tuple[int, ...] = ()
        axis = 0
        if about is not None:
            scales = self.each(about.ScaleLength(), about.Scale)
            zeros = self.each(about.ZeroPointLength(), about.ZeroPoint)
            axis = int(about.QuantizedDimension())
            if not all(np.isfinite(scale) and scale >= 0 for scale in scales):
                raise TfliteError(f"tensor {name!r} has a scale that is no positive number")
        places = None
        if tensor.Sparsity() is not None:
            self.pay(prod(shape) // SPARSER)
            places = places_of(tensor.Sparsity(), shape, self.readers, self.pay)
        data = self.data(model, tensor.Buffer(), dtype, shape, name, places)
        return TfliteTensor(
            index,
            name,
            shape,
            dtype,
            tuple(float(scale) for scale in scales),
            tuple(int(zero) for zero in zeros),
            axis,
            data,
            bool(tensor.IsVariable()),
        )

    def data(
        self,
        model: Any,
        place: int,
        dtype: str,
        shape: tuple[int, ...],
        name: str,
        places: tuple[Ints, ...] | None,
    ) -> Any:
        """The data of a constant, which a sparse one has for some places only; None for a computed tensor."""
        if not 0 <= place < model.BuffersLength():
            raise TfliteError(f"tensor {name!r} names buffer {place}, and there are {model.BuffersLength()}")
        buffer = model.Buffers(place)
        length = buffer.DataLength()
        if not length or dtype not in TYPES.values():
            return None
        self.pay(length)
        raw = buffer.DataAsNumpy()
        count = prod(shape) if places is None else len(places[0]) if places else 1
        if length != count * np.dtype(dtype).itemsize:
            raise TfliteError(f"tensor {name!r} has the shape {shape} of {dtype}, and {length} bytes")
        values = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), np.dtype(dtype).newbyteorder("<"))
        if places is not None:
            return dense(values.astype(dtype), places, shape)
        return values.astype(dtype).reshape(shape)

    def operator(self, index: int, operator: Any, kinds: tuple[str, ...]) -> TfliteOperator:
        """An operator with its tensors and options."""
        code = operator.OpcodeIndex()
        if not 0 <= code < len(kinds):
            raise TfliteError(f"operator {index} has the code {code}, and there are {len(kinds)}")
        return TfliteOperator(
            index,
            kinds[code],
            tuple(int(i) for i in self.each(operator.InputsLength(), operator.Inputs)),
            tuple(int(i) for i in self.each(operator.OutputsLength(), operator.Outputs)),
            self.options(operator, kinds[code]),
            tuple(int(i) for i in self.each(operator.IntermediatesLength(), operator.Intermediates)),
        )

    def options(self, operator: Any, kind: str) -> dict[str, Any]:
        """The options of an operator, by their names in the schema."""
        if kind not in OPTIONS:
            return {}
        name, fields = OPTIONS[kind]
        table = operator.BuiltinOptions()
        expected = getattr(self.readers.BuiltinOptions, name)
        reader = getattr(self.readers, name)()
        if table is None or operator.BuiltinOptionsType() != expected:
            return dict(fields)
        reader.Init(table.Bytes, table.Pos)
        return {field: getattr(reader, field)() for field in fields}
