# SPDX-License-Identifier: MIT
"""Floats between a DEQUANTIZE and a QUANTIZE, each computed from one code: tables of codes.

Where TFLite has no integer kernel (NEG, which Keras' layer normalisation uses, SIN, SQRT ...), a converter leaves
floats inside of a quantised model. A chain or a graph of functions of one value takes 256 or 65,536 values in all, so
it is computed for every code, as the reference kernels do, in 32-bit floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, integer_format
from fixedpoint_nn.interchange.affine.multiplier import round_away
from fixedpoint_nn.interchange.tflite.codes import tabulated_steps
from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.interchange.tflite.real_functions import (
    ONE,
    cos,
    elu,
    exp,
    gelu,
    gelu_by_tanh,
    log,
    logistic,
    sin,
    tanh,
)
from fixedpoint_nn.interchange.tflite.step import RELU, RELU6, RELU_N1_TO_1, Made, TfliteStep

Options = Mapping[str, Any]
TYPES = "int8", "uint8", "int16"
FLOATS = "Floats"  # the option that holds them
SMALLEST, LARGEST = (
    np.float32(-9),
    np.float32(16.619047164916992188),
)  # beyond them LOGISTIC takes exp(x), or 1


def _clip(low: float | None, high: float | None) -> Callable[..., Any]:
    return lambda options, x: np.clip(
        x, None if low is None else np.float32(low), None if high is None else np.float32(high)
    )


FUSED = {0: _clip(None, None), RELU: _clip(0, None), RELU_N1_TO_1: _clip(-1, 1), RELU6: _clip(0, 6)}


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function without options."""
    return lambda options, *x: function(*x)


def _arithmetic(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """An operation on two values, with a fused activation."""

    def computed(options: Options, x: Any, y: Any) -> Any:
        fused = options.get("FusedActivationFunction", 0)
        if fused not in FUSED:
            raise Unsuited(f"has the fused activation {fused}")
        result = function(x, y)
        return FUSED[fused](options, result) if fused else result

    return computed


def _logistic(x: Any) -> Any:
    return np.where(x > LARGEST, ONE, np.where(x < SMALLEST, exp(x), logistic(x)))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ABS": _plain(np.abs),
    "ADD": _arithmetic(np.add),
    "CEIL": _plain(np.ceil),
    "COS": _plain(cos),
    "DIV": _arithmetic(np.divide),
    "ELU": _plain(elu),
    "EXP": _plain(exp),
    "FLOOR": _plain(np.floor),
    "GELU": lambda options, x: (gelu_by_tanh if options["Approximate"] else gelu)(x),
    "HARD_SWISH": _plain(
        lambda x: x * np.clip(x + np.float32(3), np.float32(0), np.float32(6)) / np.float32(6)
    ),
    "LEAKY_RELU": lambda options, x: np.where(x > 0, x, x * np.float32(options["Alpha"])),
    "LOG": _plain(log),
    "LOGISTIC": _plain(_logistic),
    "MAXIMUM": _plain(np.maximum),
    "MINIMUM": _plain(np.minimum),
    "MUL": _arithmetic(np.multiply),
    "NEG": _plain(np.negative),
    "RELU": _clip(0, None),
    "RELU6": _clip(0, 6),
    "RELU_0_TO_1": _clip(0, 1),
    "RELU_N1_TO_1": _clip(-1, 1),
    "ROUND": _plain(np.rint),
    "RSQRT": _plain(lambda x: ONE / np.sqrt(x)),
    "SIN": _plain(sin),
    "SQRT": _plain(np.sqrt),
    "SQUARE": _plain(np.square),
    "SQUARED_DIFFERENCE": _plain(lambda x, y: np.square(x - y)),
    "SUB": _arithmetic(np.subtract),
    "TANH": _plain(tanh),
}


MOVEMENTS = (
    "EXPAND_DIMS", "GATHER", "RESHAPE", "REVERSE_V2", "SLICE", "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TILE",
    "TRANSPOSE", "UNPACK",
)  # fmt: skip


