# SPDX-License-Identifier: MIT
"""One operator of a float model during its translation to ONNX's operators, which the ONNX reader converts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.onnx.model import OnnxOperation
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.step import ACTIVATIONS as NAMES
from fixedpoint_nn.interchange.tflite.step import OperatorTensors
from fixedpoint_nn.numerics.arrays import Array

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # permutations of images to channels first, and back to last
ACTIVATIONS: dict[int, tuple[str, tuple[float, ...]]] = {
    1: ("Relu", ()),
    2: ("Clip", (-1.0, 1.0)),
    3: ("Clip", (0.0, 6.0)),
}


@dataclass
class FloatStep(OperatorTensors):
    """An operator with its tensors; `add` writes operations of ONNX, values are named as in `names`."""

    part: str
    names: dict[int, str]
    operations: list[OnnxOperation]
    constants: dict[str, Array]

    def output(self, place: int = 0) -> TfliteTensor:
        """The tensor of an output."""
        if not 0 <= place < len(self.operator.outputs):
            raise Unsuited(f"lacks its output {place}")
        return self.tensors[self.operator.outputs[place]]

    def input(self, place: int) -> str:
        """The name of an input, a computed value or a constant."""
        tensor = self.tensor(place)
        if tensor.index not in self.names:
            if tensor.data is None:
                raise Unsuited(f"takes {tensor.name!r}, which nothing before it computes")
            self.names[tensor.index] = self.constant(self.data(place))
        return self.names[tensor.index]

    def known(self, place: int) -> bool:
        """Whether the input is a constant."""
        tensor = self.tensor(place)
        return tensor.data is not None or self.names.get(tensor.index) in self.constants

    def data(self, place: int) -> Array:
        """The data of a constant input, floats in 32 bits."""
        tensor = self.tensor(place)
        found = self.constants.get(self.names.get(tensor.index, ""), tensor.data)
        if found is None:
            raise Unsuited(f"has the input {tensor.name!r}, which is computed, and a constant is needed")
        if tensor.scales:
            raise Unsuited(
                f"has the {tensor.dtype} input {tensor.name!r} beside floats, which TFLite then rounds; read the float "
                "network by quantised=False or `fixedpoint-nn import --floats`"
            )
        return found.astype(np.float32) if found.dtype.kind == "f" else found

    def integers(self, place: int) -> list[int]:
        """A constant list of integers."""
        found = self.data(place)
        if found.dtype.kind != "i":
            raise Unsuited(
                f"has the input {self.tensor(place).name!r} of {found.dtype}, and integers are needed"
            )
        return [int(x) for x in found.reshape(-1)]

    # ---- what it becomes --------------------------------------------------------------------------------

    def constant(self, data: Any, dtype: Any = None) -> str:
        """A constant of the ONNX model."""
        name = f"{self.part}:constant {len(self.constants)}"
        self.constants[name] = np.asarray(data, dtype)
        return name

    def add(self, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> Any:
        """Add an operation; returns the name of its output, or of its outputs."""
        number = len(self.operations)
        names = tuple(f"{self.part}:{number}:{place}" for place in range(outputs))
        self.operations.append(OnnxOperation(self.part, op, tuple(inputs), names, attributes))
        return names[0] if outputs == 1 else names

    def first(self, name: str) -> str:
        """An image, channels first."""
        turned: str = self.add("Transpose", [name], perm=list(FIRST))
        return turned

    def last(self, name: str) -> str:
        """An image, channels last."""
        turned: str = self.add("Transpose", [name], perm=list(LAST))
        return turned

    def shaped(self, name: str, shape: Sequence[int]) -> str:
        """The value in this shape, whose first axis is the batch if it is 1."""
        sizes = [0 if axis == 0 and size == 1 else size for axis, size in enumerate(shape)]
        made: str = self.add("Reshape", [name, self.constant(sizes, np.int64)])
        return made

    def activated(self, name: str) -> str:
        """The value after the fused activation."""
        kind = self.options.get("FusedActivationFunction", 0)
        if kind == 0:
            return name
        if kind not in ACTIVATIONS:
            raise Unsuited(f"has the fused activation {NAMES.get(kind, kind)}")
        op, limits = ACTIVATIONS[kind]
        made: str = self.add(op, [name, *(self.constant(limit, np.float32) for limit in limits)])
        return made


Translate = Callable[[FloatStep], "str | Sequence[str]"]
