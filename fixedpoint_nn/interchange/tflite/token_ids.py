# SPDX-License-Identifier: MIT
"""Token ids: an input of whole numbers that chooses rows of a constant table."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, fixed_constant
from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, same_scale
from fixedpoint_nn.layers.structure import Embedding
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

IDS = "int32", "int64"


def with_plain_ids(model: TfliteModel) -> TfliteModel:
    """The model without the choice between x and x + rows, by which Keras counts negative ids from the end.

    Ids are not negative here, so x is chosen.
    """
    makers = {place: operator for operator in model.operators for place in operator.outputs}
    plain = {
        operator.outputs[0]: operator.inputs[2]
        for operator in model.operators
        if operator.kind in ("SELECT", "SELECT_V2") and _counts_from_the_end(operator, makers, model)
    }
    if not plain:
        return model
    operators = [
        replace(operator, inputs=tuple(plain.get(place, place) for place in operator.inputs))
        for operator in model.operators
    ]
    return model.with_needed(operators)


def _counts_from_the_end(
    operator: TfliteOperator, makers: dict[int, TfliteOperator], model: TfliteModel
) -> bool:
    """Whether an operator is SELECT(x < 0, x + rows, x) of whole numbers x."""
    condition, moved, ids = operator.inputs
    below, added = makers.get(condition), makers.get(moved)
    if model.tensors[ids].dtype not in IDS or below is None or added is None:
        return False
    if (below.kind, added.kind) != ("LESS", "ADD") or below.inputs[0] != ids or ids not in added.inputs:
        return False
    zero = model.tensors[below.inputs[1]].data
    return zero is not None and zero.size == 1 and not zero.any()


def rows_chosen(model: TfliteModel, ids: TfliteTensor) -> int:
    """How many rows the tables have that an input chooses from, or 0 if it is used in another way."""
    users = [operator for operator in model.operators if ids.index in operator.inputs]
    tables = [model.tensors[operator.inputs[0]] for operator in users]
    if ids.dtype not in IDS or not users or any(operator.kind != "GATHER" for operator in users):
        return 0
    if any(table.data is None or not table.shape for table in tables):
        return 0
    return min(table.shape[0] for table in tables)


def id_quantizer(rows: int, name: str) -> Quantizer:
    """The quantizer of ids below `rows`."""
    format = QFormat.enclosing(0, max(rows - 1, 1), 0, signed=False)
    return Quantizer(format, Rounding.HALF_EVEN, Overflow.SATURATE, name)


def rows_of(step: TfliteStep) -> Made:
    """Convert GATHER of the rows of a constant, which ids choose."""
    table, ids, output = step.constant(0), step.values.get(step.tensor(1).index), step.output()
    same_scale(table, output)
    if ids is None:
        raise Unsuited(f"takes {step.tensor(1).name!r}, which nothing before it computes")
    if table.data is None or len(table.shape) < 2 or step.options["Axis"] or step.options["BatchDims"]:
        raise Unsuited(f"chooses along axis {step.options['Axis']} of a constant of shape {table.shape}")
    ints = table.data.astype(np.int64) - table.zero
    step.work += prod(output.shape)
    return Made(Embedding(fixed_constant(ints)), (ids,), (min(int(ints.min()), 0), max(int(ints.max()), 0)))
