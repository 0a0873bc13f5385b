# SPDX-License-Identifier: MIT
"""Operators that slice, gather, join, repeat and pad."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import of_all_samples, tensor
from fixedpoint_nn.interchange.onnx.operators.elementwise import aligned
from fixedpoint_nn.interchange.onnx.operators.products import without
from fixedpoint_nn.interchange.onnx.step import OnnxStep, Result, axis_of, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused


@operator("Slice", "Slice", "slices of the batch, or of nothing; limits that are computed")
def slice_(step: OnnxStep) -> OnnxValue:
    """Convert Slice."""
    x = step.value(0, kind="")
    starts, ends = step.integers(1, "starts"), step.integers(2, "ends")
    axes, steps = step.integers(3, "axes"), step.integers(4, "steps")
    if starts is None or ends is None:
        raise Refused("its starts or ends are missing")
    chosen = list(range(len(starts))) if axes is None else axes
    strides = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(chosen) == len(strides) or 0 in strides:
        raise Refused("its starts, ends, axes and steps do not fit together")
    for start, end, axis, stride in zip(starts, ends, chosen, strides, strict=True):
        axis = axis_of(axis, len(x.dims))
        x = part(step, x, axis, _range(start, end, stride, x.dims[axis]))
    return x


def _range(start: int, end: int, stride: int, size: int) -> range:
    """The indices of a slice by ONNX's rules: negative ones count from the end, all are clipped to the axis."""
    low, high = (0, size) if stride > 0 else (-1, size - 1)
    first = min(max(start + size if start < 0 else start, max(low, 0)), high)
    last = min(max(end + size if end < 0 else end, low), high)
    return range(first, last, stride)


def part(step: OnnxStep, x: OnnxValue, axis: int, indices: range, name: str = "") -> OnnxValue:
    """The value sliced along one axis of the file."""
    if indices == range(x.dims[axis]):
        return x
    if not len(indices):
        raise Refused(f"its slice of axis {axis} holds nothing")
    if axis == x.batch:
        raise Refused("it takes some samples of the batch")
    stop = indices[-1] + (1 if indices.step > 0 else -1)
    layer = layers.Slice(x.place(axis), indices[0], stop if stop >= 0 else None, indices.step)
    dims = tuple(len(indices) if a == axis else size for a, size in enumerate(x.dims))
    return replace(x, node=step.builder.add(name or step.name, layer, x.node), dims=dims, flat=None)


