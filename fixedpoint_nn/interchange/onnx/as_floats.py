# SPDX-License-Identifier: MIT
"""A file with QuantizeLinear and DequantizeLinear as the float network that was quantised.

The quantisers' ranges stay, as limits of the real numbers, because a tool may have left out a Relu before one; their
rounding goes. Constants are dequantised.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.model import OnnxModel, OnnxOperation

PAIR = "QuantizeLinear", "DequantizeLinear"


def as_floats(model: OnnxModel) -> OnnxModel:
    """The model over real numbers; operators on integers stay, and are refused later."""
    computed = {declared.name for declared in model.inputs}
    constants: dict[str, Any] = dict(model.constants)
    rounded: set[str] = set()  # what holds real numbers in place of codes
    operations = []
    for operation in model.operations:
        if computed.isdisjoint(operation.inputs):
            operations.append(operation)
            continue
        computed.update(operation.outputs)
        if operation.op == "QuantizeLinear" and _range(operation, model) is not None:
            names = tuple(f"{operation.name}/{end}" for end in ("low", "high"))
            constants |= dict(zip(names, _range(operation, model) or (), strict=True))
            operations.append(
                replace(operation, op="Clip", inputs=(operation.inputs[0], *names), attributes={}, domain="")
            )
            rounded.update(operation.outputs)
        elif rounded.intersection(operation.inputs[:1]) and operation.op == "DequantizeLinear":
            operations.append(
                replace(operation, op="Identity", inputs=operation.inputs[:1], attributes={}, domain="")
            )
        else:
            operations.append(operation)
            rounded.update(operation.outputs if rounded.intersection(operation.inputs[:1]) else ())
    return replace(model, operations=tuple(operations), constants=constants)


def _range(operation: OnnxOperation, model: OnnxModel) -> tuple[Any, Any] | None:
    """The least and the largest real number of a quantiser with one scale; None for others."""
    names = [*operation.inputs[1:], *[""] * 2]
    scale = model.constants.get(names[0])
    zero = model.constants.get(names[1], np.zeros((), np.uint8)) if names[1] else np.zeros((), np.uint8)
    if scale is None or np.size(scale) != 1 or np.size(zero) != 1 or np.asarray(zero).dtype.kind not in "iu":
        return None
    about, at = np.iinfo(np.asarray(zero).dtype), int(np.asarray(zero).reshape(()))
    unit = np.float32(np.asarray(scale).reshape(()))
    low, high = (unit * np.float32(end - at) for end in (about.min, about.max))
    return np.array(low, np.float32), np.array(high, np.float32)
