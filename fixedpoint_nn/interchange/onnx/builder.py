# SPDX-License-Identifier: MIT
"""The graph under construction: nodes with unique names, and values transposed to the required order of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import fixed_constant
from fixedpoint_nn.interchange.onnx.value import JOINED, Flat, OnnxValue, Refused, plain_axes
from fixedpoint_nn.layers import Node
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat

Block = tuple[tuple[int, ...], tuple[int, ...]]  # axes of the value, and their new sizes


@dataclass
class GraphBuilder:
    """The nodes of the graph so far, in the order of computation."""

    taken: dict[str, int] = field(
        default_factory=dict
    )  # names in use, each with the last number appended to it
    parts: dict[str, Node] = field(default_factory=dict)
    formats: dict[str, QFormat] = field(default_factory=dict)  # of the operands of integer products

    def add(self, name: str, layer: Any, *takes: str) -> str:
        """Add a node; returns its name, which is `name` or a similar, unused one."""
        name = self.free(name)
        self.parts[name] = Node(layer, takes)
        return name

    def free(self, name: str) -> str:
        """A unique name like this one, in the form of a path of the tree."""
        name = name.strip("/").replace(".", "_") or "node"
        number = self.taken.get(name, 0) + 1
        unique = name if number == 1 else f"{name}_{number}"
        while unique in self.taken:
            number += 1
            unique = f"{name}_{number}"
        self.taken[name] = number
        self.taken[unique] = 1 if unique != name else number
        return unique

    # ---- order of axes ------------------------------------------------------------------------------------

    def arranged(self, v: OnnxValue, order: tuple[int, ...]) -> OnnxValue:
        """The value transposed, so that a sample's axes are the file's axes in this order."""
        if v.order == order:
            return v
        axes = (v.batch, *order)
        sizes = tuple(v.dims[axis] for axis in order)
        if [a for a in order if v.dims[a] > 1] == [a for a in v.order if v.dims[a] > 1]:
            name = self.add(f"{v.node}_reshaped", layers.Reshape(sizes), v.node)
        else:
            permutation = (0, *(v.order.index(axis) + 1 for axis in order))
            name = self.add(f"{v.node}_transposed", layers.Transpose(permutation), v.node)
        return replace(v, node=name, axes=axes, flat=None)

    def plain(self, v: OnnxValue) -> OnnxValue:
        """The value with a sample's axes in the file's order."""
        return self.arranged(v, tuple(a for a in plain_axes(len(v.dims), v.batch)[1:] if a is not None))

    def last(self, v: OnnxValue, axis: int) -> OnnxValue:
        """The value with this axis of the file last."""
        if axis == v.batch:
            raise Refused("it computes along the batch axis")
        return self.arranged(v, (*(other for other in v.order if other != axis), axis))

    def channels_last(self, v: OnnxValue) -> OnnxValue:
        """The file's value (batch, channels, ...) as (batch, ..., channels)."""
        v = self.with_batch(v, 0)
        return self.arranged(v, (*range(2, len(v.dims)), 1))

    # ---- the batch ----------------------------------------------------------------------------------------

    def with_batch(self, v: OnnxValue, axis: int | None) -> OnnxValue:
        """The value with another axis of the file as the batch; if they differ, both must have length 1."""
        if v.batch == axis:
            return v
        for old in (v.batch, axis):
            if old is not None and v.dims[old] != 1:
                raise Refused(f"its axis {old} of {v.dims[old]} elements would have to be the batch")
        order = v.order if axis is None else tuple(a for a in v.order if a != axis)
        order = order if v.batch is None else (*order, v.batch)
        sizes = tuple(v.dims[a] for a in order)
        name = self.add(f"{v.node}_reshaped", layers.Reshape(sizes), v.node)
        return replace(v, node=name, axes=(axis, *order), flat=None)

    def same_batch(self, values: list[OnnxValue]) -> list[OnnxValue]:
        """The values with the same batch axis; those without a batch are repeated for every sample."""
        batches = {v.batch for v in values if v.batch is not None}
        if len(batches) > 1:
            large = {v.batch for v in values if v.batch is not None and v.dims[v.batch] > 1}
            batches = large or {next(iter(sorted(batches)))}
        if len(batches) > 1:
            raise Refused(f"its inputs have their batches on different axes, {sorted(batches)}")
        batch = batches.pop() if batches else None
        return [self.with_batch(v, batch) for v in values]

    # ---- other shapes -------------------------------------------------------------------------------------

    def reshaped(self, v: OnnxValue, dims: tuple[int, ...], name: str) -> OnnxValue:
        """The value reshaped to `dims`, a shape of the file."""
        return self.regrouped(v, _matched(v.dims, dims), name)

    def regrouped(self, v: OnnxValue, blocks: Sequence[Block], name: str) -> OnnxValue:
        """The value with each block of adjacent axes reshaped to other sizes; data move only if a block requires it."""
        dims = tuple(size for _, sizes in blocks for size in sizes)
        if dims == v.dims and all(len(axes) == len(sizes) == 1 for axes, sizes in blocks):
            return v
        batch, places, at = None, [], 0
        found = v.batch is None
        for axes, sizes in blocks:
            places.append(tuple(range(at, at + len(sizes))))
            at += len(sizes)
            if v.batch in axes and not found:
                batch = _batch_in(v, axes, sizes, places[-1])
                found = True
        simple = all(
            sum(v.dims[a] > 1 for a in axes if a != v.batch) <= 1
            and sum(dims[p] > 1 for p in there if p != batch) <= 1
            for (axes, _), there in zip(blocks, places, strict=True)
        )
        if simple:
            order = _kept_order(v, blocks, places, batch, dims)
            source = v
        else:
            source = self.plain(v)
            order = tuple(p for p in range(len(dims)) if p != batch)
        made = self.add(name, layers.Reshape(tuple(dims[p] for p in order)), source.node)
        flat = None
        if len(order) == 1 and source is not v:
            loose = self.add(f"{name}_unordered", layers.Flatten(), v.node)
            numbers = np.arange(prod(v.sample)).reshape(v.sample)
            filed = numbers.transpose([v.order.index(a) for a in sorted(v.order)])
            flat = Flat(loose, tuple(filed.reshape(-1).tolist()))
        return OnnxValue(made, dims, (batch, *order), v.kind, flat)

    # ---- constants ----------------------------------------------------------------------------------------

    def constant(self, name: str, array: Array, v: OnnxValue) -> str:
        """A node of a constant of the file, arranged to broadcast against the value."""
        return self.add(name, layers.Constant(tensor(beside(array, v))))


