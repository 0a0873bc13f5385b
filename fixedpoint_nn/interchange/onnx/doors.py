# SPDX-License-Identifier: MIT
"""Inputs and outputs of an imported network: the correspondence of the file's axes with the network's."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.interchange.onnx.model import Declared, OnnxModel, OnnxOperation
from fixedpoint_nn.interchange.onnx.value import plain_axes
from fixedpoint_nn.numerics.arrays import Array

FLOATS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")
WHOLE = (
    "INT64",
    "INT32",
    "INT16",
    "INT8",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT4",
    "UINT4",
    "INT2",
    "UINT2",
)
DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32), "DOUBLE": np.dtype(np.float64), "BOOL": np.dtype(np.bool_),
    **{name: np.dtype(name.lower()) for name in WHOLE if name.rpartition("INT")[2] not in ("2", "4")},
}  # fmt: skip
IMAGES = (
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization",
    "DepthToSpace", "SpaceToDepth", "Resize", "Upsample", "QLinearConv", "ConvInteger",
)  # fmt: skip
ALONG = (
    "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "Tanh", "HardSwish", "Elu", "Identity", "Dropout",
    "Cast", "Add", "Sub", "Mul", "Div", "Max", "Min", "Pad", "Concat", "Split", "Slice", "QuantizeLinear",
    "DequantizeLinear", "Neg", "Sum", "Quant", "BipolarQuant", "Trunc", "MultiThreshold",
)  # fmt: skip
RECURRENT = ("LSTM", "GRU", "RNN")


@dataclass(frozen=True)
class Door:
    """An input or output: its name in the network, and for each axis of the network's value the file's axis.

    `dims` are the sizes of the file's axes, BATCH for an open batch size.
    """

    name: str
    node: str
    axes: tuple[int | None, ...]
    dims: tuple[int, ...] = ()

    @property
    def filed(self) -> tuple[int, ...]:
        """The shape of a sample in the file's order of axes."""
        return tuple(size for axis, size in enumerate(self.dims) if axis != self.axes[0])

    @property
    def sample(self) -> tuple[int, ...]:
        """The shape of a sample in the network's order of axes."""
        return tuple(self.dims[axis] for axis in self.axes[1:] if axis is not None)

    def inward(self, array: Array) -> Array:
        """An array in the file's order of axes, transposed to the network's."""
        order = [axis for axis in self.axes if axis is not None]
        turned: Array = np.asarray(array).transpose(order)
        return turned[np.newaxis] if self.axes[0] is None else turned

    def arranged(self, x: Array) -> Array | None:
        """Samples in the network's order of axes, given in that or in the file's; None if they have another shape."""
        if x.shape[1:] == self.sample:
            return x
        batch = self.axes[0]
        if batch is None or (*x.shape[:batch], *x.shape[batch + 1 :]) != self.filed:
            return None
        return self.inward(x)

    def outward(self, array: Array) -> Array:
        """An array of the network in the file's order of axes; for a file without a batch, its only sample."""
        samples = self.every_sample(array)
        return samples[0] if self.axes[0] is None else samples

    def every_sample(self, array: Array) -> Array:
        """An array of the network in the file's order of axes, samples first if the file has no axis for them."""
        order = [axis for axis in self.axes if axis is not None]
        places = [order.index(axis) for axis in range(len(order))]
        if self.axes[0] is None:
            places = [0, *(place + 1 for place in places)]
        filed: Array = array.transpose(places)
        return filed


def fixed_input(declared: Declared, value: ArrayLike) -> Array:
    """The value that an input is fixed at, in the input's type."""
    array: Array = np.asarray(value)
    dtype = DTYPES.get(declared.type)
    return array if dtype is None or array.dtype.kind not in "biuf" else array.astype(dtype)


def arrangement(model: OnnxModel, declared: Declared, batched: bool) -> tuple[int | None, ...]:
    """The axes of an input in the network, as its first consumer requires them; images are channels-last."""
    rank = len(declared.axes)
    if not batched or rank == 0:
        return (None, *range(rank))
    return _wanted(model, declared.name, rank) or plain_axes(rank, _batch_axis(model, declared))


def _batch_axis(model: OnnxModel, declared: Declared) -> int:
    """The first axis, unless only another one has the size or the name of another input's first axis.

    So a state of two rows of an LSTM, (2, batch, 128), has its batch in the middle. Inputs of one axis are parameters
    rather than samples.
    """
    batches = {x.axes[0] for x in model.inputs if len(x.axes) > 1 and x.name != declared.name}
    if isinstance(declared.axes[0], str) or declared.axes[0] == 1 or declared.axes[0] in batches:
        return 0
    places = [axis for axis, size in enumerate(declared.axes) if size in batches]
    return places[0] if len(places) == 1 else 0


def _wanted(model: OnnxModel, name: str, rank: int) -> tuple[int | None, ...] | None:
    """The order of an input's axes (batch, ..., channels) that its first user demands; None if none demands one."""
    users = model.users()
    waiting = deque([(name, tuple(range(rank)))])  # a value, and the input's axis of each of its axes
    seen = {name}
    while waiting:
        value, axes = waiting.popleft()
        for operation in users.get(value, []):
            order = _demand(operation, value, len(axes))
            if order is not None:
                return tuple(axes[axis] for axis in order)
            if operation.op == "Transpose":
                permutation = operation.attributes.get("perm") or list(range(len(axes)))[::-1]
                if sorted(permutation) != list(range(len(axes))):
                    continue
                after = tuple(axes[axis] for axis in permutation)
            elif operation.op in ALONG:
                after = axes
            else:
                continue
            for output in operation.outputs[:1] if operation.op != "Split" else operation.outputs:
                if output and output not in seen:
                    seen.add(output)
                    waiting.append((output, after))
    return None


def _demand(operation: OnnxOperation, value: str, rank: int) -> tuple[int, ...] | None:
    """The order of axes that an operation requires of this operand; None if any."""
    if operation.op in IMAGES and operation.inputs[:1] == (value,) and rank > 2:
        return (0, *range(2, rank), 1)
    if operation.op in RECURRENT and rank == 3 and value in (operation.inputs[0], *operation.inputs[5:7]):
        return (0, 1, 2) if operation.attributes.get("layout") else (1, 0, 2)
    return None