@operator("Split", "Slice", "splits of the batch")
def split(step: OnnxStep) -> list[Result]:
    """Convert Split; a part of nothing, which Concat leaves out, is a constant."""
    x = step.value(0, kind="")
    axis = axis_of(int(step.attribute("axis", 0)), len(x.dims))
    sizes, count = step.integers(1, "split"), step.attribute("num_outputs")
    if sizes is None:
        parts = int(count or len(step.operation.outputs))
        if not 1 <= parts <= x.dims[axis]:
            raise Refused(f"it splits {x.dims[axis]} elements into {parts} parts")
        each = -(-x.dims[axis] // parts)
        sizes = [each] * (parts - 1) + [x.dims[axis] - each * (parts - 1)]
    if sum(sizes) != x.dims[axis] or min(sizes) < 0:
        raise Refused(f"it splits {x.dims[axis]} elements into {sizes}")
    starts = np.cumsum([0, *sizes])
    return [
        part(step, x, axis, range(int(start), int(start) + size), f"{step.name}_{number}")
        if size
        else np.zeros((*x.dims[:axis], 0, *x.dims[axis + 1 :]), np.float32)
        for number, (start, size) in enumerate(zip(starts, sizes, strict=False))
    ]


@operator("Concat", "Concat", "joins along the batch")
def concat(step: OnnxStep) -> OnnxValue:
    """Convert Concat."""
    step.operands = [x for x in step.operands if isinstance(x, OnnxValue) or (x is not None and x.size)]
    values = [x for x in step.operands if isinstance(x, OnnxValue)]
    rank = len(values[0].dims)
    axis = axis_of(int(step.needed("axis")), rank)
    if any(
        len(x.dims if isinstance(x, OnnxValue) else x.shape) != rank for x in step.operands if x is not None
    ):
        raise Refused("its operands have different numbers of axes")
    if len({x.kind for x in values}) > 1:
        raise Refused("it joins floats and whole numbers")
    values = aligned(step, values, rank)
    first = values[0]
    if axis == first.batch:
        raise Refused("it joins samples along the batch")
    waiting = iter(values)
    takes, size = [], 0
    for operand in step.operands:
        if isinstance(operand, OnnxValue):
            v = next(waiting)
            takes.append(v.node)
            size += v.dims[axis]
        elif operand is not None:
            kept = sorted(first.order)
            whole = operand if first.batch is None else of_all_samples(operand, first.batch)
            sample = whole.transpose([kept.index(a) for a in first.order])
            takes.append(
                step.builder.add(f"{step.name}_constant", layers.Repeated(tensor(sample)), first.node)
            )
            size += operand.shape[axis]
    dims = tuple(size if a == axis else n for a, n in enumerate(first.dims))
    shapes = [x.dims if isinstance(x, OnnxValue) else x.shape for x in step.operands if x is not None]
    if any(
        shape[a] != first.dims[a] for shape in shapes for a in range(rank) if a not in (axis, first.batch)
    ):
        raise Refused(f"its operands {[list(shape) for shape in shapes]} do not fit along axis {axis}")
    if len(takes) == 1:
        return first
    made = step.builder.add(step.name, layers.Concat(first.place(axis)), *takes)
    return OnnxValue(made, dims, first.axes, first.kind)


@operator("Pad", "Pad; Select for edge, reflect and wrap", "pads that are computed, or of the batch")
def pad(step: OnnxStep) -> OnnxValue:
    """Convert Pad."""
    mode = step.attribute("mode", "constant")
    x = step.value(0, kind="float" if mode == "constant" else "")
    pads = step.integers(1, "pads")
    given = step.optional(2, "value") if step.opset >= 11 else np.float32(step.attribute("value", 0.0))
    value = 0.0 if given is None or not np.size(given) else float(np.ravel(given)[0])
    listed = step.optional(3, "axes")
    axes = range(len(x.dims)) if listed is None else [axis_of(int(a), len(x.dims)) for a in listed.ravel()]
    if pads is None or len(pads) != 2 * len(axes) or max(map(abs, pads), default=0) > 1 << 16:
        raise Refused(f"its pads are {pads}")
    widths = {axis: (pads[i], pads[len(axes) + i]) for i, axis in enumerate(axes)}
    if x.batch in widths and any(widths.pop(x.batch)):
        raise Refused("it pads the batch")
    if not any(map(any, widths.values())):
        return x
    dims = tuple(size + sum(widths.get(axis, (0, 0))) for axis, size in enumerate(x.dims))
    if mode == "constant":
        order = [widths.get(axis, (0, 0)) for axis in x.order]
        checked = replace(x, dims=dims, flat=None)
        fill = None
        if value:
            inside = np.zeros(
                [x.dims[a] - max(-lo, 0) - max(-hi, 0) for a, (lo, hi) in zip(x.order, order, strict=True)]
            )
            outer = [(max(lo, 0), max(hi, 0)) for lo, hi in order]
            fill = tensor(np.pad(inside, outer, constant_values=np.float32(value)).astype(np.float32))
        return replace(checked, node=step.builder.add(step.name, layers.Pad(tuple(order), fill), x.node))
    if mode not in ("edge", "reflect", "wrap"):
        raise Refused(f"its mode is {mode!r}")
    for axis, (before, after) in widths.items():
        if before or after:
            x = surrounded(step, x, axis, before, after, mode)
    return x


def surrounded(step: OnnxStep, x: OnnxValue, axis: int, before: int, after: int, mode: str) -> OnnxValue:
    """The value padded along one axis with repeated elements, by `mode`."""
    places = np.arange(x.dims[axis])[max(-before, 0) : x.dims[axis] - max(-after, 0)]
    if not len(places):
        raise Refused("it cuts off all elements")
    chosen = np.pad(places, (max(before, 0), max(after, 0)), mode=mode)  # type: ignore[call-overload]
    return selected(step, x, axis, [int(i) for i in chosen])


def selected(step: OnnxStep, x: OnnxValue, axis: int, indices: list[int]) -> OnnxValue:
    """The value gathered along one axis of the file."""
    if axis == x.batch:
        raise Refused("it chooses samples of the batch")
    if len(indices) > 1 << 16:
        raise Refused(f"it chooses {len(indices):,} elements of one axis")
    dims = tuple(len(indices) if a == axis else size for a, size in enumerate(x.dims))
    made = replace(x, dims=dims, flat=None)
    return replace(
        made, node=step.builder.add(step.name, layers.Select(tuple(indices), x.place(axis)), x.node)
    )


@operator("Gather", "Select; Embedding where a constant's rows are chosen by the input", "both computed")
def gather(step: OnnxStep) -> OnnxValue:
    """Convert Gather by constants, or from an embedding by ids."""
    data, indices = step.operands[:2]
    axis = int(step.attribute("axis", 0))
    if isinstance(data, np.ndarray) and isinstance(indices, OnnxValue):
        return _embedded(step, data, axis_of(axis, data.ndim))
    x, found = step.value(0, kind=""), step.constant(1, "indices")
    axis = axis_of(axis, len(x.dims))
    size = x.dims[axis]
    if found.size == 0 or found.min() < -size or found.max() >= size:
        raise Refused(f"its indices are not all among the {size} elements of axis {axis}")
    made = selected(step, x, axis, [int(i) % size for i in found.ravel()])
    if found.ndim == 0:
        return without(step, made, axis)
    blocks = [((a,), tuple(found.shape) if a == axis else (n,)) for a, n in enumerate(made.dims)]
    return step.builder.regrouped(made, blocks, f"{step.name}_shaped") if found.ndim > 1 else made


@operator("GatherND", "Select", "indices that are computed, or of several axes")
def gather_nd(step: OnnxStep) -> OnnxValue:
    """Convert GatherND by constants that choose along one axis."""
    x, found = step.value(0, kind=""), step.constant(1, "indices")
    axis, size = int(step.attribute("batch_dims", 0)), x.dims[0]
    if axis or found.ndim != 2 or found.shape[1] != 1:
        raise Refused(f"its indices of shape {list(found.shape)} choose along several axes")
    if found.size == 0 or found.min() < -size or found.max() >= size:
        raise Refused(f"its indices are not all among the {size} elements of axis 0")
    return selected(step, x, 0, [int(i) % size for i in found.ravel()])


def _embedded(step: OnnxStep, table: np.ndarray, axis: int) -> OnnxValue:
    ids = step.value(1, kind="int")
    if axis != 0 or table.ndim < 2:
        raise Refused(f"its input chooses along axis {axis} of a constant of shape {list(table.shape)}")
    return rows_of(step, tensor(table), ids)


def rows_of(step: OnnxStep, table: Any, ids: OnnxValue) -> OnnxValue:
    """The rows of a table that ids choose, as an Embedding."""
    rank = len(ids.dims)
    new = range(rank, rank + table.ndim - 1)
    node = step.builder.add(step.name, layers.Embedding(table), ids.node)
    return OnnxValue(node, (*ids.dims, *table.shape[1:]), (*ids.axes, *new))


@operator("Expand", "Select", "shapes that are computed; the batch")
def expand(step: OnnxStep) -> OnnxValue:
    """Convert Expand: axes of length 1 repeated."""
    x = step.value(0, kind="")
    shape = step.integers(1, "shape") or []
    try:
        dims = np.broadcast_shapes(x.dims, tuple(shape))
    except ValueError:
        raise Refused(f"it expands the shape {list(x.dims)} to {shape}") from None
    (x,) = aligned(step, [x], len(dims))
    for axis, size in enumerate(dims):
        if size != x.dims[axis]:
            x = selected(step, x, axis, [0] * size)
    return x


@operator("Tile", "Select", "repeats that are computed; the batch")
def tile(step: OnnxStep) -> OnnxValue:
    """Convert Tile."""
    x, repeats = step.value(0, kind=""), step.integers(1, "repeats") or []
    if len(repeats) != len(x.dims) or min(repeats) < 1 or max(repeats) > 1 << 16:
        raise Refused(f"its repeats are {repeats}")
    for axis, count in enumerate(repeats):
        if count > 1:
            x = selected(step, x, axis, list(range(x.dims[axis])) * count)
    return x


@operator("DepthToSpace", "Reshape, Transpose, Reshape")
def depth_to_space(step: OnnxStep) -> OnnxValue:
    """Convert DepthToSpace, in both orders."""
    size, mode = int(step.needed("blocksize")), step.attribute("mode", "DCR")
    x = step.value(0)
    if len(x.dims) != 4 or size < 1 or x.dims[1] % (size * size) or mode not in ("DCR", "CRD"):
        raise Refused(f"its blocksize is {size} and its mode {mode!r}, for an input of shape {list(x.dims)}")
    x = step.builder.channels_last(x)
    batch, channels, height, width = x.dims
    kept = channels // size**2
    inner = (size, size, kept) if mode == "DCR" else (kept, size, size)
    order = (0, 1, 3, 2, 4, 5) if mode == "DCR" else (0, 1, 4, 2, 5, 3)
    apart = step.builder.add(f"{step.name}_blocks", layers.Reshape((height, width, *inner)), x.node)
    turned = step.builder.add(f"{step.name}_turned", layers.Transpose(order), apart)
    layer = layers.Reshape((height * size, width * size, kept))
    return step.made(layer, [turned], (batch, kept, height * size, width * size), x.axes)


@operator("SpaceToDepth", "Reshape, Transpose, Reshape")
def space_to_depth(step: OnnxStep) -> OnnxValue:
    """Convert SpaceToDepth, in both orders."""
    size, x, mode = int(step.needed("blocksize")), step.value(0), step.attribute("mode", "DCR")
    whole = size >= 1 and len(x.dims) == 4 and not (x.dims[2] % size or x.dims[3] % size)
    if not whole or mode not in ("DCR", "CRD"):
        raise Refused(f"its blocksize is {size}, for an input of shape {list(x.dims)}")
    x = step.builder.channels_last(x)
    batch, channels, height, width = x.dims
    rows, columns = height // size, width // size
    apart = step.builder.add(
        f"{step.name}_blocks", layers.Reshape((rows, size, columns, size, channels)), x.node
    )
    order = (0, 1, 3, 2, 4, 5) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    turned = step.builder.add(f"{step.name}_turned", layers.Transpose(order), apart)
    layer = layers.Reshape((rows, columns, size * size * channels))
    return step.made(layer, [turned], (batch, size * size * channels, rows, columns), x.axes)
