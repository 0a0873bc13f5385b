# SPDX-License-Identifier: MIT
"""The conversion of a quantised file, node by node; values carry the meaning of their integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.onnx.doors import Door
from fixedpoint_nn.interchange.onnx.folding import evaluated
from fixedpoint_nn.interchange.onnx.integers import operators  # noqa: F401 - fills the table
from fixedpoint_nn.interchange.onnx.integers.chain import Times, channels, signs
from fixedpoint_nn.interchange.onnx.integers.constants import ScaledConstant, scaled
from fixedpoint_nn.interchange.onnx.integers.entries import EnteredConversion
from fixedpoint_nn.interchange.onnx.integers.hoisting import MOVES, QUANTISERS, REAL_ZERO
from fixedpoint_nn.interchange.onnx.integers.lookup import chooses, rows
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, meaning
from fixedpoint_nn.interchange.onnx.integers.outputs import filed_output
from fixedpoint_nn.interchange.onnx.integers.qonnx import bipolar, quantised
from fixedpoint_nn.interchange.onnx.integers.quantizing import dequantized
from fixedpoint_nn.interchange.onnx.integers.resizing import interpolates
from fixedpoint_nn.interchange.onnx.integers.runtime_kernels import of_constants
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import INTEGERS
from fixedpoint_nn.interchange.onnx.model import Declared, OnnxOperation
from fixedpoint_nn.interchange.onnx.reader import Refusal
from fixedpoint_nn.interchange.onnx.runtime_domain import REASONS
from fixedpoint_nn.interchange.onnx.step import OPERATORS, OnnxStep, Operand, axis_of
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

MOST_IMAGES, MOST_VALUES = 64, 1 << 23  # samples at a time, and values of one layer of all of them
CONSTANT_MOVES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Slice", "Gather")
FLOAT: Any = "float"
_SEVERAL = (
    "its real numbers are floats, in an order that no integer kernel has; read the file as the float network that was "
    "quantised, by quantised=False or `fixedpoint-nn import --floats`"
)
INEXACT = dict.fromkeys(("LSTM", "GRU", "RNN"), _SEVERAL) | {
    "LogSoftmax": f"{_SEVERAL}; or, at the end, leave it out: softmax=False"
}


@dataclass(frozen=True)
class Outlet(Door):
    """An output, with the meaning of its integers in the file."""

    meaning: Any = None

    def filed_values(self, ints: Any) -> Any:
        """The file's values of output integers, in the file's order of axes."""
        return self.outward(self.meaning.filed(ints))


@dataclass(frozen=True)
class ImportedIntegers:
    """A quantised network, with the correspondence of its inputs and outputs with the file's."""

    net: Quantized
    inputs: tuple[Door, ...]
    outputs: tuple[Outlet, ...]
    inside: tuple[Outlet, ...] = ()


