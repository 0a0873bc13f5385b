# SPDX-License-Identifier: MIT
"""How far each cast point's values are from the float network's, in decibels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.folding import fold
from fixedpoint_nn.layers.fields import ACCUMULATOR, CAST, TABLE
from fixedpoint_nn.movement import Array
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.qat import fake_quantize
from fixedpoint_nn.precision.ranges import Probe
from fixedpoint_nn.tensor import Tensor
from fixedpoint_nn.tree import rebuild, walk

EXACT_DB = 150.0  # what no noise at all is shown as


def signal_to_noise(net: Any, plan: Plan, x: Array) -> dict[str, float]:
    """10 log10(mean square of the float values / mean square of the difference), for every cast point."""
    net = fold(net)
    places = [leaf for leaf in walk(net) if leaf.kind == CAST and plan.get(leaf.path) is not None]
    bare: dict[str, Any] = {leaf.path: None for leaf in walk(net) if leaf.kind in (CAST, TABLE, ACCUMULATOR)}
    probes = {leaf.path: Probe(leaf.path) for leaf in places}
    tokens = x.dtype.kind in "iu"
    exact = _values(rebuild(net, {**bare, **probes})(x if tokens else Tensor(x)), set(probes))
    rounded = _values(fake_quantize(net, plan)(x if tokens else Tensor(x)), set(probes))
    return {
        path: _decibels(_kept(exact[path], plan, path), rounded[path]) for path in exact if path in rounded
    }


def _values(result: Tensor, names: set[str]) -> dict[str, Array]:
    """What flowed through each named cast, in an order that depends on the network alone."""
    found: dict[str, list[Array]] = {}
    seen: set[int] = set()
    stack = [result]
    while stack:
        tensor = stack.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if tensor.operation in names:
            found.setdefault(tensor.operation, []).append(tensor.data.reshape(-1))
        stack.extend(tensor.parents)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _kept(values: Array, plan: Plan, path: str) -> Array:
    """An unsigned format takes the ReLU's place, so what a ReLU cuts off is no noise."""
    format = plan.format(path)
    return values if format is None or format.signed else np.maximum(values, 0)


def _decibels(exact: Array, rounded: Array) -> float:
    if exact.shape != rounded.shape:
        return 0.0
    signal = float(np.mean(np.square(exact, dtype=np.float64)))
    noise = float(np.mean(np.square(exact - rounded, dtype=np.float64)))
    if noise == 0:
        return EXACT_DB
    return round(10 * float(np.log10(max(signal, 1e-300) / noise)), 2)
