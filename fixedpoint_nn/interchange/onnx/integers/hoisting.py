# SPDX-License-Identifier: MIT
"""Hoisting of quantisers before operations that only move elements, which gives the same integers.

Then a quantiser directly follows the sums that it rounds, and the quantiser of an input directly follows the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fixedpoint_nn.interchange.onnx.model import OnnxModel, OnnxOperation, in_order

MOST_MOVES = 4096  # per model; each takes time proportional to its nodes
REAL_ZERO = "pads with the real number zero"  # an attribute of a Pad that came before its quantiser
SHAPES = ("Shape", "Size")
QUANTISERS = ("QuantizeLinear", "Quant", "BipolarQuant")
MOVES = (
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "GlobalMaxPool", "Identity", "Slice",
    "Gather", "DepthToSpace", "SpaceToDepth", "Dropout", "Pad", "Resize", "Upsample", "Split", "Expand", "Tile",
    "ReduceMax",
)  # fmt: skip


def hoisted(model: OnnxModel) -> OnnxModel:
    """The model with its quantisers as early as possible."""
    constants = scalars(model)
    operations = list(model.operations)
    outputs = {output.name for output in model.outputs}
    known = {*model.constants, *(declared.name for declared in model.inputs)}
    number = 0
    while number < MOST_MOVES:
        makers = {name: operation for operation in operations for name in operation.outputs if name}
        takers: dict[str, list[OnnxOperation]] = {}
        for operation in operations:
            for name in dict.fromkeys(operation.inputs):
                takers.setdefault(name, []).append(operation)
        for quantiser in operations:
            maker = makers.get(quantiser.inputs[0]) if quantiser.op in QUANTISERS else None
            if maker is None or quantiser.inputs[0] in outputs:
                continue
            if any(taker.op not in SHAPES for taker in takers[quantiser.inputs[0]] if taker is not quantiser):
                continue
            if not all(name in constants for name in quantiser.inputs[1:] if name) or not _moves(
                maker, model
            ):
                continue
            data = range(len(maker.inputs)) if maker.op == "Concat" else (0,)
            early, names = [], list(maker.inputs)
            for place in data:
                number += 1
                names[place] = f"{quantiser.outputs[0]}_early_{number}"
                early.append(
                    replace(
                        quantiser,
                        name=f"{quantiser.name}_{number}" if maker.op == "Concat" else quantiser.name,
                        inputs=(maker.inputs[place], *quantiser.inputs[1:]),
                        outputs=(names[place],),
                    )
                )
            about = {**maker.attributes, REAL_ZERO: 1} if maker.op == "Pad" else maker.attributes
            moved = replace(maker, inputs=tuple(names), outputs=quantiser.outputs, attributes=about)
            rest = [o for o in operations if o is not quantiser and o is not maker]
            kept = [_of(o, quantiser) if quantiser.inputs[0] in o.inputs else o for o in rest]
            operations = in_order([*kept, *early, moved], set(known))
            break
        else:
            break
    return replace(model, operations=tuple(operations))


def _of(shape: OnnxOperation, quantiser: OnnxOperation) -> OnnxOperation:
    """The shape of what a quantiser makes, which is that of what it takes."""
    return replace(shape, inputs=quantiser.outputs)


def scalars(model: OnnxModel) -> Mapping[str, float]:
    """The scalar constants, by name."""
    arrays = dict(model.constants)
    for operation in model.operations:
        value = operation.attributes.get("value")
        if operation.op == "Constant" and isinstance(value, np.ndarray):
            arrays[operation.outputs[0]] = value
    return {name: float(array.reshape(())) for name, array in arrays.items() if array.size == 1}


def _moves(operation: OnnxOperation, model: OnnxModel) -> bool:
    """Whether the operation only moves elements, and pads with nothing but zeros."""
    if operation.domain or len([name for name in operation.outputs if name]) != 1:
        return False
    if operation.op == "Concat":
        return True
    if operation.op == "Pad":
        filled = model.constants.get(operation.inputs[2]) if len(operation.inputs) > 2 else None
        given = len(operation.inputs) > 2 and operation.inputs[2] != "" and filled is None
        zero = not given and (filled is None or not np.any(filled)) and not operation.attributes.get("value")
        return bool(zero or operation.attributes.get("mode", "constant") != "constant")
    if operation.op in ("Resize", "Upsample"):
        return bool(operation.attributes.get("mode", "nearest") == "nearest")
    return operation.op in MOVES
