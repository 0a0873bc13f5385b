# SPDX-License-Identifier: MIT
"""Random small networks for the hardware tests: every layer, with shapes, formats and modes of their own.

`networks()` lets Hypothesis choose all of that, so that a network that fails shrinks to a small one;
`random_network(kind, seed)` chooses by a seed. Weights and inputs always come from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fixedpoint_nn import layers
from fixedpoint_nn.layers.fields import ACCUMULATOR, CAST, PARAMETER, TABLE
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import rebuild, walk
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.table import Table

KINDS = ("dense", "image", "residual", "depthwise", "sequence", "text", "softmax", "products")


@dataclass(frozen=True)
class Random:
    """A network over integers, and a batch for it."""

    fixed: Quantized
    batch: FixedArray
    lanes: int
    drain: int = 1


class Chance:
    """Where choices come from: a seed."""

    def __init__(self, seed: Sequence[int]) -> None:
        self.bulk = np.random.default_rng(seed)

    def integers(self, low: int, high: int | None = None) -> int:
        """One of low, ..., high - 1; or of 0, ..., low - 1."""
        return int(self.bulk.integers(low, high))

    def choice(self, options: Sequence[Any]) -> Any:
        return options[self.integers(len(options))]


class Drawn(Chance):
    """Choices that Hypothesis makes, and can make smaller."""

    def __init__(self, draw: st.DrawFn, seed: Sequence[int]) -> None:
        super().__init__(seed)
        self.draw = draw

    def integers(self, low: int, high: int | None = None) -> int:
        return self.draw(st.integers(0, low - 1) if high is None else st.integers(low, high - 1))


def random_network(kind: str, seed: int) -> Random:
    return _network(kind, Chance([KINDS.index(kind), seed]), seed)


@st.composite
def networks(draw: st.DrawFn) -> Random:
    seed = draw(st.integers(0, 1 << 30))
    return _network(draw(st.sampled_from(KINDS)), Drawn(draw, [seed]), seed)


def _network(kind: str, rng: Chance, seed: int) -> Random:
    net, shape, ids = _BUILDERS[kind](rng, Initialiser(seed, np.float64))
    net = _with_random_formats(net, rng, _accumulator(kind, rng))
    if ids:
        source = UQ(max((ids - 1).bit_length(), 1), 0)
        batch = FixedArray.from_ints(rng.bulk.integers(0, ids, (2, *shape)), source)
    else:
        source = _format(rng, signed=bool(rng.integers(0, 4)))
        ints = rng.bulk.integers(source.int_min, source.int_max + 1, (2, *shape))
        batch = FixedArray.from_ints(ints, source)
    lanes = rng.choice([8, 1, 2, 4, 8, 16, 32])
    return Random(Quantized(net, Quantizer(source)), batch, lanes, min(lanes, rng.choice([1, 1, 2, 4, 16])))


def _size(rng: Chance, high: int = 12) -> int:
    return rng.integers(1, high + 1)


def _activation(rng: Chance) -> Any:
    kinds = (layers.ReLU, lambda: layers.LeakyReLU(rng.integers(1, 4)), layers.Tanh, layers.Sigmoid)
    return kinds[rng.integers(len(kinds))]()


def _dense(rng: Chance, i: Initialiser) -> tuple[Any, tuple[int, ...], int]:
    a, b, c = _size(rng, 20), _size(rng, 20), _size(rng)
    parts = {"one": i.dense(a, b, bias=bool(rng.integers(2))), "act": _activation(rng), "two": i.dense(b, c)}
    if rng.integers(0, 4) == 0:
        parts["argmax"] = layers.Argmax()
    return layers.Sequential(**parts), (a,), 0


def _image(rng: Chance, i: Initialiser) -> tuple[Any, tuple[int, ...], int]:
    channels, middle = _size(rng, 5), _size(rng, 10)
    height, width = rng.integers(5, 9), rng.integers(5, 9)
    kernel = (rng.integers(1, 4), rng.integers(1, 4))
    stride = (rng.integers(1, 3), rng.integers(1, 3))
    pads = ("same", "valid", ((1, 0), (2, 1)))
    pool: Any = (
        layers.MaxPool2D((2, 2), (1, 2), rng.integers(2))
        if rng.integers(2)
        else i.avg_pool(2, 1, rng.integers(2))
    )
    parts = {
        "conv": i.conv(channels, middle, kernel, stride, pads[rng.integers(3)], bias=bool(rng.integers(2))),
        "act": _activation(rng),
        "pool": pool,
    }
    body = layers.Sequential(**parts)
    flat = int(np.prod(_shape_after(body, (height, width, channels))))
    return (
        layers.Sequential(**parts, flat=layers.Flatten(), head=i.dense(flat, _size(rng))),
        (height, width, channels),
        0,
    )


def _shape_after(net: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    from fixedpoint_nn.numbers.tensor.tensor import Tensor

    result: tuple[int, ...] = net(Tensor(np.zeros((1, *shape)))).shape
    return result


def _residual(rng: Chance, i: Initialiser) -> tuple[Any, tuple[int, ...], int]:
    channels = _size(rng, 10)
    shortcut = i.conv(channels, channels, 1, bias=False) if rng.integers(2) else None
    body = layers.Sequential(a=i.conv(channels, 6, 3), act=_activation(rng), b=i.conv(6, channels, 1))
    net = layers.Sequential(
        stem=i.conv(2, channels, 3),
        block=layers.Residual(body, shortcut),
        act=layers.ReLU(),
        mean=i.global_avg_pool(5, 4),
    )
    return net, (5, 4, 2), 0


def _depthwise(rng: Chance, i: Initialiser) -> tuple[Any, tuple[int, ...], int]:
    groups = rng.choice([2, 3, 4])
    channels = groups * _size(rng, 3)
    net = layers.Sequential(
        stem=i.conv(3, channels, 1),
        depthwise=i.conv(channels, channels, 3, groups=channels),
        act=_activation(rng),
        grouped=i.conv(channels, groups * 2, 2, padding="valid", groups=groups),
    )
    return net, (4, 5, 3), 0


def _cells(rng: Chance, i: Initialiser, inputs: int, hidden: int, last: bool) -> Any:
    depth = rng.integers(1, 3)
    kind = rng.integers(4)
    if kind == 0:
        return i.rnn(inputs, hidden, depth=depth, last=last)
    if kind == 1:
        return i.lstm(inputs, hidden, depth=depth, last=last)
    return i.gru(inputs, hidden, depth=depth, last=last, reset_after=bool(kind == 2))


def _sequence(rng: Chance, i: Initialiser) -> tuple[Any, tuple[int, ...], int]:
    inputs, hidden, steps = _size(rng, 6), _size(rng, 10), rng.integers(1, 6)
    parts = {
        "cells": _cells(rng, i, inputs, hidden, bool(rng.integers(2))),
        "head": i.dense(hidden, _size(rng)),
    }
    if rng.integers(2):
        return layers.Sequential(rows=layers.Reshape((steps, inputs)), **parts), (steps * inputs,), 0
    return layers.Sequential(**parts), (steps, inputs), 0


def _text(rng: Chance, i: Initialiser) -> tuple[Any, tuple[int, ...], int]:
    ids, width, hidden, steps = (
        rng.integers(2, 20),
        _size(rng, 9),
        _size(rng, 9),
        rng.integers(1, 6),
    )
    if rng.integers(2):
        net = layers.Sequential(
            embedding=i.embedding(ids, width),
            cells=_cells(rng, i, width, hidden, False),
            head=i.dense(hidden, ids),
        )
    else:
        net = layers.Sequential(
            embedding=i.embedding(ids, width),
            flat=layers.Flatten(),
            head=i.dense(steps * width, ids),
            act=_activation(rng),
        )
    return net, (steps,), ids


def _softmax(rng: Chance, i: Initialiser) -> tuple[Any, tuple[int, ...], int]:
    inputs, classes = _size(rng), rng.integers(2, 14)
    return layers.Sequential(head=i.dense(inputs, classes), softmax=layers.Softmax()), (inputs,), 0


def _products(rng: Chance, i: Initialiser) -> tuple[Any, tuple[int, ...], int]:
    """One layer, because an engine quantises its products in one way."""
    inputs, outputs = _size(rng, 5), _size(rng, 20)
    if rng.integers(2):
        return layers.Sequential(one=i.dense(inputs, outputs), act=_activation(rng)), (inputs,), 0
    return layers.Sequential(conv=i.conv(inputs, outputs, 2), act=_activation(rng)), (3, 4, inputs), 0


def _accumulator(kind: str, rng: Chance) -> Accumulator | None:
    """None: exact sums. Quantised products stand at the accumulator's binary point."""
    mode = rng.choice(list(Overflow))
    if kind != "products":
        return None if rng.integers(0, 3) else Accumulator(Q(rng.integers(2, 8), 18), mode)
    product = Quantizer(Q(rng.integers(0, 4), 7), rng.choice(list(Rounding)), rng.choice(list(Overflow)))
    return Accumulator(Q(rng.integers(2, 8), 7), mode, product)