@dataclass(frozen=True)
class _Floats:
    """A float tensor: the tensor of codes it is computed from, and its values for centred codes from `first` on."""

    source: TfliteTensor
    first: int
    values: Any


def without_float_islands(model: TfliteModel) -> TfliteModel:
    """The model with one operator, a DEQUANTIZE that gives codes, for each QUANTIZE of such floats."""
    if not any(operator.kind == "DEQUANTIZE" for operator in model.operators):
        return model
    return _Islands(model).model()


class _Islands:
    """The floats found so far, and the operators that stand in place of the file's."""

    def __init__(self, model: TfliteModel) -> None:
        self.source = model
        self.tensors = list(model.tensors)
        self.found: dict[int, _Floats] = {}

    def model(self) -> TfliteModel:
        """The rewritten model."""
        operators = [made for operator in self.source.operators for made in self._read(operator)]
        return replace(self.source, tensors=tuple(self.tensors)).with_needed(operators)

    def _read(self, operator: TfliteOperator) -> tuple[TfliteOperator, ...]:
        """Compute an operator's floats, if it has any; the operators that come in its place or beside it."""
        tensors = [self.tensors[place] for place in operator.inputs if place != -1]
        given = [self.found[tensor.index] for tensor in tensors if tensor.index in self.found]
        if operator.kind == "DEQUANTIZE":
            self._begin(operator, tensors[0])
        elif operator.kind == "QUANTIZE" and given:
            options = {**operator.options, FLOATS: given[0]}
            inputs = (given[0].source.index,)
            return (replace(operator, kind="DEQUANTIZE", inputs=inputs, options=options),)
        elif operator.kind in FUNCTIONS and given:
            self._compute(operator, tensors, given)
        elif operator.kind in MOVEMENTS and len(given) == 1:
            return operator, self._move(operator, given[0])
        return (operator,)

    def _begin(self, operator: TfliteOperator, source: TfliteTensor) -> None:
        """The floats of all codes of a tensor."""
        if source.data is None and len(source.scales) == 1 and source.dtype in TYPES:
            every = integer_format(*source.centred)
            values = np.arange(every.int_min, every.int_max + 1) * np.float64(source.scale)
            self.found[operator.outputs[0]] = _Floats(source, every.int_min, values.astype(np.float32))

    def _compute(self, operator: TfliteOperator, tensors: list[TfliteTensor], given: list[_Floats]) -> None:
        """A function of floats of one tensor, and of numbers."""
        others = [tensor for tensor in tensors if tensor.index not in self.found]
        if len({one.source.index for one in given}) > 1 or not all(map(_is_number, others)):
            return
        operands = [
            self.found[tensor.index].values if tensor.index in self.found else np.reshape(tensor.data, ())  # type: ignore[arg-type]
            for tensor in tensors
        ]
        with np.errstate(all="ignore"):
            values = FUNCTIONS[operator.kind](operator.options, *operands)
        self.found[operator.outputs[0]] = replace(given[0], values=values)

    def _move(self, operator: TfliteOperator, given: _Floats) -> TfliteOperator:
        """The same movement of codes, of which its floats are computed."""
        outputs = []
        for place in operator.outputs:
            codes = replace(given.source, index=len(self.tensors), shape=self.tensors[place].shape)
            self.tensors.append(codes)
            self.found[place] = replace(given, source=codes)
            outputs.append(codes.index)
        inputs = tuple(given.source.index if place in self.found else place for place in operator.inputs)
        return replace(operator, inputs=inputs, outputs=tuple(outputs))


def _is_number(tensor: TfliteTensor) -> bool:
    return tensor.data is not None and tensor.data.size == 1 and tensor.dtype == "float32"


def codes_of_floats(step: TfliteStep) -> Made:
    """Convert floats of one value: the table of their codes, rounded by the QUANTIZE behind them."""
    floats = step.options[FLOATS]
    with np.errstate(all="ignore"):
        steps = round_away(floats.values / np.float32(step.output().scale))
    return tabulated_steps(step, step.value(0), floats.first, steps)
