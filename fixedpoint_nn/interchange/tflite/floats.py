# SPDX-License-Identifier: MIT
"""Float TFLite models: translated to ONNX's operators, and converted by the ONNX reader to a graph of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.as_floats import real_values
from fixedpoint_nn.interchange.tflite.dilation import with_dilations
from fixedpoint_nn.interchange.tflite.float_operators import FLOAT_OPERATORS, simple
from fixedpoint_nn.interchange.tflite.float_step import FloatStep
from fixedpoint_nn.interchange.tflite.leading_axis import with_leading_axes
from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator
from fixedpoint_nn.interchange.tflite.step import unknown
from fixedpoint_nn.interchange.tflite.token_ids import with_plain_ids
from fixedpoint_nn.numerics.arrays import Array

if TYPE_CHECKING:
    from fixedpoint_nn.interchange.onnx.model import OnnxOperation
    from fixedpoint_nn.interchange.onnx.reader import Imported

OPSET = 17
FLOATS = ("float32", "float16")
INPUTS = {"float32": "FLOAT", "int32": "INT32", "int64": "INT64"}
BATCH = "batch"
QUANTISERS = "QUANTIZE", "DEQUANTIZE"  # which change no real number
PASSED = simple("Identity")


def is_float(model: TfliteModel) -> bool:
    """Whether the model computes with floats only, but for indices and sizes."""
    computed = {place for operator in model.operators for place in operator.outputs if place != -1}
    types = {model.tensors[place].dtype for place in (*computed, *model.inputs)}
    return bool(types & set(FLOATS)) and not types & {"int8", "uint8", "int16"}


def float_network(model: TfliteModel) -> Imported:
    """The float network; raises `Unsupported` with all refusals."""
    from fixedpoint_nn.interchange.onnx.model import Declared, OnnxError, OnnxModel, OnnxOperation
    from fixedpoint_nn.interchange.onnx.reader import converted
    from fixedpoint_nn.interchange.unsupported import UnsupportedModel

    declared = [model.tensors[place].shape for place in model.outputs]
    try:
        model = with_leading_axes(with_dilations(with_plain_ids(model)))
    except Unsuited as reason:
        raise Unsupported([f"the model {reason}"]) from None
    names = tensor_names(model)
    known = {place: names[place] for place in model.inputs}
    operations: list[OnnxOperation] = []
    constants: dict[str, Array] = {}
    problems: list[str] = []
    labels: dict[str, str] = {}
    for operator in model.operators:
        part = f"{operator.kind.lower()}_{operator.index}".replace(" ", "_").replace(".", "_")
        labels[part] = f"{operator.kind} {_label(model, operator)}"
        step = FloatStep(operator, model.tensors, part, known, operations, constants)
        try:
            _translate(step, names)
        except Unsuited as reason:
            problems.append(f"{labels[part]} {reason}")
        except (ValueError, IndexError, KeyError, ZeroDivisionError) as error:  # options that do not fit
            problems.append(f"{labels[part]} is not as it should be: {' '.join(str(error).split())[:200]}")
        for place in operator.outputs:
            if place != -1:
                known.setdefault(place, names[place])
    for place in model.outputs if not problems else ():
        if known.get(place) not in {name for operation in operations for name in operation.outputs}:
            problems.append(f"the output {model.tensors[place].name!r} is computed by none of its operators")
    if problems:
        raise Unsupported(problems)
    results = []
    for place, shape in zip(model.outputs, declared, strict=True):
        results.append(known[place])
        if shape[:1] == (1,) and shape != model.tensors[place].shape:  # it got an axis before its own
            results[-1] = f"{known[place]} of {shape}"
            constants[f"{known[place]}:shape"] = np.array([0, *shape[1:]], np.int64)
            reshape = OnnxOperation(
                "output", "Reshape", (known[place], f"{known[place]}:shape"), (results[-1],)
            )
            operations.append(reshape)
    about = OnnxModel(
        tuple(operations),
        tuple(
            Declared(
                names[place],
                INPUTS.get(model.tensors[place].dtype, ""),
                (BATCH, *model.tensors[place].shape[1:]),
            )
            for place in model.inputs
        ),
        tuple(Declared(name, "FLOAT", ()) for name in results),
        constants,
        OPSET,
    )
    try:
        found = converted(about)
    except UnsupportedModel as refused:
        raise Unsupported(
            [
                f"{labels.get(refusal.node, repr(refusal.node))}: {refusal.reason}"
                for refusal in refused.refusals
            ]
        ) from None
    except OnnxError as error:
        raise Unsupported([str(error)]) from None
    filed = {known[place] for place in known}
    return replace(found, inside=tuple(door for door in found.inside if door.name in filed))


class Unsupported(Exception):
    """All reasons why a float model cannot be converted."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(dict.fromkeys(problems))


def tensor_names(model: TfliteModel) -> dict[int, str]:
    """A name for each tensor, its own if no other has it."""
    found: dict[int, str] = {}
    taken: set[str] = set()
    for tensor in model.tensors:
        name = tensor.name if tensor.name and tensor.name not in taken else f"{tensor.name}#{tensor.index}"
        taken.add(name)
        found[tensor.index] = name
    return found


def _label(model: TfliteModel, operator: TfliteOperator) -> str:
    named = [model.tensors[place].name for place in operator.outputs if place != -1]
    return repr(named[0]) if named else f"number {operator.index}"


def _translate(step: FloatStep, names: dict[int, str]) -> None:
    """Add the operations of one operator; its results have their tensors' names."""
    if step.operator.kind == "DEQUANTIZE" and step.tensor(0).data is not None:
        step.names[step.operator.outputs[0]] = step.constant(real_values(step.tensor(0)))
        return
    translate = PASSED if step.operator.kind in QUANTISERS else FLOAT_OPERATORS.get(step.operator.kind)
    if translate is None:
        raise unknown(step.operator.kind)
    made = translate(step)
    results = [made] if isinstance(made, str) else list(made)
    if len(results) != len(step.operator.outputs):
        raise Unsuited(f"has {len(step.operator.outputs)} outputs, and {len(results)} supported")
    for result, place in zip(results, step.operator.outputs, strict=True):
        step.operations.append(_identity(step.part, result, names[place]))
        step.names[place] = names[place]


def _identity(part: str, source: str, name: str) -> OnnxOperation:
    from fixedpoint_nn.interchange.onnx.model import OnnxOperation

    return OnnxOperation(part, "Identity", (source,), (name,))
