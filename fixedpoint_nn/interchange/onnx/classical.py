# SPDX-License-Identifier: MIT
"""Operators of the domain ai.onnx.ml, which scikit-learn's converter writes around networks, by standard operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.model import OnnxModel, OnnxOperation
from fixedpoint_nn.numerics.arrays import Array

DOMAIN = "ai.onnx.ml"
INNER = " (of it)"  # ends the names of values that the file does not have
AFTERWARDS = {"NONE": "Identity", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}  # by `post_transform`

GIVE_LABELS = "LinearClassifier", "ArrayFeatureExtractor", "ZipMap", "LabelEncoder"
LABELS = "it gives labels of classes, which are not read; read the scores alone, with outputs= or --output"


class _Standard:
    """The standard operations of one operation of the domain, and their constants."""

    def __init__(self, operation: OnnxOperation) -> None:
        self.operation = operation
        self.made: list[OnnxOperation] = []
        self.constants: dict[str, Array] = {}

    def constant(self, name: str, values: Any) -> str:
        """A constant of 32-bit floats; its name."""
        name = f"{self.operation.name}_{name}"
        self.constants[name] = np.asarray(values, np.float32)
        return name

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """An operation; the name of its result."""
        output = output or f"{self.operation.name} {op.lower()}{INNER}"
        name = self.operation.name if not self.made else f"{self.operation.name}_{len(self.made)}"
        self.made.append(OnnxOperation(name, op, tuple(inputs), (output,), attributes))
        return output


def with_standard_operators(model: OnnxModel) -> OnnxModel:
    """The model with standard operators in place of those of the domain that are known."""
    operations, constants = [], dict(model.constants)
    for operation in model.operations:
        translate = TRANSLATIONS.get(operation.op) if operation.domain == DOMAIN else None
        standard = _Standard(operation)
        if translate is not None and translate(standard, operation.attributes):
            operations.extend(standard.made)
            constants.update(standard.constants)
        else:
            operations.append(operation)
    return replace(model, operations=tuple(operations), constants=constants)


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _scaler(standard: _Standard, attributes: Mapping[str, Any]) -> bool:
    """(x - offset) * scale."""
    x, output = standard.operation.inputs[0], standard.operation.outputs[0]
    centred = standard.add("Sub", x, standard.constant("offset", attributes.get("offset", [0.0])))
    standard.add("Mul", centred, standard.constant("scale", attributes.get("scale", [1.0])), output=output)
    return True


def _linear(standard: _Standard, attributes: Mapping[str, Any], rows: int, output: str) -> bool:
    """x @ coefficients.T + intercepts, and what follows it."""
    after = AFTERWARDS.get(_text(attributes.get("post_transform", "NONE")))
    coefficients = np.asarray(attributes.get("coefficients", []), np.float32)
    if after is None or rows < 1 or coefficients.size == 0 or coefficients.size % rows:
        return False
    weights = standard.constant("coefficients", coefficients.reshape(rows, -1).T)
    product = standard.add("MatMul", standard.operation.inputs[0], weights)
    if "intercepts" in attributes:
        product = standard.add("Add", product, standard.constant("intercepts", attributes["intercepts"]))
    standard.add(after, product, output=output)
    return True


def _regressor(standard: _Standard, attributes: Mapping[str, Any]) -> bool:
    return _linear(standard, attributes, int(attributes.get("targets", 1)), standard.operation.outputs[0])


def _classifier(standard: _Standard, attributes: Mapping[str, Any]) -> bool:
    """The scores of a linear classifier; its labels stay an operation of the domain."""
    operation = standard.operation
    label, scores = operation.outputs
    labels = attributes.get("classlabels_ints") or attributes.get("classlabels_strings") or []
    if len(attributes.get("intercepts", labels)) != len(
        labels
    ):  # one row for two classes has scores of its own kind
        return False
    if not _linear(standard, attributes, len(labels), scores):
        return False
    standard.made.append(replace(operation, name=f"{operation.name}_label", outputs=(label,)))
    return True


def _normalizer(standard: _Standard, attributes: Mapping[str, Any]) -> bool:
    """x divided by the sum of its absolute values, its length or its largest value."""
    x, output = standard.operation.inputs[0], standard.operation.outputs[0]
    reduced = {"L1": "ReduceL1", "L2": "ReduceL2", "MAX": "ReduceMax"}.get(
        _text(attributes.get("norm", "MAX"))
    )
    if reduced is None:
        return False
    size = standard.add(reduced, x, axes=[1], keepdims=1)
    standard.add("Div", x, size, output=output)
    return True


TRANSLATIONS: dict[str, Callable[[_Standard, Mapping[str, Any]], bool]] = {
    "LinearClassifier": _classifier,
    "LinearRegressor": _regressor,
    "Normalizer": _normalizer,
    "Scaler": _scaler,
}
