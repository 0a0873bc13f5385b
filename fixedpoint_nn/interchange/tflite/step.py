# SPDX-License-Identifier: MIT
"""One operator during conversion: its tensors, checked, and the ranges of its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, integer_format
from fixedpoint_nn.interchange.affine.multiplier import round_away
from fixedpoint_nn.interchange.tflite.model import TfliteOperator, TfliteTensor
from fixedpoint_nn.layers.structure import Layer
from fixedpoint_nn.numerics.qformat import QFormat

RELU, RELU_N1_TO_1, RELU6 = 1, 2, 3
TYPES = ("int8", "int16", "uint8")  # of values
CONSTANTS = ("int8", "int16", "int32", "int64", "float32", "uint8", "bool")
ACTIVATIONS = {
    0: "NONE",
    RELU: "RELU",
    RELU_N1_TO_1: "RELU_N1_TO_1",
    RELU6: "RELU6",
    4: "TANH",
    5: "SIGN_BIT",
}


@dataclass(frozen=True)
class TfliteValue:
    """A value of the network: centred integers low..high in the smallest format, with the tensor's shape."""

    name: str
    tensor: TfliteTensor
    low: int
    high: int

    @property
    def format(self) -> QFormat:
        """The smallest integer format that holds low..high."""
        return integer_format(self.low, self.high)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample, without the batch."""
        return self.tensor.shape[1:]

    @property
    def range(self) -> tuple[int, int]:
        """(lowest, highest) integer."""
        return self.low, self.high


@dataclass(frozen=True)
class Made:
    """A layer, its operands, and the range of its results."""

    layer: Layer
    takes: tuple[TfliteValue, ...]
    range: tuple[int, int]


@dataclass
class OperatorTensors:
    """An operator with the tensors of its model."""

    operator: TfliteOperator
    tensors: Sequence[TfliteTensor]

    @property
    def options(self) -> Any:
        """The options of the operator."""
        return self.operator.options

    def has(self, place: int) -> bool:
        """Whether the optional input is present."""
        return place < len(self.operator.inputs) and self.operator.inputs[place] != -1

    def tensor(self, place: int) -> TfliteTensor:
        """The tensor of an input."""
        if not self.has(place):
            raise Unsuited(f"lacks its input {place}")
        return self.tensors[self.operator.inputs[place]]


@dataclass
class TfliteStep(OperatorTensors):
    """An operator with its tensors and the values computed before it, for its converter."""

    name: str
    values: dict[int, TfliteValue]
    work: int = 0  # products per sample

    def value(self, place: int) -> TfliteValue:
        """A computed input of 8 or 16 bits; raises Unsuited."""
        tensor = self.tensor(place)
        if tensor.data is not None:
            raise Unsuited(
                f"has the constant {tensor.name!r} as its input {place}, where a computed value stands"
            )
        checked(tensor)
        if tensor.index not in self.values:
            raise Unsuited(f"takes {tensor.name!r}, which nothing before it computes")
        return self.values[tensor.index]

    def constant(self, place: int) -> TfliteTensor:
        """A constant input; raises Unsuited."""
        tensor = self.tensor(place)
        if tensor.dtype not in CONSTANTS:
            raise Unsuited(f"has the input {tensor.name!r} of {tensor.dtype}, which is not supported")
        if tensor.data is None:
            raise Unsuited(
                f"has the input {tensor.name!r}, which is computed while the model runs, and a constant is needed"
            )
        return tensor

    def output(self) -> TfliteTensor:
        """The tensor of the only output."""
        if len(self.operator.outputs) != 1:
            raise Unsuited(f"has {len(self.operator.outputs)} outputs, and one is supported")
        return self.outputs()[0]

    def outputs(self) -> tuple[TfliteTensor, ...]:
        """The tensors of all outputs."""
        places = [place for place in self.operator.outputs if place != -1]
        if not places:
            raise Unsuited("has no output")
        return tuple(checked(self.tensors[place]) for place in places)

    def same_type(self, *tensors: TfliteTensor) -> str:
        """The common type of these tensors; raises Unsuited if they differ."""
        types = {tensor.dtype for tensor in tensors}
        if len(types) > 1:
            raise Unsuited(f"has values of different types, {' and '.join(sorted(types))}")
        return types.pop()

    def activation_range(self) -> tuple[int, int]:
        """(lowest, highest) centred integer after the fused activation."""
        return activation_range(self.output(), self.options.get("FusedActivationFunction", 0))


def unknown(kind: str) -> Unsuited:
    """The refusal of an operator that no converter reads."""
    if kind == "WHILE":
        return Unsuited("is a loop, and loops are not read; build the recurrent layers with unroll=True")
    return Unsuited("is an operator that is not supported")


def checked(tensor: TfliteTensor) -> TfliteTensor:
    """The tensor, of a supported type, with one scale and a batch of one; raises Unsuited for any other."""
    if tensor.dtype == "float32":
        raise Unsuited(
            f"has {tensor.name!r} of float32, and floats inside of a quantised model are supported where they are a "
            "function of one value, from its DEQUANTIZE to their QUANTIZE"
        )
    if tensor.dtype not in TYPES:
        raise Unsuited(f"has {tensor.name!r} of {tensor.dtype}, and {', '.join(TYPES)} are supported")
    if len(tensor.scales) != 1 or len(tensor.zeros) > 1 or not tensor.scale > 0:
        raise Unsuited(
            f"has {tensor.name!r} with {len(tensor.scales)} scales, and one positive scale is needed"
        )
    low, high = tensor.codes
    if not low <= tensor.zero <= high or (tensor.dtype == "int16" and tensor.zero):
        raise Unsuited(f"has {tensor.name!r} of {tensor.dtype} with the zero point {tensor.zero}")
    if not tensor.shape or tensor.shape[0] != 1 or 0 in tensor.shape:
        raise Unsuited(f"has {tensor.name!r} of shape {tensor.shape}, and the first axis is a batch of 1")
    return tensor


def spreads(shape: tuple[int, ...], over: tuple[int, ...]) -> bool:
    """Whether a constant of one shape broadcasts to a value of another, which it leaves as it is."""
    return len(shape) <= len(over) and all(a in (1, b) for a, b in zip(shape[::-1], over[::-1], strict=False))


def same_scale(*tensors: TfliteTensor, scales: bool = True) -> None:
    """Raise Unsuited unless the tensors have equal zero points and, with `scales`, equal scales."""
    about = {(tensor.dtype, tensor.scales if scales else (), tensor.zero) for tensor in tensors}
    if len(about) > 1:
        listed = " and ".join(f"{t.dtype} {t.scales[0]:.6g} {t.zero}" for t in tensors[:2])
        raise Unsuited(f"has values of different scales or zero points ({listed}), and moves them unchanged")


def activation_range(tensor: TfliteTensor, activation: int) -> tuple[int, int]:
    """(lowest, highest) centred integer after an activation function, computed in float32 as in TFLite."""
    low, high = tensor.centred

    def code(x: float) -> int:
        with np.errstate(over="ignore"):
            steps = np.float32(x) / np.float32(tensor.scale)
        if not abs(steps) < 1 << 30:
            raise Unsuited(f"has {tensor.name!r} with the scale {tensor.scale}, too small for its activation")
        return int(round_away(steps))

    if activation == 0:
        return low, high
    if activation == RELU:
        return max(low, 0), high
    if activation == RELU6:
        return max(low, 0), min(high, code(6.0))
    if activation == RELU_N1_TO_1:
        return max(low, code(-1.0)), min(high, code(1.0))
    raise Unsuited(f"has the fused activation {ACTIVATIONS.get(activation, activation)}")