_BUILDERS = {
    "dense": _dense,
    "image": _image,
    "residual": _residual,
    "depthwise": _depthwise,
    "sequence": _sequence,
    "text": _text,
    "softmax": _softmax,
    "products": _products,
}


def _format(rng: Chance, signed: bool = True, low: int = 2, high: int = 9) -> QFormat:
    bits, frac = rng.integers(low, high), rng.integers(0, 7)
    return QFormat(bits - frac, frac, signed)


def _with_random_formats(net: Any, rng: Chance, accumulator: Accumulator | None) -> Any:
    """Every parameter, cast point, table and accumulator gets its own; what must agree to be lowered does."""
    values: dict[str, Any] = {}

    def quantizer(path: str, format: QFormat) -> Quantizer:
        return Quantizer(format, rng.choice(list(Rounding)), rng.choice(list(Overflow)), name=path)

    leaves = list(walk(net))
    addresses = {leaf.address for leaf in leaves if leaf.kind == TABLE}
    states = [leaf.path for leaf in leaves if leaf.path.endswith((".state", ".cell", ".reset", ".candidate"))]
    gate = UQ(0, rng.integers(4, 8))  # one table of gates, so that products of gates align
    for leaf in leaves:
        if leaf.kind == PARAMETER and leaf.value is not None:
            parameter = _format(rng) if not leaf.path.endswith("reciprocal") else UQ(-1, 7)
            data = leaf.value.data if np.any(leaf.value.data) else rng.bulk.standard_normal(leaf.value.shape)
            values[leaf.path] = FixedArray.from_float(data * 2, quantizer(leaf.path, parameter))
        elif leaf.kind == CAST and leaf.path in addresses:
            values[leaf.path] = quantizer(leaf.path, Q(3, rng.integers(1, 4)))
        elif leaf.kind == CAST and leaf.path in states:
            values[leaf.path] = quantizer(leaf.path, Q(2, 7))
        elif leaf.kind == CAST:
            values[leaf.path] = quantizer(leaf.path, _format(rng, bool(rng.integers(4)), 3))
        elif leaf.kind == ACCUMULATOR and accumulator is not None:
            values[leaf.path] = accumulator
    for leaf in leaves:
        if leaf.kind == TABLE:
            output = gate if leaf.function == "sigmoid" else Q(1, 7) if leaf.function == "tanh" else UQ(1, 6)
            values[leaf.path] = Table(leaf.function, values[leaf.address].format, Quantizer(output))
    return rebuild(net, values)
