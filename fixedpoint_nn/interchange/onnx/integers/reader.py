# SPDX-License-Identifier: MIT
"""Reading of a quantised ONNX or QONNX file as a network with the file's integers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.conversion import ImportedIntegers, IntegerConversion
from fixedpoint_nn.interchange.onnx.integers.hoisting import hoisted
from fixedpoint_nn.interchange.onnx.integers.qonnx import DOMAINS
from fixedpoint_nn.interchange.onnx.model import OnnxModel
from fixedpoint_nn.interchange.onnx.reader import sample_by_sample
from fixedpoint_nn.interchange.onnx.runtime_domain import with_parts
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.quantizer import Quantizer

SOFTMAXES = "Softmax", "QLinearSoftmax", "LogSoftmax"
QUANTISED_ENDS = ("QuantizeLinear", "DequantizeLinear", "Identity")  # around a softmax at the end


def has_integers(model: OnnxModel) -> bool:
    """Whether the file computes with integers or quantises values."""
    computed = {declared.name for declared in model.inputs}
    for operation in model.operations:
        if computed.intersection(operation.inputs):
            computed.update(operation.outputs)
            if operation.op in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"):
                return True
            if operation.op.startswith(("QLinear", "QGemm", "DynamicQuantize")) or operation.op.endswith(
                "Integer"
            ):
                return True
        if operation.domain in DOMAINS:
            return True
    return False


def from_qonnx(
    source: str | os.PathLike[str] | bytes,
    *,
    input: Quantizer | Mapping[str, Quantizer] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    softmax: bool = True,
) -> Quantized:
    """The quantised network of a QONNX file (its path or its bytes).

    It takes floats, which the file's first quantiser rounds, and returns the file's integers. A file that does not
    quantise its input needs `input`, a quantizer, or one for each input by name. With `softmax=False` a softmax at the
    end is omitted. The other options are those of `from_onnx`. Raises `UnsupportedModel`.

    >>> fixed = from_qonnx("model.onnx", input=Quantizer(Q(2, 6)))  # doctest: +SKIP
    """
    model = read(source).only(outputs)
    return imported_integers(model, shapes=shapes, quantizers=input, softmax=softmax).net


def imported_integers(
    model: OnnxModel,
    *,
    batched: bool = True,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Any] | None = None,
    quantizers: Quantizer | Mapping[str, Quantizer] | None = None,
    softmax: bool = True,
) -> ImportedIntegers:
    """The conversion of any quantised file, with the correspondence of axes of inputs and outputs."""
    given: Mapping[str, Quantizer] = {}
    if isinstance(quantizers, Quantizer):
        given = {declared.name: quantizers for declared in model.inputs}
    elif quantizers is not None:
        given = quantizers
    if not softmax:
        model = _without_softmax(model)
    filed = {name for operation in model.operations for name in operation.outputs}
    early = hoisted(_plain_domains(model))
    found = sample_by_sample(
        lambda alone: IntegerConversion(early, batched, shapes or {}, constants or {}, given, alone),
        IntegerConversion.integers,
    )
    return replace(found, inside=tuple(door for door in found.inside if door.name in filed))


def _plain_domains(model: OnnxModel) -> OnnxModel:
    """The model with QONNX's quantisers in ONNX's domain, and onnxruntime's operators as their parts."""
    return replace(
        with_parts(model),
        operations=tuple(
            replace(o, domain="") if o.domain in DOMAINS else o for o in with_parts(model).operations
        ),
    )


def _without_softmax(model: OnnxModel) -> OnnxModel:
    """The model without a softmax at its end."""
    ends = {output.name for output in model.outputs}
    kept, instead = [], {}
    makers = {name: operation for operation in model.operations for name in operation.outputs}
    for name in list(ends):
        maker, passed = makers.get(name), name
        while maker is not None and maker.op in (*QUANTISED_ENDS, *SOFTMAXES):
            passed = maker.inputs[0]
            if maker.op in SOFTMAXES:
                instead[name] = passed
            maker = makers.get(passed)
    kept = [replace(output, name=instead.get(output.name, output.name)) for output in model.outputs]
    return replace(model, outputs=tuple(kept)).only(None)
