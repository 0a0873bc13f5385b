# SPDX-License-Identifier: MIT
"""Conversion of a TFLite `TfliteModel` to a quantised network, operator by operator."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fixedpoint_nn.interchange.affine.centred import Shifted
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, integer_format
from fixedpoint_nn.interchange.affine.quantizer import AffineQuantizer
from fixedpoint_nn.interchange.tflite.as_floats import as_floats
from fixedpoint_nn.interchange.tflite.dilation import with_dilations
from fixedpoint_nn.interchange.tflite.file import read
from fixedpoint_nn.interchange.tflite.float_islands import without_float_islands
from fixedpoint_nn.interchange.tflite.floats import Unsupported, float_network, is_float
from fixedpoint_nn.interchange.tflite.leading_axis import with_leading_axes
from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.interchange.tflite.operators import OPERATORS
from fixedpoint_nn.interchange.tflite.states import without_variables
from fixedpoint_nn.interchange.tflite.step import TYPES, Made, TfliteStep, TfliteValue, checked, unknown
from fixedpoint_nn.interchange.tflite.token_ids import id_quantizer, rows_chosen, with_plain_ids
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from fixedpoint_nn.layers.activation import Argmax
from fixedpoint_nn.layers.graph import Graph, Node
from fixedpoint_nn.layers.structure import Reshape, Sequential
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.value_table import ValueTable

if TYPE_CHECKING:
    from fixedpoint_nn.interchange.onnx.reader import Imported

MOST_IMAGES, MOST_VALUES = 64, 1 << 23  # samples at a time, and values of one layer of all of them

MOST = {"products": 1 << 35, "values": 1 << 28, "entries of tables": 1 << 23}  # for one sample


def from_tflite(
    source: str | os.PathLike[str] | bytes,
    *,
    softmax: bool = True,
    outputs: Sequence[str] | None = None,
    quantised: bool = True,
) -> Graph | Quantized:
    """The network of a TFLite file (its path or its bytes): quantised if the file is, else over floats.

    A quantised network has the integers of TFLite's reference kernels. It takes the file's integers, or floats, which
    it quantises as the file states, and returns the file's integers.
    With `softmax=False` a softmax at the end is omitted: the argmax is the same, and the engine has no products as
    wide as the 8-bit softmax needs. `outputs` names the tensors to compute in place of the file's own outputs, and what
    only those need is not read. With `quantised=False` a quantised file, or one with quantised weights beside floats,
    becomes the float network that was quantised. Raises `UnsupportedModel`.

    >>> fixed = from_tflite("model.tflite", softmax=False)  # doctest: +SKIP
    """
    model = read(source).only(outputs)
    if not quantised:
        return float_conversion(as_floats(model)).net
    return float_conversion(model).net if is_float(model) else TfliteConversion(model, softmax).network()


def float_conversion(model: TfliteModel) -> Imported:
    """The float network of a model, with the correspondence of its values; raises `UnsupportedModel`."""
    try:
        return float_network(model)
    except Unsupported as refused:
        raise UnsupportedModel.of("operator", refused.problems) from None


class TfliteConversion:
    """The state of one conversion: nodes, values, and refusals so far."""

    def __init__(self, model: TfliteModel, softmax: bool = True) -> None:
        self.declared = [model.tensors[place].shape for place in model.outputs]
        try:
            plain = with_plain_ids(without_variables(model))
            self.model = without_float_islands(with_leading_axes(with_dilations(plain)))
        except Unsuited as reason:
            raise UnsupportedModel(f"the model {reason}") from None
        self.softmax = softmax
        self.parts: dict[str, Node] = {}
        self.values: dict[int, TfliteValue] = {}
        self.problems: list[str] = []
        self.spent = dict.fromkeys(MOST, 0)

    def network(self) -> Quantized:
        """The quantised network; raises `UnsupportedModel` with all refusals."""
        if not self.model.inputs or not self.model.outputs:
            raise UnsupportedModel("the model has no inputs, or no outputs")
        operators = list(self.model.operators)
        names = input_names(self.model)
        quantizers = [self._input(name, *about, operators) for name, about in names.items()]
        results = [self._output(place, operators) for place in self.model.outputs]
        for operator in operators:
            self._convert(operator)
        if self.problems:
            raise UnsupportedModel.of("operator", self.problems)
        outputs = output_names(self.model)
        for number, (name, (result, index_only)) in enumerate(zip(outputs, results, strict=True)):
            if result.index not in self.values:
                raise UnsupportedModel(
                    f"the model's output {result.name!r} is computed by none of its operators"
                )
            value = self.values[result.index]
            last: Any = Argmax() if index_only else Shifted(result.zero, exact(*result.codes, name))
            shape = self.declared[number] if number < len(self.declared) else result.shape
            if (
                not index_only and shape[:1] == (1,) and shape != result.shape
            ):  # it got an axis before its own
                last = Sequential(Reshape(shape[1:]), last)
            self._add(name, last, (value,))
        largest = max(prod(value.shape) for value in self.values.values())
        graph = Graph(self.parts, tuple(names), outputs)
        rows = min(max(MOST_VALUES // largest, 1), MOST_IMAGES)
        return Quantized(graph, quantizers[0], rows, tuple(quantizers[1:]))

    def _input(self, name: str, place: int, part: str, operators: list[TfliteOperator]) -> Quantizer:
        """The quantizer of an input, codes or token ids; a QUANTIZE of floats behind it is one."""
        source = self.model.tensors[place]
        if rows := rows_chosen(self.model, source):
            self.values[place] = TfliteValue(name, source, 0, max(rows - 1, 1))
            return id_quantizer(rows, name)
        if source.dtype == "float32":
            first = [operator for operator in operators if source.index in operator.inputs]
            if [operator.kind for operator in first] != ["QUANTIZE"]:
                raise UnsupportedModel(
                    f"the model's input {source.name!r} is float32 and goes to "
                    f"{', '.join(operator.kind for operator in first) or 'no operator'}; one QUANTIZE must take it"
                )
            operators.remove(first[0])
            source = self.model.tensors[first[0].outputs[0]]
        self._checked("input", source)
        low, high = source.centred
        self.values[source.index] = TfliteValue(part, source, low, high)
        self.parts[part] = Node(Shifted(-source.zero, exact(low, high, f"{part}.centred")), (name,))
        return AffineQuantizer.of(source.dtype, source.scale, source.zero, part)

    def _output(self, place: int, operators: list[TfliteOperator]) -> tuple[TfliteTensor, bool]:
        """A quantised output tensor, and whether the place of its largest value is meant; a DEQUANTIZE is omitted."""
        result, index_only = self.model.tensors[place], False
        if result.dtype == "float32":
            last = [operator for operator in operators if result.index in operator.outputs]
            if [operator.kind for operator in last] != ["DEQUANTIZE"] or len(last[0].inputs) != 1:
                raise UnsupportedModel(
                    f"the model's output {result.name!r} is float32 and comes from "
                    f"{', '.join(operator.kind for operator in last) or 'no operator'}; a DEQUANTIZE must give it"
                )
            operators.remove(last[0])
            result = self.model.tensors[last[0].inputs[0]]
        if result.dtype in ("int32", "int64"):
            result, index_only = self._largest(operators, result), True
        if not self.softmax:
            last = [operator for operator in operators if result.index in operator.outputs]
            if [operator.kind for operator in last] in (["SOFTMAX"], ["LOG_SOFTMAX"]) and len(
                last[0].inputs
            ) == 1:
                operators.remove(last[0])
                result = self.model.tensors[last[0].inputs[0]]
        return self._checked("output", result), index_only

    def _largest(self, operators: list[TfliteOperator], result: TfliteTensor) -> TfliteTensor:
        """The operand of an ARG_MAX at the end."""
        last = [operator for operator in operators if result.index in operator.outputs]
        if [operator.kind for operator in last] != ["ARG_MAX"] or len(last[0].inputs) != 2:
            raise UnsupportedModel(
                f"the model's output {result.name!r} is {result.dtype} and comes from "
                f"{', '.join(operator.kind for operator in last) or 'no operator'}; an ARG_MAX must give it"
            )
        source, axis = (self.model.tensors[place] for place in last[0].inputs)
        rank = len(source.shape)
        if (
            axis.data is None
            or axis.data.size != 1
            or int(axis.data.reshape(-1)[0]) not in (-1, rank - 1)
            or rank < 2
        ):
            raise UnsupportedModel(f"the model's ARG_MAX {result.name!r} does not go along the last axis")
        operators.remove(last[0])
        return source

    @staticmethod
    def _checked(what: str, tensor: TfliteTensor) -> TfliteTensor:
        try:
            return checked(tensor)
        except Unsuited as reason:
            raise UnsupportedModel(f"the model's {what} {reason}") from None

    def _convert(self, operator: TfliteOperator) -> None:
        """Add the layer of one operator, or record why it is refused."""
        step = TfliteStep(operator, self.model.tensors, part_name(operator), self.values)
        convert: Callable[[TfliteStep], Made | Sequence[Made]] | None = OPERATORS.get(operator.kind)
        try:
            if convert is None:
                raise unknown(operator.kind)
            outputs = step.outputs()
            for output in outputs:
                if output.index in self.values:
                    raise Unsuited(f"gives {output.name!r}, which an earlier operator computes already")
            made = convert(step)
            makes = (made,) if isinstance(made, Made) else tuple(made)
            if len(makes) != len(outputs):
                raise Unsuited(f"has {len(outputs)} outputs, and {len(makes)} supported")
            for number, (one, output) in enumerate(zip(makes, outputs, strict=True)):
                self._spend(step, one, output)
                self._compare(one, output)
                name = part_name(operator, number)
                self.values[output.index] = TfliteValue(name, output, *one.range)
                self._add(name, one.layer, one.takes)
        except Unsuited as reason:
            self.problems.append(f"{operator.kind} {self._label(operator)} {reason}")
            self._assume(operator)

    def _spend(self, step: TfliteStep, made: Made, output: TfliteTensor) -> None:
        """Add a layer's work and table entries to the totals; raise if a limit is exceeded."""
        values = prod(output.shape) + sum(prod(value.shape) for value in made.takes)
        for what, spent in (
            ("products", step.work),
            ("values", values),
            ("entries of tables", entries_of_tables(made.layer)),
        ):
            self.spent[what] += spent
            if self.spent[what] > MOST[what]:
                raise UnsupportedModel(
                    f"the model has more than {MOST[what]} {what}, up to its layer {step.name!r}"
                )

    def _label(self, operator: TfliteOperator) -> str:
        names = [self.model.tensors[place].name for place in operator.outputs if place != -1]
        return repr(names[0]) if names else f"number {operator.index}"

    def _assume(self, operator: TfliteOperator) -> None:
        """Assume the declared outputs of a refused operator, so that later operators are checked, too."""
        for place in operator.outputs:
            if place != -1 and place not in self.values:
                tensor = self.model.tensors[place]
                if tensor.dtype in TYPES and tensor.scales and abs(tensor.zero) < 1 << 15:
                    self.values[place] = TfliteValue("", tensor, *tensor.centred)

    def _add(self, name: str, layer: Any, takes: tuple[TfliteValue, ...]) -> None:
        self.parts[name] = Node(layer, tuple(value.name for value in takes))

    @staticmethod
    def _compare(made: Made, output: TfliteTensor) -> None:
        """Raise unless the layer, applied to zeros, yields the declared shape."""
        zeros = [
            FixedArray.from_ints(np.zeros((1, *value.shape), np.int64), value.format) for value in made.takes
        ]
        try:
            result = made.layer(*zeros)
        except ValueError as error:
            raise Unsuited(f"cannot be computed: {error}") from None
        if result.shape != output.shape:
            raise Unsuited(f"declares an output of shape {output.shape}, and gives {result.shape}")
        assert result.format == integer_format(*made.range), (result.format, made.range)


