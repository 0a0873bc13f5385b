# SPDX-License-Identifier: MIT
"""A traced program as common ONNX operators (Conv, MaxPool, Relu, MatMul) between quantisers.

ONNX images are (batch, channels, height, width), so every operation on windows is between two Transposes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.nodes import Nodes
from fixedpoint_nn.interchange.onnx.verbs import WRITERS, NodeOperands, Unwritable
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program, TracedNode
from fixedpoint_nn.numerics.qformat import Q

EXACT_BITS = 24  # of a 32-bit float
WINDOWS = ("windows", "dilated_windows")
NAMES = {
    "lookup": "a table",
    "scan": "a recurrent layer",
    "zeros": "a recurrent layer",
    "take": "an embedding",
}
KNOWN = (
    "add",
    "sub",
    "mul",
    "neg",
    "matmul",
    "reshape",
    "transpose",
    "concat",
    "index",
    "cast",
    "sum",
    "argmax",
    "dot",
)


def quantised(nodes: Nodes, program: Program, names: list[str]) -> list[str]:
    """Write the program; returns the names of its outputs, given those of its quantised inputs."""
    writer = _QuantisedWriter(nodes, program)
    given = iter(names)
    for place, node in enumerate(program.nodes):
        writer.bound(node)
        writer.values.append(next(given) if node.op == "input" else writer.written(place, node))
    return [writer.values[place] for place in program.outputs]


class _QuantisedWriter:
    """Writes the nodes of a program one by one, and checks that a 32-bit float holds every value."""

    def __init__(self, nodes: Nodes, program: Program) -> None:
        self.nodes, self.program = nodes, program
        self.values: list[Any] = []
        self.uses = Counter(i for node in program.nodes for i in node.inputs)
        self.uses.update(program.outputs)
        self.takers = {i: place for place, node in enumerate(program.nodes) for i in node.inputs}
        self.largest: list[int] = []  # the largest integer of each value

    def written(self, place: int, node: TracedNode) -> Any:
        """Write one node; returns the name of its value, or windows that the next node completes."""
        about = node.attributes
        if node.op == "constant":
            return None  # written where it is used, in its shape there
        if node.op in WINDOWS:
            return self._windows(place)
        if node.op == "relu":
            return self.nodes.add("Relu", self._name(node.inputs[0]))
        if isinstance(self.values[node.inputs[0]], _PendingWindows):
            return self._of_windows(node, self.values[node.inputs[0]])
        if node.op == "max":
            raise Unwritable("takes the largest of other regions than windows")
        if node.op == "dot" and (about["accumulator"] is not None or len(node.inputs) > 2):
            raise Unwritable(
                "has a modelled accumulator, which rounds at every step; only exact ones are written"
            )
        if node.op not in KNOWN:
            what = NAMES.get(node.op, node.op)
            raise Unwritable(
                f"has {what} in {node.place or node.name or node.op!r}, which the style does not have"
            )
        return WRITERS[node.op](
            self.nodes, NodeOperands(self.program, node, [self._name(i) for i in node.inputs])
        )

    def _name(self, place: int) -> str:
        node = self.program.nodes[place]
        if node.op == "constant":
            assert node.value is not None
            return self.nodes.parameter(node.value)
        if isinstance(self.values[place], _PendingWindows):
            raise Unwritable("computes with windows in another way than a convolution or pooling")
        return str(self.values[place])

    # ---- windows ------------------------------------------------------------------------------------------

    def _windows(self, place: int) -> _PendingWindows:
        node = self.program.nodes[place]
        if self.uses[place] > 1:
            raise Unwritable("uses the same windows twice")
        return _PendingWindows(
            node, self.nodes.add("Transpose", self._name(node.inputs[0]), perm=[0, 3, 1, 2])
        )

    def _of_windows(self, node: TracedNode, windows: _PendingWindows) -> Any:
        """The operation on windows: a convolution for a matrix product, pooling for a maximum or sum."""
        if node.op == "reshape" and not windows.flat:
            return _PendingWindows(windows.node, windows.image, True)
        about = windows.about
        channels = self.program.nodes[windows.node.inputs[0]].shape[3]
        if (
            node.op == "dot"
            and windows.flat
            and node.attributes["accumulator"] is None
            and len(node.inputs) == 2
        ):
            weight = self.program.nodes[node.inputs[1]].value
            if weight is None:
                raise Unwritable("has weights that are computed")
            groups = about["groups"]
            if len(weight.shape) != (3 if groups > 1 else 2):
                raise Unwritable("convolves in another way than by one matrix, or by one for each group")
            rows = weight.ints.reshape(groups, *about["kernel"], channels // groups, -1)
            filters = rows.transpose(0, 4, 3, 1, 2).reshape(-1, channels // groups, *about["kernel"])
            made = self._convolved(windows, FixedArray.from_ints(filters, weight.format), groups)
            if groups > 1 and node.shape[-1] != filters.shape[0]:
                return self.nodes.reshaped(made, (-1, *node.shape[1:]))
            return made
        pooled = not windows.flat and node.attributes.get("axis") == 3 and not node.attributes.get("keepdims")
        if node.op == "max" and pooled and about["lowest"]:
            return self._back(self.nodes.add("MaxPool", windows.image, **windows.window))
        if node.op == "sum" and pooled and about["groups"] == 1:
            ones = FixedArray.from_ints(np.ones((channels, 1, *about["kernel"]), np.int64), Q(2, 0))
            return self._convolved(windows, ones, channels)
        raise Unwritable("computes with windows in another way than a convolution or pooling")

    def _convolved(self, windows: _PendingWindows, filters: FixedArray, groups: int) -> str:
        weight = self.nodes.parameter(filters)
        return self._back(self.nodes.add("Conv", windows.image, weight, group=groups, **windows.window))

    def _back(self, image: str) -> str:
        return self.nodes.add("Transpose", image, perm=[0, 2, 3, 1])

    # ---- exactness ----------------------------------------------------------------------------------------

    def bound(self, node: TracedNode) -> None:
        """Raise Unwritable unless a float32 holds every value and partial sum exactly."""
        format = node.format
        most = max(-format.int_min, format.int_max)
        sources = [self.program.nodes[i] for i in node.inputs]
        if node.op == "dot" and sources[1].value is not None:
            columns = np.abs(sources[1].value.ints).sum(axis=-2)
            most = min(most, int(columns.max(initial=0)) * self.largest[node.inputs[0]])
        elif node.op == "add":
            parts = zip(node.inputs, sources, strict=True)
            most = min(
                most,
                sum(self.largest[i] << (format.frac_bits - source.format.frac_bits) for i, source in parts),
            )
        elif node.op in ("relu", "reshape", "transpose", "index"):
            most = min(most, self.largest[node.inputs[0]])
        elif node.op == "constant" and node.value is not None:
            most = int(np.abs(node.value.ints).max(initial=0))
        self.largest.append(most)
        if most > 1 << EXACT_BITS:
            raise Unwritable(
                f"has values of {most.bit_length() + 1} bits in {node.place or node.name or node.op!r}, and a 32-bit "
                f"float holds {EXACT_BITS}; give it fewer bits, or take the style 'float64'"
            )


class _PendingWindows:
    """Windows whose operation is not written yet."""

    def __init__(self, node: TracedNode, image: str, flat: bool = False) -> None:
        self.node, self.image, self.flat = node, image, flat

    @property
    def about(self) -> dict[str, Any]:
        """Kernel, stride, padding and groups."""
        return dict(self.node.attributes)

    @property
    def window(self) -> dict[str, Any]:
        """The attributes of a convolution or pooling."""
        (top, bottom), (left, right) = self.about["padding"]
        kernel, stride = self.about["kernel"], self.about["stride"]
        dilation = self.about.get("dilation", (1, 1))
        made = {"kernel_shape": list(kernel), "strides": list(stride), "pads": [top, left, bottom, right]}
        return made if tuple(dilation) == (1, 1) else {**made, "dilations": list(dilation)}
