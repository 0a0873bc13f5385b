# SPDX-License-Identifier: MIT
"""Folding of batch normalisation into the layer before it, or into a `ScaleShift`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fixedpoint_nn.layers import BatchNorm, Conv2D, Dense, Graph, ScaleShift, Sequential
from fixedpoint_nn.network.tree import transform
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Tensor


def fold(net: Any) -> Any:
    """The same float network without batch normalisation; a network that has none is returned unchanged.

    scale * (x @ W + b) + shift = x @ (scale * W) + (scale * b + shift), so a Dense or Conv2D without a cast absorbs the
    normalisation that follows it. Any other normalisation becomes a `ScaleShift`.
    """

    def change(layer: Any) -> Any:
        if isinstance(layer, Sequential):
            return _fold_neighbours(layer)
        return _fold_nodes(layer) if isinstance(layer, Graph) else layer

    def rest(layer: Any) -> Any:
        return _alone(layer) if isinstance(layer, BatchNorm) else layer

    with no_gradient():
        return transform(transform(net, change), rest)


def _fold_neighbours(sequence: Sequential) -> Sequential:
    """Fold each normalisation that directly follows a Dense or Conv2D into it; the other parts keep their names."""
    parts: dict[str, Any] = {}
    before = ""
    for name, layer in sequence.parts.items():
        if isinstance(layer, BatchNorm) and before and _takes_scale(parts[before]):
            parts[before] = _into(parts[before], layer)
            continue
        parts[name] = layer
        before = name
    return Sequential(parts=parts) if len(parts) != len(sequence.parts) else sequence


def _fold_nodes(graph: Graph) -> Graph:
    """Fold each normalisation of a Dense or Conv2D that has no other consumer into it."""
    taken = [value for node in graph.parts.values() for value in node.takes] + list(graph.outputs)
    parts: dict[str, Any] = {}
    instead: dict[str, str] = {}
    for name, node in graph.parts.items():
        takes = tuple(instead.get(value, value) for value in node.takes)
        before = takes[0] if takes else ""
        alone = before in parts and taken.count(node.takes[0]) == 1
        if isinstance(node.layer, BatchNorm) and alone and _takes_scale(parts[before].layer):
            parts[before] = replace(parts[before], layer=_into(parts[before].layer, node.layer))
            instead[name] = before
        else:
            parts[name] = replace(node, takes=takes)
    outputs = tuple(instead.get(name, name) for name in graph.outputs)
    return replace(graph, parts=parts, outputs=outputs) if instead else graph


def _takes_scale(layer: Any) -> bool:
    return isinstance(layer, Dense | Conv2D) and layer.out is None and layer.accumulator is None


def _into(layer: Any, norm: BatchNorm) -> Any:
    scale, shift = norm.scale_and_shift()
    weight = layer.weight
    per_output = scale.reshape(weight.shape[0], 1, -1) if weight.ndim == 3 else scale
    bias = shift if layer.bias is None else layer.bias * scale + shift
    return replace(layer, weight=Tensor((weight * per_output).data), bias=Tensor(bias.data))


def _alone(norm: BatchNorm) -> ScaleShift:
    scale, shift = norm.scale_and_shift()
    return ScaleShift(Tensor(scale.data), Tensor(shift.data))
