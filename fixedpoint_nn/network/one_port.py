# SPDX-License-Identifier: MIT
"""A network of several inputs or outputs as one with one input row and one output row, with equal integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.layers import Add, Concat, Flatten, Graph, Node, Reshape, Slice
from fixedpoint_nn.layers.structure import Layer
from fixedpoint_nn.network.quantized import Quantized, fixed_samples, fixed_samples_of
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

JOINED = "joined"  # the name of the one input


@dataclass(frozen=True)
class OnePort:
    """The network with its inputs concatenated into one row, and its outputs too; converts samples to rows and back."""

    fixed: Quantized
    inputs: tuple[Quantizer, ...]
    shapes: tuple[tuple[int, ...], ...]  # of a sample of each output
    formats: tuple[QFormat, ...]  # of each output

    def row(self, xs: Sequence[ArrayLike | FixedArray]) -> FixedArray:
        """Samples of all inputs, quantised, as rows (batch, sum of input sizes)."""
        given = [fixed_samples_of(quantizer, x) for quantizer, x in zip(self.inputs, xs, strict=True)]
        flat = [x.reshape(x.shape[0], prod(x.shape[1:])) for x in given]
        return flat[0].concat(flat[1:], axis=1).cast(self.fixed.input)

    @staticmethod
    def row_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """The shape of one input row for samples of these shapes."""
        return (sum(prod(shape) for shape in shapes),)

    def apart(self, row: FixedArray) -> Any:
        """The network's outputs from rows (batch, sum of output sizes): one number, or a tuple if there are several."""
        ends = np.cumsum([prod(shape) for shape in self.shapes])
        parts = zip(self.shapes, self.formats, ends, strict=True)
        outputs = tuple(
            row[:, end - prod(shape) : end].cast(Quantizer(format)).reshape(-1, *shape)
            for shape, format, end in parts
        )
        return outputs if len(outputs) > 1 else outputs[0]


def several(fixed: Quantized) -> bool:
    """Whether the network has more than one input or output."""
    return bool(fixed.further) or (isinstance(fixed.net, Graph) and len(fixed.net.outputs) > 1)


def as_one(
    fixed: Quantized, x: ArrayLike | FixedArray | tuple[ArrayLike | FixedArray, ...]
) -> tuple[Quantized, FixedArray]:
    """The network and its samples with one input and one output, as an engine takes them."""
    if not several(fixed):
        only: Any = x
        return fixed, fixed_samples(fixed, only)
    xs: tuple[Any, ...] = x if isinstance(x, tuple) else (x,)
    port = one_port(fixed, shapes_of(xs))
    return port.fixed, port.row(xs)


def shapes_of(xs: Sequence[ArrayLike | FixedArray]) -> tuple[tuple[int, ...], ...]:
    """The shape of one sample of each input."""
    return tuple((x.shape if isinstance(x, FixedArray) else np.shape(x))[1:] for x in xs)


def one_port(fixed: Quantized, shapes: Sequence[tuple[int, ...]]) -> OnePort:
    """The one-row network for samples of these shapes; differing formats are widened to one that holds them all."""
    if len(shapes) != len(fixed.inputs):
        raise ValueError(
            f"the network takes {len(fixed.inputs)} inputs, and was given {len(shapes)}; give a tuple of as many arrays"
        )
    first = [
        FixedArray.from_ints(np.zeros((1, *shape), np.int64), quantizer.format)
        for quantizer, shape in zip(fixed.inputs, shapes, strict=True)
    ]
    results = fixed(*first)
    outputs = results if isinstance(results, tuple) else (results,)
    graph = fixed.net if isinstance(fixed.net, Graph) else Graph({"net": Node(fixed.net, ("x",))})
    common = _holding([quantizer.format for quantizer in fixed.inputs])
    parts: dict[str, Node] = {}
    start = 0
    for name, x in zip(graph.inputs, first, strict=True):
        parts |= _cut(name, x, start, common)
        start += prod(x.shape[1:])
    parts |= graph.parts
    flat = [f"{name} flattened {number}" for number, name in enumerate(graph.outputs)]
    wanted = _holding([y.format for y in outputs])
    for name, source, y in zip(flat, graph.outputs, outputs, strict=True):
        parts[f"{name} widened"] = Node(Add(_exactly(wanted, y.format)), (source,))
        parts[name] = Node(Flatten(), (f"{name} widened",))
    parts["all outputs"] = Node(Concat(), tuple(flat))
    joined = Quantized(Graph(parts, (JOINED,), ("all outputs",)), Quantizer(common), fixed.rows)
    return OnePort(
        joined, fixed.inputs, tuple(y.shape[1:] for y in outputs), tuple(y.format for y in outputs)
    )


def _cut(name: str, x: FixedArray, start: int, common: QFormat) -> dict[str, Node]:
    """The nodes that slice one input out of the row; the last has the input's own name."""
    steps: list[Layer] = [Slice(1, start, start + prod(x.shape[1:])), Reshape(x.shape[1:])]
    steps.append(Add(_exactly(x.format, common)))
    names = [f"{name} cut", f"{name} shaped", name]
    sources = [JOINED, *names[:-1]]
    return {new: Node(layer, (source,)) for new, layer, source in zip(names, steps, sources, strict=True)}


def _exactly(wanted: QFormat, given: QFormat) -> Quantizer | None:
    """The lossless cast from `given` to the wider format `wanted`; None if they are equal."""
    return None if wanted == given else Quantizer(wanted)


def _holding(formats: Sequence[QFormat]) -> QFormat:
    """The smallest format that holds the values of all of these."""
    signed = any(format.signed for format in formats)
    int_bits = max(format.int_bits + (signed and not format.signed) for format in formats)
    return QFormat(int_bits, max(format.frac_bits for format in formats), signed)
