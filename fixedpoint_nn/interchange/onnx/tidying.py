# SPDX-License-Identifier: MIT
"""Simplifying a finished graph: unused nodes are removed, constants are folded into products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.layers import Node
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array


def tidy(parts: Mapping[str, Node], outputs: Sequence[str]) -> tuple[dict[str, Node], dict[str, str]]:
    """(simplified nodes, replacements of removed nodes by name)."""
    fewer, instead = _absorbed(_needed(parts, outputs), outputs)
    return _needed(fewer, [instead.get(name, name) for name in outputs]), instead


def _needed(parts: Mapping[str, Node], outputs: Sequence[str]) -> dict[str, Node]:
    needed = set(outputs)
    for name, node in reversed(list(parts.items())):
        if name in needed:
            needed.update(node.takes)
    return {name: node for name, node in parts.items() if name in needed}


def _absorbed(parts: Mapping[str, Node], outputs: Sequence[str]) -> tuple[dict[str, Node], dict[str, str]]:
    """Fold per-channel constants that are added to or multiplied with a product into that product."""
    uses = Counter(value for node in parts.values() for value in node.takes)
    uses.update(outputs)
    instead: dict[str, str] = {}
    result: dict[str, Node] = {}
    for name, node in parts.items():
        node = replace(node, takes=tuple(instead.get(value, value) for value in node.takes))
        if isinstance(node.layer, layers.Add | layers.Multiply) and len(node.takes) == 2:
            product, constant = (result.get(value) for value in node.takes)
            if product is not None and constant is not None and uses[node.takes[0]] == 1:
                larger = _larger(product.layer, node.layer, constant.layer)
                if larger is not None:
                    result[node.takes[0]] = replace(product, layer=larger)
                    instead[name] = node.takes[0]
                    uses[node.takes[0]] = uses[name]
                    continue
        result[name] = node
    return result, instead


def _larger(product: Any, kind: Any, constant: Any) -> Any:
    """The product with the constant folded in; None if it does not fit."""
    if not isinstance(product, layers.Dense | layers.Conv2D) or not isinstance(constant, layers.Constant):
        return None
    parameters: Any = product
    weight, value = parameters.weight.data, _data(constant)
    groups = weight.shape[0] if weight.ndim == 3 else 1
    channels = weight.shape[-1] * groups
    if value.shape not in ((), (channels,)):
        return None
    each = np.broadcast_to(value, (channels,)).astype(weight.dtype)
    if isinstance(kind, layers.Add):
        bias = each if parameters.bias is None else parameters.bias.data + each
        return replace(product, bias=Tensor(np.array(bias)))
    by_output = each.reshape(groups, 1, -1) if weight.ndim == 3 else each
    scaled = None if parameters.bias is None else Tensor(parameters.bias.data * each)
    return replace(product, weight=Tensor(weight * by_output), bias=scaled)


def _data(constant: Any) -> Array:
    """The floats of a constant."""
    data: Array = constant.value.data
    return data