class IntegerConstant(np.ndarray):
    """A constant of integers that are not converted to floats."""


def tensor(array: Array) -> Any:
    """An array as a parameter, float32 or float64."""
    if isinstance(array, IntegerConstant):
        return fixed_constant(array)
    if not np.isfinite(array).all():
        raise Refused("a constant of it holds nan or infinity")
    return Tensor(np.array(array, np.float64 if array.dtype == np.float64 else np.float32, order="C"))


def beside(array: Array, v: OnnxValue) -> Array:
    """A constant of the file, arranged so that it broadcasts against the value."""
    rank = len(v.dims)
    if array.ndim > rank:
        raise Refused(f"a constant of shape {list(array.shape)} has more axes than the value beside it")
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    if v.batch is not None:
        array = of_all_samples(array, v.batch)
    kept = sorted(v.order)
    array = array.transpose([kept.index(axis) for axis in v.order])
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    return array.reshape(()) if array.size == 1 else array


def of_all_samples(array: Array, batch: int) -> Array:
    """A constant without its batch axis, along which it must be constant."""
    first: Array = array[(slice(None),) * batch + (slice(1),)]
    if array.strides[batch] and not np.array_equal(np.broadcast_to(first, array.shape), array):
        raise Refused("a constant differs from sample to sample")
    return first.squeeze(batch)


def _matched(dims: tuple[int, ...], new: tuple[int, ...]) -> list[Block]:
    """Both shapes split into the smallest blocks with equal numbers of elements."""
    blocks: list[Block] = []
    i = j = 0
    while i < len(dims) and j < len(new):
        axes, sizes = [i], [new[j]]
        left, right = dims[i], new[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                if i == len(dims):
                    raise Refused(f"it reshapes {list(dims)} to {list(new)}, which has other elements")
                left *= dims[i]
                axes.append(i)
                i += 1
            else:
                if j == len(new):
                    raise Refused(f"it reshapes {list(dims)} to {list(new)}, which has other elements")
                right *= new[j]
                sizes.append(new[j])
                j += 1
        blocks.append((tuple(axes), tuple(sizes)))
    blocks += [((axis,), ()) for axis in range(i, len(dims))]
    blocks += [((), (size,)) for size in new[j:]]
    if prod(dims) != prod(new):
        raise Refused(f"it reshapes {list(dims)} to {list(new)}, which has other elements")
    return blocks


def _batch_in(
    v: OnnxValue, axes: tuple[int, ...], sizes: tuple[int, ...], places: tuple[int, ...]
) -> int | None:
    """The place of the batch in a regrouped block; None if it had length 1 and was dropped."""
    assert v.batch is not None
    before = prod(v.dims[a] for a in axes if a < v.batch)
    count, walked = v.dims[v.batch], 1
    for size, place in zip(sizes, places, strict=True):
        if walked == before and size == count:
            return place
        walked *= size
    if count == 1:
        return None
    raise Refused(JOINED)


def _kept_order(
    v: OnnxValue,
    blocks: Sequence[Block],
    places: list[tuple[int, ...]],
    batch: int | None,
    dims: tuple[int, ...],
) -> tuple[int, ...]:
    """The new order of a sample's axes that moves the fewest data; axes of length 1 stay with their block."""
    home: dict[int, tuple[int, ...]] = {}
    loose: list[int] = []
    for (axes, _), there in zip(blocks, places, strict=True):
        left = tuple(p for p in there if p != batch)
        kept = [a for a in axes if a != v.batch]
        large = [a for a in kept if v.dims[a] > 1]
        if kept:
            home[(large or kept)[0]] = left
        else:
            loose += left
    order = [p for axis in v.order for p in home.get(axis, ())]
    return (*order, *loose)