def part_name(operator: TfliteOperator, output: int = 0) -> str:
    """The name of the layer of an operator's output."""
    which = f"_{output}" if output else ""
    return f"{operator.kind.lower()}_{operator.index}{which}".replace(" ", "_").replace(".", "_")


def input_names(model: TfliteModel) -> dict[str, tuple[int, str]]:
    """For each input's name in the network, its tensor and the name of its first layer; a single input is x."""
    if len(model.inputs) == 1:
        return {"x": (model.inputs[0], "input")}
    found: dict[str, tuple[int, str]] = {}
    for number, (name, place) in enumerate(zip(model.names, model.inputs, strict=True)):
        name = name.replace(".", "_") or f"x{number}"
        found[f"{name} {number}" if name in found else name] = (place, f"input_{number}")
    return found


def output_names(model: TfliteModel) -> tuple[str, ...]:
    """The names of the layers that give the outputs."""
    count = len(model.outputs)
    return ("output",) if count == 1 else tuple(f"output_{number}" for number in range(count))


def entries_of_tables(layer: Any) -> int:
    """The number of table entries of a layer, inner layers included."""
    if isinstance(layer, ValueTable):
        return len(layer.values)
    parts: list[Any] = list(layer.values()) if isinstance(layer, Mapping) else []
    if is_dataclass(layer):
        parts = [getattr(layer, field.name) for field in fields(layer)]
    return sum(entries_of_tables(part) for part in parts)
