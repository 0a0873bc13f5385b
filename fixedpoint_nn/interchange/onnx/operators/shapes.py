# SPDX-License-Identifier: MIT
"""Operators that change only the shape or the order of axes."""

from __future__ import annotations

from math import prod

from fixedpoint_nn.interchange.onnx.operators.products import relabelled
from fixedpoint_nn.interchange.onnx.step import OnnxStep, axis_of, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused


@operator(
    "Reshape",
    "Reshape, and Transpose where images are flattened",
    "shapes that are computed, or of no elements; the batch joined with other axes",
)
def reshape(step: OnnxStep) -> OnnxValue:
    """Convert Reshape."""
    x = step.value(0, kind="")
    wanted = step.integers(1, "shape")
    if wanted is None:
        raise Refused("its shape is missing")
    keep_zeros = bool(step.attribute("allowzero", 0))
    dims = []
    for i, size in enumerate(wanted):
        if size == 0 and not keep_zeros:
            if i >= len(x.dims):
                raise Refused(f"its shape {wanted} copies an axis that is not there")
            size = x.dims[i]
        dims.append(size)
    if dims.count(-1) > 1 or any(size < -1 or size == 0 for size in dims):
        raise Refused(f"its shape is {wanted}")
    known = prod(size for size in dims if size != -1)
    if -1 in dims:
        dims[dims.index(-1)] = prod(x.dims) // known
    return step.builder.reshaped(x, tuple(dims), step.name)


@operator("Flatten", "Reshape, and Transpose where images are flattened", "the batch joined with other axes")
def flatten(step: OnnxStep) -> OnnxValue:
    """Convert Flatten."""
    x = step.value(0, kind="")
    axis, rank = int(step.attribute("axis", 1)), len(x.dims)
    axis = axis if axis == rank else axis_of(axis, rank)
    return step.builder.reshaped(x, (prod(x.dims[:axis]), prod(x.dims[axis:])), step.name)


@operator("Squeeze", "Reshape")
def squeeze(step: OnnxStep) -> OnnxValue:
    """Convert Squeeze."""
    x = step.value(0, kind="")
    axes = step.integers(1, "axes")
    gone = (
        [a for a, size in enumerate(x.dims) if size == 1]
        if axes is None
        else [axis_of(a, len(x.dims)) for a in axes]
    )
    if any(x.dims[axis] != 1 for axis in gone):
        raise Refused(f"it drops the axes {gone} of the shape {list(x.dims)}, which are not all of length 1")
    blocks = [((a,), () if a in gone else (size,)) for a, size in enumerate(x.dims)]
    return step.builder.regrouped(x, blocks, step.name)


@operator("Unsqueeze", "Reshape")
def unsqueeze(step: OnnxStep) -> OnnxValue:
    """Convert Unsqueeze."""
    x = step.value(0, kind="")
    axes = step.integers(1, "axes")
    if axes is None:
        raise Refused("its axes are missing")
    rank = len(x.dims) + len(axes)
    new = [axis_of(axis, rank) for axis in axes]
    if len(set(new)) < len(new):
        raise Refused(f"its axes {axes} name one axis twice")
    old = iter(range(len(x.dims)))
    blocks = [((), (1,)) if a in new else ((b := next(old),), (x.dims[b],)) for a in range(rank)]
    return step.builder.regrouped(x, blocks, step.name)


@operator("Transpose", "nothing: the network's axes stay")
def transpose(step: OnnxStep) -> OnnxValue:
    """Convert Transpose."""
    x = step.value(0, kind="")
    permutation = tuple(step.attribute("perm") or range(len(x.dims))[::-1])
    if sorted(permutation) != list(range(len(x.dims))):
        raise Refused(f"its perm {list(permutation)} is no order of {len(x.dims)} axes")
    return relabelled(x, permutation)
