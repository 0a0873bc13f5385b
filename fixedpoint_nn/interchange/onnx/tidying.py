# SPDX-License-Identifier: MIT
"""What is left to do when all nodes are there: leave out what nobody takes, and put biases into products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fixedpoint_nn import layers
from fixedpoint_nn.layers import Node


def tidy(parts: Mapping[str, Node], outputs: Sequence[str]) -> tuple[dict[str, Node], dict[str, str]]:
    """The same function in fewer nodes, and which node gives what a node that is gone gave."""
    fewer, instead = _with_biases(_needed(parts, outputs), outputs)
    return _needed(fewer, [instead.get(name, name) for name in outputs]), instead


def _needed(parts: Mapping[str, Node], outputs: Sequence[str]) -> dict[str, Node]:
    needed = set(outputs)
    for name, node in reversed(list(parts.items())):
        if name in needed:
            needed.update(node.takes)
    return {name: node for name, node in parts.items() if name in needed}


def _with_biases(parts: Mapping[str, Node], outputs: Sequence[str]) -> tuple[dict[str, Node], dict[str, str]]:
    """A product that only has a constant per channel added to it takes that as its bias."""
    uses = Counter(value for node in parts.values() for value in node.takes)
    uses.update(outputs)
    instead: dict[str, str] = {}
    result: dict[str, Node] = {}
    for name, node in parts.items():
        node = replace(node, takes=tuple(instead.get(value, value) for value in node.takes))
        if isinstance(node.layer, layers.Add) and len(node.takes) == 2:
            product, constant = (result.get(value) for value in node.takes)
            if product is not None and constant is not None and uses[node.takes[0]] == 1:
                biased = _biased(product.layer, constant.layer)
                if biased is not None:
                    result[node.takes[0]] = replace(product, layer=biased)
                    instead[name] = node.takes[0]
                    uses[node.takes[0]] = uses[name]
                    continue
        result[name] = node
    return result, instead


def _biased(product: Any, constant: Any) -> Any:
    if not isinstance(product, layers.Dense | layers.Conv2D) or not isinstance(constant, layers.Constant):
        return None
    channels = product.weight.shape[-1] * (product.weight.shape[0] if len(product.weight.shape) == 3 else 1)
    if product.bias is not None or constant.value.shape != (channels,):
        return None
    return replace(product, bias=constant.value)
