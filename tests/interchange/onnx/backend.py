# SPDX-License-Identifier: MIT
"""ONNX's own test runner runs this: a model is imported, and its float network computes.

The runner gives everything as an input, weights and shapes too. What an operator needs as a constant is fixed when
the data are there. Where the first axis cannot be the batch, the whole array is one sample.
"""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

from fixedpoint_nn import Tensor
from fixedpoint_nn.interchange.onnx.file import SMALL, read
from fixedpoint_nn.interchange.onnx.integers.conversion import ImportedIntegers
from fixedpoint_nn.interchange.onnx.integers.reader import has_integers, imported_integers
from fixedpoint_nn.interchange.onnx.reader import Imported, imported
from fixedpoint_nn.interchange.unsupported import UnsupportedModel


def network(model: onnx.ModelProto, arrays: dict[str, Any]) -> Imported | ImportedIntegers:
    """The model as a network; first with a batch, else with all as one sample."""
    reasons = []
    for batched in (True, False):
        constants: dict[str, Any] = {}
        while True:
            try:
                blob = model.SerializeToString()
                if has_integers(read(blob)):
                    return imported_integers(read(blob), batched=batched, constants=constants)
                return imported(blob, batched=batched, constants=constants)
            except UnsupportedModel as refused:
                wanted = {refusal.wants for refusal in refused.refusals if refusal.wants}
                if wanted - constants.keys():
                    constants |= {name: arrays[name] for name in wanted}
                    continue
                reasons.append(refused)
                break
    raise reasons[0]


def _plain(array: Any) -> Any:
    """Integers of four bits and fewer, which NumPy does not have, as integers that it has."""
    return array.astype(np.int8) if array.dtype.name in SMALL else array


class Prepared(BackendRep):
    """A model that waits for its inputs."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model

    def run(self, inputs: Sequence[Any], **_: Any) -> tuple[Any, ...]:
        given = [info.name for info in self.model.graph.input]
        arrays = dict(zip(given, inputs, strict=False))
        try:
            found = network(self.model, arrays)
        except ValueError as refused:
            raise unittest.SkipTest(str(refused)) from None
        types = {
            info.name: onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            for info in self.model.graph.output
        }
        if isinstance(found, ImportedIntegers):
            whole = found.net(*(_plain(door.inward(arrays[door.name])) for door in found.inputs))
            return tuple(
                outlet.filed_values(result.ints).astype(types[outlet.name])
                for outlet, result in zip(
                    found.outputs, whole if isinstance(whole, tuple) else (whole,), strict=True
                )
            )
        values = []
        for door in found.inputs:
            array = door.inward(arrays[door.name])
            values.append(Tensor(array if array.dtype.kind == "f" else array.astype(np.float64)))
        try:
            results = found.net(*values)
        except (
            IndexError
        ) as refused:  # ids that a table does not have, which ONNX counts from its end or ignores
            raise unittest.SkipTest(str(refused)) from None
        return tuple(
            door.outward(result.data).astype(types[door.name])
            for door, result in zip(
                found.outputs, results if isinstance(results, tuple) else (results,), strict=True
            )
        )


class OurBackend(Backend):
    """The interface that the runner asks for."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **_: Any) -> Prepared:
        return Prepared(model)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"