class IntegerConversion(EnteredConversion):
    """The state of the conversion of a quantised file; values carry the meaning of their integers."""

    def integers(self) -> ImportedIntegers:
        """Convert everything; raises `UnsupportedModel`."""
        found = self.run()
        for door in found.inputs:
            if door.name in self.ids:
                format = QFormat.enclosing(0, self.rows - 1, 0, signed=False)
                self.quantizers[door.node] = Quantizer(
                    format, Rounding.HALF_EVEN, Overflow.SATURATE, door.name
                )
        bare = [door.name for door in found.inputs if door.node not in self.quantizers]
        if bare:
            reason = (
                "it is floats that no quantiser takes; say how they are rounded: "
                f"from_qonnx(path, input=Quantizer(Q(2, 14))), or quantise {bare[0]!r} in the file"
            )
            raise UnsupportedModel.of(
                "node", [Refusal(name, "input", reason, name) for name in bare], "imported"
            )
        values = [v for v in self.operands.values() if isinstance(v, OnnxValue)]
        largest = max((prod(v.sample) for v in values), default=1)
        rows = min(max(MOST_VALUES // max(largest, 1), 1), MOST_IMAGES)
        first, *further = (self.quantizers[door.node] for door in found.inputs)
        shape = found.inputs[0].sample if len(found.inputs) == 1 else None
        net = Quantized(found.net, first, rows, tuple(further), shape)
        outlets = tuple(
            Outlet(door.name, door.node, door.axes, door.dims, self.results[door.name])
            for door in found.outputs
        )
        kinds = {name: v.kind for name, v in self.operands.items() if isinstance(v, OnnxValue)}
        inside = tuple(
            Outlet(door.name, door.node, door.axes, door.dims, kinds[door.name])
            for door in found.inside
            if isinstance(kinds.get(door.name), Codes | Reals)
            and door.name not in self.hidden
            and door.axes[0] is not None
        )
        return ImportedIntegers(net, found.inputs, outlets, inside)

    def _supports(self, operation: OnnxOperation) -> bool:
        return (operation.op in INTEGERS or operation.op in MOVES) and not operation.domain

    def _is_defined(self, operation: OnnxOperation) -> bool:
        return False  # the runtime computes it with floats

    def _unknown(self, operation: OnnxOperation) -> str:
        if operation.op in REASONS or operation.domain:
            return super()._unknown(operation)
        return INEXACT.get(operation.op, "it has no exact form for integers")

    def _results(
        self, operation: OnnxOperation, operands: list[Operand], supported: bool
    ) -> Sequence[Operand]:
        """The results of a node: constants, integers with their meaning, or what the float converter makes of them."""
        values = [operand for operand in operands if isinstance(operand, OnnxValue)]
        if operation.outputs and operation.outputs[0] in self.done:
            return [operands[0]]
        if not values:
            return self._constant(operation, operands)
        if operation.op in ("Shape", "Size"):
            return super()._results(operation, operands, supported)
        if operation.op in REASONS:
            raise Refused(REASONS[operation.op])
        if operation.domain:
            raise Refused(self._unknown(operation))
        if operation.op == "Gather" and chooses(operands):
            step = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
            self.rows = max(self.rows, len(np.asarray(operands[0])))
            return [rows(step)]
        if operation.op in QUANTISERS and values[0].kind == "float" and values[0] is operands[0]:
            return [self._entry(operation, operands)]
        if operation.op in INTEGERS and (operation.op not in MOVES or interpolates(operation)):
            rounding, between = self._following(operation)
            step = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
            step.rounding, step.between = rounding, between
            result = INTEGERS[operation.op].convert(step)
            if isinstance(result, OnnxValue) and isinstance(result.kind, Codes) and rounding is not None:
                self._skip(operation)
                if self._chain(operation)[-1].op != "QuantizeLinear":
                    codes = result.kind
                    worth: Any = Reals(codes.low, codes.high, (Times(rounding.scales),), zero=codes.zero)
                    result = replace(result, kind=worth)
        elif operation.op in MOVES:
            step = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
            result = self._moved(step, values[0])
        else:
            raise Refused(self._unknown(operation))
        step.check_attributes()
        return [result] if isinstance(result, OnnxValue | np.ndarray) else list(result)

    def _constant(self, operation: OnnxOperation, operands: list[Operand]) -> Sequence[Operand]:
        """The results of a node with constant operands only, which keep integers and scales apart."""
        step = OnnxStep(operation, operands, self.builder, self.model.opset, self.free)
        match operation.op:
            case "DequantizeLinear":
                return [dequantized(step)]
            case "Quant":
                return [quantised(step)]
            case "BipolarQuant":
                return [bipolar(step)]
            case "QLinearAdd" | "QLinearMul":
                alone = IntegerStep(operation, operands, self.builder, self.model.opset, self.free)
                return [of_constants(alone)]
        first = operands[0] if operands else None
        parts = scaled(first) if isinstance(first, ScaledConstant) else None
        if parts is not None and operation.op in CONSTANT_MOVES:
            arrays: list[Any] = list(operands)
            ints, scales = (evaluated(operation, [part, *arrays[1:]], self.model.opset)[0] for part in parts)
            return [ScaledConstant.of(ints, scales)]
        return super()._results(operation, operands, True)

    def _moved(self, step: IntegerStep, v: OnnxValue) -> Any:
        """The result of an operator that only moves elements, by the converter of the float operator."""
        kind: Any = meaning(v)
        pooled = step.operation.op in ("MaxPool", "GlobalMaxPool", "ReduceMax")
        if isinstance(kind, Reals):
            if pooled and not (signs(kind.chain) > 0).all():
                raise Refused("it takes the maximum of values with a negative scale; quantise them before")
            if not pooled and channels(kind.chain) > 1 and not _keeps_channels(step, v):
                raise Refused("it moves channels that have scales of their own; quantise them before")
        attributes = dict(step.operation.attributes)
        if step.operation.op == "Pad":
            real = attributes.pop(REAL_ZERO, None) or isinstance(kind, Reals)
            given = step.optional(2, "value")
            value = 0 if given is None or not np.size(given) else np.ravel(given)[0]
            if attributes.get("mode", "constant") == "constant" and value != (0 if real else kind.zero):
                raise Refused(f"it pads with {value}, and zeros, or the zero point, are supported")
            kind = replace(kind, low=min(kind.low, 0), high=max(kind.high, 0))
            step.operands = [*step.operands[:2], None, *step.operands[3:]]
        step.operation = replace(step.operation, attributes=attributes)
        step.operands = [replace(x, kind=FLOAT) if isinstance(x, OnnxValue) else x for x in step.operands]
        result = OPERATORS[step.operation.op].convert(step)
        if isinstance(result, OnnxValue):
            return replace(result, kind=kind)
        return [replace(one, kind=kind) if isinstance(one, OnnxValue) else one for one in result]

    def _output(self, declared: Declared) -> Door | None:
        """Add an output of the file; values that are no integers or have no exact form are refused."""
        operand = self.operands.get(declared.name)
        if not isinstance(operand, OnnxValue) or not isinstance(operand.kind, Codes | Reals):
            if isinstance(operand, OnnxValue):
                self.refusals.append(Refusal(declared.name, "output", "it is no integer"))
                return None
            return super()._output(declared)
        try:
            made = filed_output(self.builder, operand)
        except (Refused, Unsuited) as reason:
            self.refusals.append(Refusal(declared.name, "output", str(reason)))
            return None
        self.results[declared.name] = made.kind
        self.operands[f"{declared.name} as filed"] = made
        operands, self.operands = self.operands, {declared.name: made}
        try:
            return super()._output(declared)
        finally:
            self.operands = operands


def _keeps_channels(step: IntegerStep, v: OnnxValue) -> bool:
    """Whether it takes places of another axis than the channels, whose order and scales stay."""
    if step.operation.op not in ("Gather", "Split"):
        return False
    return axis_of(int(step.operation.attributes.get("axis", 0)), len(v.dims)) != v.axes[-1]
