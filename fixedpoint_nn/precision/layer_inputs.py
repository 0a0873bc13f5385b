# SPDX-License-Identifier: MIT
"""Second moments of the inputs of a weight matrix, from which its integers are chosen by least squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.layers import Conv2D
from fixedpoint_nn.layers.padding import padding_pairs
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.network.tree import layers_by_path, parameters
from fixedpoint_nn.numbers.sliding_windows import reach
from fixedpoint_nn.numbers.tensor.tape import operation_by_operation
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array

BLOCK = 64  # samples per forward pass
ROWS = 8192  # rows that are used of one block; images have many more pixels
ENOUGH = 8  # rows for each row of the matrix, and at least
FEWEST = 20_000  # rows in total


@dataclass
class InputMoments:
    """Sums over the rows x of the float network and y of the rounded network that multiply the same matrix.

    x and y are (inputs,), yy = Y'Y and yx = Y'X are (inputs, inputs).
    """

    count: int = 0
    x: Any = 0.0
    y: Any = 0.0
    yy: Any = 0.0
    yx: Any = 0.0

    def add(self, x: Array, y: Array) -> None:
        """Add rows x and y, each (rows, inputs)."""
        x, y = x.astype(np.float64), y.astype(np.float64)
        self.count += len(x)
        self.x, self.y = self.x + x.sum(0), self.y + y.sum(0)
        self.yy, self.yx = self.yy + y.T @ y, self.yx + y.T @ x


def input_moments(exact: Any, rounded: Any, net: Any, path: str, samples: Array) -> InputMoments:
    """The moments at the matrix `path` of `net`; `exact` and `rounded` are networks with the same tree."""
    layer = dict(layers_by_path(net))[path.rpartition(".")[0]]
    found = InputMoments()
    for start in range(0, len(samples), BLOCK):
        if found.count >= max(FEWEST, ENOUGH * np.size(found.x)):
            break
        block = samples[start : start + BLOCK]
        pairs = zip(_rows(exact, path, layer, block), _rows(rounded, path, layer, block), strict=True)
        for x, y in pairs:
            step = max(len(x) // ROWS, 1)
            found.add(x[::step], y[::step])
    return found


def read_by(net: Any, path: str, samples: Array) -> Array:
    """The values (n, ...) that are multiplied with the matrix `path`, before windows of them are taken."""
    return np.concatenate([product.parents[0].data for product in _products_of(net, path, samples)])


def _products_of(net: Any, path: str, samples: Array) -> list[Tensor]:
    """Every product with the matrix, in order."""
    weight = parameters(net, trained_only=False)[path]
    weight.needs_gradient = True
    with operation_by_operation():
        return _products(net(as_input(samples)), weight)


def _rows(net: Any, path: str, layer: Any, samples: Array) -> Iterator[Array]:
    """The rows (rows, inputs) of every product with the matrix, in order."""
    inputs = len(parameters(net, trained_only=False)[path].data)
    for product in _products_of(net, path, samples):
        x = product.parents[0]
        if isinstance(layer, Conv2D):
            padding = padding_pairs(layer.padding, x.shape, reach(layer.kernel, layer.dilation), layer.stride)
            x = x.windows(layer.kernel, layer.stride, padding, dilation=layer.dilation)
        yield x.data.reshape(-1, inputs)


def _products(end: Tensor, weight: Tensor) -> list[Tensor]:
    """Every product on the tape whose second operand is this parameter, rounded or not, in order."""
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    stack = [end]
    while stack:
        tensor = stack.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if tensor.operation == "@" and _is(tensor.parents[1], weight):
            found[tensor._rank] = tensor
        stack.extend(tensor.parents)
    return [found[rank] for rank in sorted(found)]


def _is(factor: Tensor, weight: Tensor) -> bool:
    return factor is weight or (len(factor.parents) >= 1 and factor.parents[0] is weight)
