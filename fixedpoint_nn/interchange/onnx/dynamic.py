# SPDX-License-Identifier: MIT
"""A file whose activations are quantised while it runs, as the float network with its dequantised weights.

DynamicQuantizeLinear chooses a scale for each array, so such a file has no integers of its own. Here its codes are
read as the real numbers before it, of scale 1, and the products of integers behind it as products of floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.model import OnnxModel, OnnxOperation
from fixedpoint_nn.numerics.arrays import Array

PRODUCTS = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}
FUSED = "DynamicQuantizeMatMul", "MatMulIntegerToFloat"  # of onnxruntime's own domain
LSTM = "DynamicQuantizeLSTM"


def with_real_values(model: OnnxModel) -> OnnxModel:
    """The model without quantisers whose scales depend on the data; operators that are not known stay."""
    state = _Reals(dict(model.constants))
    operations = [made for operation in model.operations for made in state.read(operation)]
    return replace(model, operations=tuple(operations), constants=state.constants).only(None)


@dataclass
class _Reals:
    constants: dict[str, Any]
    codes: set[str] = field(default_factory=set)  # real numbers in the place of codes
    sums: set[str] = field(default_factory=set)  # floats in the place of 32-bit sums
    rows: dict[str, OnnxOperation] = field(default_factory=dict)  # rows that ids choose from a constant

    def read(self, operation: OnnxOperation) -> list[OnnxOperation]:
        """The operations in the place of this one."""
        inputs, first = operation.inputs, operation.inputs[:1]
        if operation.op == "Gather" and self._constant(inputs, 0) is not None:
            self.rows |= dict.fromkeys(operation.outputs, operation)
        if operation.op == "DequantizeLinear" and inputs[0] in self.rows:
            return [self._real_rows(operation, self.rows[inputs[0]])]
        if operation.op == "DynamicQuantizeLinear":
            codes, *about = operation.outputs
            self.codes.add(codes)
            self.constants |= dict(zip(about, (np.float32(1), np.uint8(0)), strict=False))
            return [OnnxOperation(operation.name, "Identity", first, (codes,))]
        if operation.op in PRODUCTS and self.codes.intersection(first) and inputs[1] in self.constants:
            zeros = self._constant(inputs, 3)
            self.sums.update(operation.outputs)
            axis = 0 if operation.op == "ConvInteger" else -1
            weights = self._named(
                operation, "weights", dequantised(self.constants[inputs[1]], None, zeros, axis)
            )
            return [replace(operation, op=PRODUCTS[operation.op], inputs=(inputs[0], weights))]
        if operation.op == "Cast" and self.sums.intersection(first):
            return [OnnxOperation(operation.name, "Identity", first, operation.outputs)]
        if operation.op in FUSED and inputs[1] in self.constants:
            return self._fused(operation)
        if operation.op == LSTM and all(name in self.constants for name in inputs[1:3]):
            return [self._lstm(operation)]
        return [operation]

    def _fused(self, operation: OnnxOperation) -> list[OnnxOperation]:
        """The product of a value and a matrix with its scale, and the bias."""
        inputs, whole = operation.inputs, operation.op == "MatMulIntegerToFloat"
        scale, zero, bias = (3, 5, 6) if whole else (2, 3, 4)
        if whole and inputs[0] not in self.codes:
            return [operation]
        about = self._constant(inputs, scale), self._constant(inputs, zero)
        weights = self._named(operation, "weights", dequantised(self.constants[inputs[1]], *about, -1))
        if len(inputs) <= bias or not inputs[bias]:
            return [OnnxOperation(operation.name, "MatMul", (inputs[0], weights), operation.outputs)]
        product = f"{operation.name}/product"
        return [
            OnnxOperation(operation.name, "MatMul", (inputs[0], weights), (product,)),
            OnnxOperation(f"{operation.name}/bias", "Add", (product, inputs[bias]), operation.outputs),
        ]

    def _lstm(self, operation: OnnxOperation) -> OnnxOperation:
        """The LSTM, whose weights (directions, inputs, gates) have scales for all gates or for each column."""
        inputs = list(operation.inputs) + [""] * (12 - len(operation.inputs))
        for place, name, scale in ((1, "weights", 8), (2, "recurrence", 10)):
            about = (self._constant(inputs, where) for where in (scale, scale + 1))
            factor, zero = (None if x is None else x.reshape(len(x), 1, -1) for x in about)
            real = dequantised(self.constants[inputs[place]], factor, zero)
            inputs[place] = self._named(operation, name, real.transpose(0, 2, 1))
        return replace(operation, op="LSTM", inputs=tuple(inputs[:8]), domain="")

    def _real_rows(self, operation: OnnxOperation, chosen: OnnxOperation) -> OnnxOperation:
        """The rows of the dequantised table."""
        table = self.constants[chosen.inputs[0]]
        about = self._constant(operation.inputs, 1), self._constant(operation.inputs, 2)
        if about[0] is None or about[0].size > 1 or (len(operation.inputs) > 2 and about[1] is None):
            return operation
        real = self._named(operation, "table", dequantised(table, *about))
        return replace(
            chosen, name=operation.name, inputs=(real, *chosen.inputs[1:]), outputs=operation.outputs
        )

    def _constant(self, inputs: Sequence[str], place: int) -> Array | None:
        name = inputs[place] if place < len(inputs) else ""
        return np.asarray(self.constants[name]) if name in self.constants else None

    def _named(self, operation: OnnxOperation, what: str, value: Array) -> str:
        name = f"{operation.name}/{what}"
        self.constants[name] = value
        return name


def dequantised(codes: Any, scale: Array | None, zero: Array | None, axis: int | None = None) -> Array:
    """(codes - zero) * scale, as 32-bit floats; several scales and zeros are those along the axis."""
    codes = np.asarray(codes)
    shape = [1] * codes.ndim
    if axis is not None:
        shape[axis] = -1

    def beside(values: Array) -> Array:
        return values.reshape(shape) if axis is not None and values.size > 1 else values

    zeros = np.int64(0) if zero is None else beside(zero.astype(np.int64))
    scales = np.float32(1) if scale is None else beside(scale.astype(np.float32))
    return np.asarray((codes.astype(np.int64) - zeros).astype(np.float32) * scales, np.float32)
