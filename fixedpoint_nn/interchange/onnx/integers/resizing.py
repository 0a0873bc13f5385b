# SPDX-License-Identifier: MIT
"""Images of other sizes by weighted sums of pixels: the weights of each axis are whole numbers over one denominator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.affine.rescale import Fitted
from fixedpoint_nn.interchange.affine.sums import sums_of
from fixedpoint_nn.interchange.onnx.integers.chain import Over, Times
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, meaning
from fixedpoint_nn.interchange.onnx.integers.quantizing import centred
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.model import OnnxOperation
from fixedpoint_nn.interchange.onnx.operators import resizing
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

FLOAT: Any = "float"
FLOAT_WHOLE = 1 << 24  # up to which 32-bit floats hold every whole number
MOST_PARTS = 1 << 12  # of a pixel
NEAR = 2.0**-18  # of a weight: the error of the 32-bit float that the file's sizes make it


def interpolates(operation: OnnxOperation) -> bool:
    """Does it add up pixels, and not only move them?"""
    return operation.op == "Resize" and operation.attributes.get("mode", "nearest") != "nearest"


@operator("Resize")
def resize(step: IntegerStep) -> OnnxValue:
    """Resize, linear or cubic: of real numbers, or of codes, whose sums the runtime cuts off towards zero."""
    v = step.value(0, kind="")
    if isinstance(meaning(v), Codes):
        v = centred(step, v, 0)
    kind = meaning(v)
    low, high, parts = kind.low, kind.high, 1
    before = set(step.builder.parts)
    made = resizing.resize(replace(step, operands=[replace(v, kind=FLOAT), *step.operands[1:]]))
    for name, part in list(step.builder.parts.items()):
        layer: Any = part.layer
        if name in before or not isinstance(layer, layers.Dense):
            continue
        weights, each = _whole(layer.weight)
        try:
            low, high = sums_of(weights.T, None, low, high)
            whole = layers.Dense(fixed_constant(weights), None, exact(low, high, f"{name}.sum"))
        except Unsuited as reason:
            raise Refused(f"it {reason}") from None
        step.builder.parts[name] = replace(part, layer=whole)
        parts *= each
    assert isinstance(made, OnnxValue)
    if isinstance(kind, Codes):
        return _cut_off(step, made, kind, max(-low, high), parts)
    meant: Any = Reals(low, high, (Times((kind.scale,)), Over((float(parts),))), summed=True)
    return replace(made, kind=meant, flat=None)


def _cut_off(step: IntegerStep, v: OnnxValue, kind: Codes, most: int, parts: int) -> OnnxValue:
    """Sums of codes over a power of two, towards zero: what 32-bit floats make of them, if these are exact."""
    if parts & (parts - 1) or most >= FLOAT_WHOLE:
        raise Refused(
            f"it cuts off sums of codes over {parts}, which 32-bit floats round before; resize real numbers"
        )
    format = QFormat.enclosing(kind.low, kind.high, 0, signed=kind.low < 0)
    out = Quantizer(format, Rounding.TOWARD_ZERO, Overflow.SATURATE, step.name)
    node = step.builder.add(f"{step.name}_codes", Fitted(parts.bit_length() - 1, out), v.node)
    meant: Any = kind
    return replace(v, node=node, kind=meant, flat=None)


def _whole(weights: Any) -> tuple[Ints, int]:
    """Whole numbers, and how many of them make 1."""
    exact_weights: Array = np.asarray(weights.data, np.float64)
    for parts in range(1, MOST_PARTS + 1):
        ints = np.rint(exact_weights * parts)
        if (np.abs(ints - exact_weights * parts) <= NEAR * parts).all() and (ints.sum(axis=0) == parts).all():
            return ints.astype(np.int64), parts
    raise Refused(
        f"its weights are no multiples of 1 / {MOST_PARTS} or more; give it a size of a simple ratio"
    )
