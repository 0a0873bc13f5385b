# SPDX-License-Identifier: MIT
"""Conversion of a TFLite `TfliteModel` to a quantised network, operator by operator."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.centred import Shifted
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, integer_format
from fixedpoint_nn.interchange.affine.quantizer import AffineQuantizer
from fixedpoint_nn.interchange.tflite.file import read
from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.interchange.tflite.operators import OPERATORS
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, TfliteValue, checked
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from fixedpoint_nn.layers.activation import Argmax
from fixedpoint_nn.layers.graph import Graph, Node
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.value_table import ValueTable

MOST_IMAGES, MOST_VALUES = 64, 1 << 23  # samples at a time, and values of one layer of all of them

MOST = {"products": 1 << 35, "values": 1 << 28, "entries of tables": 1 << 23}  # for one sample


def from_tflite(source: str | os.PathLike[str] | bytes, *, softmax: bool = True) -> Quantized:
    """The quantised network of a TFLite file (its path or its bytes), with the integers of TFLite's reference kernels.

    It takes the file's integers, or floats, which it quantises as the file states, and returns the file's integers.
    With `softmax=False` a softmax at the end is omitted: the argmax is the same, and the engine has no products as
    wide as the 8-bit softmax needs. Raises `UnsupportedModel`.

    >>> fixed = from_tflite("model.tflite", softmax=False)  # doctest: +SKIP
    """
    return TfliteConversion(read(source), softmax).network()


class TfliteConversion:
    """The state of one conversion: nodes, values, and refusals so far."""

    def __init__(self, model: TfliteModel, softmax: bool = True) -> None:
        self.model, self.softmax = model, softmax
        self.parts: dict[str, Node] = {}
        self.values: dict[int, TfliteValue] = {}
        self.problems: list[str] = []
        self.spent = dict.fromkeys(MOST, 0)
        self.index_only = False  # the model returns the argmax

    def network(self) -> Quantized:
        """The quantised network; raises `UnsupportedModel` with all refusals."""
        operators = list(self.model.operators)
        source = self._input(operators)
        result = self._output(operators)
        for operator in operators:
            self._convert(operator)
        if self.problems:
            raise UnsupportedModel.of("operator", self.problems)
        if result.index not in self.values:
            raise UnsupportedModel(f"the model's output {result.name!r} is computed by none of its operators")
        value = self.values[result.index]
        low, high = result.codes
        last = Argmax() if self.index_only else Shifted(result.zero, exact(low, high, "output"))
        self._add("output", last, (value,))
        quantizer = AffineQuantizer.of(source.dtype, source.scale, source.zero, "input")
        largest = max(prod(value.shape) for value in self.values.values())
        return Quantized(Graph(self.parts), quantizer, min(max(MOST_VALUES // largest, 1), MOST_IMAGES))

    def _input(self, operators: list[TfliteOperator]) -> TfliteTensor:
        """The model's quantised input tensor; a QUANTIZE of floats before it becomes the input quantizer."""
        source = self._only("input", self.model.inputs)
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
        self.values[source.index] = TfliteValue("input", source, low, high)
        self.parts["input"] = Node(Shifted(-source.zero, exact(low, high, "input.centred")), ("x",))
        return source

    def _output(self, operators: list[TfliteOperator]) -> TfliteTensor:
        """The model's quantised output tensor; a DEQUANTIZE after it is omitted."""
        result = self._only("output", self.model.outputs)
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
            result = self._largest(operators, result)
        if not self.softmax:
            last = [operator for operator in operators if result.index in operator.outputs]
            if [operator.kind for operator in last] == ["SOFTMAX"] and len(last[0].inputs) == 1:
                operators.remove(last[0])
                result = self.model.tensors[last[0].inputs[0]]
        return self._checked("output", result)

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
        self.spent = dict.fromkeys(MOST, 0)
        self.index_only = True
        return source

    def _only(self, what: str, places: tuple[int, ...]) -> TfliteTensor:
        if len(places) != 1:
            raise UnsupportedModel(f"the model has {len(places)} {what}s, and one is supported")
        return self.model.tensors[places[0]]

    @staticmethod
    def _checked(what: str, tensor: TfliteTensor) -> TfliteTensor:
        try:
            return checked(tensor, ("int8", "int16", "uint8"))
        except Unsuited as reason:
            raise UnsupportedModel(f"the model's {what} {reason}") from None

    def _convert(self, operator: TfliteOperator) -> None:
        """Add the layer of one operator, or record why it is refused."""
        name = part_name(operator)
        step = TfliteStep(name, operator, self.model.tensors, self.values)
        convert: Callable[[TfliteStep], Made] | None = OPERATORS.get(operator.kind)
        try:
            if convert is None:
                raise Unsuited("is an operator that is not supported")
            output = step.output()
            if output.index in self.values:
                raise Unsuited(f"gives {output.name!r}, which an earlier operator computes already")
            made = convert(step)
            self._spend(step, made, output)
            self._compare(made, output)
            self.values[output.index] = TfliteValue(name, output, *made.range)
            self._add(name, made.layer, made.takes)
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
                if tensor.dtype in ("int8", "int16") and abs(tensor.zero) < 1 << 15:
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


def part_name(operator: TfliteOperator) -> str:
    """The name of an operator's layer."""
    return f"{operator.kind.lower()}_{operator.index}".replace(" ", "_").replace(".", "_")


def entries_of_tables(layer: Any) -> int:
    """The number of table entries of a layer, inner layers included."""
    if isinstance(layer, ValueTable):
        return len(layer.values)
    parts: list[Any] = list(layer.values()) if isinstance(layer, Mapping) else []
    if is_dataclass(layer):
        parts = [getattr(layer, field.name) for field in fields(layer)]
    return sum(entries_of_tables(part) for part in parts)
