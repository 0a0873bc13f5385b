# SPDX-License-Identifier: MIT
"""Sparse constants: a tree whose levels are the axes of the tensor, or of its blocks, in the order of traversal.

A dense level has all of its places; a compressed one has, for each node of the level before, a segment of indices.
The leaves are the values, in that order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.tflite.model import TfliteModel
from fixedpoint_nn.numerics.arrays import Array, Ints

DENSE, COMPRESSED = 0, 1
INDICES = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}


def places_of(
    about: Any, shape: tuple[int, ...], readers: Any, pay: Callable[[int], None]
) -> tuple[Ints, ...]:
    """The place of each stored value along each axis; raises ValueError for a tree that does not fit the shape."""
    rank = len(shape)
    order = [int(axis) for axis in _numbers(about.TraversalOrderLength(), about.TraversalOrder, pay)]
    blocked = [int(axis) for axis in _numbers(about.BlockMapLength(), about.BlockMap, pay)]
    if sorted(order) != list(range(rank + len(blocked))) or about.DimMetadataLength() != len(order):
        raise ValueError(f"a sparse tensor of shape {shape} is traversed in the order {order}")
    if len(set(blocked)) != len(blocked) or not set(blocked) <= set(range(rank)):
        raise ValueError(f"a sparse tensor of shape {shape} has blocks along the axes {blocked}")
    levels = [about.DimMetadata(level) for level in range(len(order))]
    sizes = {axis: int(level.DenseSize()) for axis, level in zip(order, levels, strict=True) if axis >= rank}
    block = [sizes[rank + blocked.index(axis)] if axis in blocked else 1 for axis in range(rank)]
    nodes, found = np.zeros(1, np.int64), [np.zeros(1, np.int64)] * len(order)
    for axis, level in zip(order, levels, strict=True):
        parents, along, nodes = _children(level, nodes, readers, pay, prod(shape))
        found = [places[parents] for places in found]
        found[axis] = along
    places = [
        found[axis] * block[axis] + (found[rank + blocked.index(axis)] if axis in blocked else 0)
        for axis in range(rank)
    ]
    for axis, size in enumerate(shape):
        if places[axis].size and not 0 <= places[axis].min() <= places[axis].max() < size:
            raise ValueError(f"a sparse tensor of shape {shape} has a value outside of axis {axis}")
    return tuple(places)


def _children(
    level: Any, nodes: Ints, readers: Any, pay: Callable[[int], None], most: int
) -> tuple[Ints, Ints, Ints]:
    """(parent of each child among the nodes, its place along the axis, its number) of one level."""
    if level.Format() == DENSE:
        size = int(level.DenseSize())
        if not 0 < size <= most or len(nodes) * size > most:
            raise ValueError(f"a sparse tensor of {most} elements has a level of {len(nodes)} times {size}")
        parents = np.repeat(np.arange(len(nodes)), size)
        along = np.tile(np.arange(size), len(nodes))
        return parents, along, nodes[parents] * size + along
    if level.Format() != COMPRESSED:
        raise ValueError(f"a sparse tensor has a level of the format {level.Format()}")
    segments = _vector(level.ArraySegmentsType(), level.ArraySegments(), readers, pay)
    indices = _vector(level.ArrayIndicesType(), level.ArrayIndices(), readers, pay)
    if len(segments) != len(nodes) + 1 or (np.diff(segments) < 0).any() or segments[0] != 0:
        raise ValueError(f"a sparse tensor has {len(segments)} segments for {len(nodes)} nodes")
    if segments[-1] != len(indices):
        raise ValueError(f"a sparse tensor has {len(indices)} indices in segments of {segments[-1]}")
    return np.repeat(np.arange(len(nodes)), np.diff(segments)), indices, np.arange(len(indices))


def _vector(kind: int, table: Any, readers: Any, pay: Callable[[int], None]) -> Ints:
    if kind not in INDICES or table is None:
        raise ValueError(f"a sparse tensor has indices of the type {kind}")
    reader = getattr(readers, INDICES[kind])()
    reader.Init(table.Bytes, table.Pos)
    return _numbers(reader.ValuesLength(), reader.Values, pay)


def _numbers(count: int, read: Callable[[int], int], pay: Callable[[int], None]) -> Ints:
    pay(count)
    return np.array([read(place) for place in range(count)], np.int64)


def dense(values: Array, places: tuple[Ints, ...], shape: tuple[int, ...]) -> Array:
    """The tensor with values at places, and zeros elsewhere."""
    if values.shape != places[0].shape if places else values.size != 1:
        raise ValueError(
            f"a sparse tensor has {values.size} values for {places[0].size if places else 1} places"
        )
    whole = np.zeros(shape, values.dtype)
    whole[places] = values
    return whole


def densified(model: TfliteModel) -> TfliteModel:
    """The model without DENSIFY of constants, whose results are constants then."""
    tensors = list(model.tensors)
    kept = []
    for operator in model.operators:
        if operator.kind != "DENSIFY" or len(operator.inputs) != 1 or len(operator.outputs) != 1:
            kept.append(operator)
            continue
        source, result = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
        if source.data is None or result.shape != source.shape or result.dtype != source.dtype:
            kept.append(operator)
            continue
        tensors[result.index] = replace(result, data=source.data)
    return replace(model, tensors=tuple(tensors), operators=tuple(kept))
