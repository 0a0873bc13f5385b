# SPDX-License-Identifier: MIT
"""Random graphs of layers that move, join and choose values of one to three axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.layers import Graph, Node
from fixedpoint_nn.network.initialise import Initialiser

Shape = tuple[int, ...]
Choice = tuple[Any, Shape]  # a layer, and the shape of its result
Rng = np.random.Generator


def _image(rng: Rng, i: Initialiser, s: Shape) -> list[Callable[[], Choice]]:
    h, w, c = s
    axis = int(rng.integers(1, 4))
    order = [int(a) for a in rng.permutation(3)]
    chosen = tuple(int(n) for n in rng.integers(0, s[axis - 1], 4))
    outputs, more = int(rng.integers(1, 6)), int(rng.integers(0, 2))

    def along(size: int) -> Shape:
        return tuple(size if a == axis - 1 else n for a, n in enumerate(s))

    return [
        lambda: (i.conv(c, outputs, 3), (h, w, outputs)),
        lambda: (i.conv(c, c, (2, 2), 1, "valid", groups=c), (h - 1, w - 1, c)),
        lambda: (
            layers.ConvTranspose2D(
                i.tensor(i.matrix(4 * c, 2)), i.zeros(2), (2, 2), (2, 2), ((1, 1), (1, 1))
            ),
            (2 * h, 2 * w, 2),
        ),
        lambda: (layers.MaxPool2D((2, 2), (1, 1), 1), (h + 1, w + 1, c)),
        lambda: (layers.Transpose((0, *(a + 1 for a in order))), tuple(s[a] for a in order)),
        lambda: (layers.Slice(axis, None, None, -1), s),
        lambda: (layers.Slice(axis, 0, max(1, s[axis - 1] - 1)), along(max(1, s[axis - 1] - 1))),
        lambda: (layers.Pad(((1, 0), (0, 2), (0, more))), (h + 1, w + 2, c + more)),
        lambda: (layers.Select(chosen, axis), along(4)),
        lambda: (layers.Select(tuple(np.repeat(range(w), 2).tolist()), 2), (h, 2 * w, c)),
        lambda: (layers.Clip(i.tensor(-0.5), i.tensor(0.75)), s),
        lambda: (layers.PReLU(i.tensor(rng.standard_normal(c))), s),
        lambda: (layers.ScaleShift(i.tensor(rng.standard_normal(c)), i.tensor(rng.standard_normal(c))), s),
        lambda: (layers.Mean(i.tensor(1 / (h * w)), (1, 2)), (1, 1, c)),
        lambda: (layers.Mean(i.tensor(1 / h), (1,)), (1, w, c)),
        lambda: (layers.Sigmoid(), s),
        lambda: (layers.ReLU(), s),
        lambda: (layers.Flatten(), (h * w * c,)),
        lambda: (layers.Reshape((w, h, c)), (w, h, c)),
        lambda: (layers.Reshape((h * w, c)), (h * w, c)),
    ]


def _rows(rng: Rng, i: Initialiser, s: Shape) -> list[Callable[[], Choice]]:
    rows, c = s
    return [
        lambda: (i.dense(c, 3), (rows, 3)),
        lambda: (i.lstm(c, 3), (rows, 3)),
        lambda: (layers.Transpose((0, 2, 1)), (c, rows)),
        lambda: (layers.Flatten(), (rows * c,)),
        lambda: (layers.Slice(1, None, None, -1), s),
        lambda: (layers.Mean(i.tensor(1 / rows), (1,)), (1, c)),
        lambda: (layers.Reshape((1, rows, c)), (1, rows, c)),
        lambda: (layers.Tanh(), s),
        lambda: (layers.Softmax(), s),
    ]


def _features(rng: Rng, i: Initialiser, s: Shape) -> list[Callable[[], Choice]]:
    (c,) = s
    return [
        lambda: (i.dense(c, 4), (4,)),
        lambda: (layers.Reshape((c, 1)), (c, 1)),
        lambda: (layers.Elu(i.tensor(0.7)), s),
        lambda: (layers.Slice(1, None, None, -1), s),
        lambda: (layers.Softmax(), s),
    ]


def _joined(rng: Rng, a: Shape, b: Shape) -> Choice | None:
    """Two values through one layer, if their shapes fit."""
    if len(a) != len(b):
        return None
    if all(n == m or 1 in (n, m) for n, m in zip(a, b, strict=True)):
        kinds = (layers.Add, layers.Multiply, layers.Subtract, layers.Maximum)
        return kinds[rng.integers(4)](), tuple(np.broadcast_shapes(a, b))
    if len(a) > 1 and a[:-1] == b[:-1]:
        return layers.Concat(), (*a[:-1], a[-1] + b[-1])
    if len(a) > 1 and a[1:] == b[1:]:
        return layers.Concat(1), (a[0] + b[0], *a[1:])
    return None


def random_graph(seed: int) -> tuple[Graph, Shape]:
    """A graph of up to seven nodes over one of the last three values each, and the shape of its input."""
    rng, i = np.random.default_rng(seed), Initialiser(seed)
    shape: Shape = (int(rng.integers(2, 6)), int(rng.integers(2, 6)), int(rng.choice([1, 2, 3, 4, 8, 9])))
    shapes, parts = {"x": shape}, {}
    for number in range(int(rng.integers(2, 8))):
        recent = list(shapes)[-3:]
        first, second = (recent[int(rng.integers(len(recent)))] for _ in range(2))
        found = _joined(rng, shapes[first], shapes[second]) if rng.random() < 0.25 else None
        takes = (first, second)
        if found is None:
            kinds = {1: _features, 2: _rows, 3: _image}[len(shapes[first])](rng, i, shapes[first])
            found, takes = kinds[int(rng.integers(len(kinds)))](), (first,)
        layer, result = found
        if min(result) >= 1:
            parts[f"n{number}"] = Node(layer, takes)
            shapes[f"n{number}"] = result
    parts = parts or {"n": Node(layers.ReLU(), ("x",))}
    return Graph(parts), shape
