# SPDX-License-Identifier: MIT
"""Reductions over axes."""

from __future__ import annotations

from math import prod

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.operators.activations import scalar
from fixedpoint_nn.interchange.onnx.operators.curves import elementwise_product, scaled
from fixedpoint_nn.interchange.onnx.step import OnnxStep, axis_of, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused


@operator("ReduceMean", "GlobalAvgPool over images, else Mean", "means over the batch")
def reduce_mean(step: OnnxStep) -> OnnxValue:
    """Convert ReduceMean."""
    return _reduced(step, step.value(0), "mean")


@operator("ReduceSum", "Mean without a division", "sums over the batch, or of nothing")
def reduce_sum(step: OnnxStep) -> OnnxValue:
    """Convert ReduceSum."""
    return _reduced(step, step.value(0), "sum")


@operator("ReduceSumSquare", "Multiply, Mean without a division", "sums over the batch, or of nothing")
def reduce_sum_square(step: OnnxStep) -> OnnxValue:
    """Convert ReduceSumSquare."""
    x = step.value(0)
    return _reduced(step, elementwise_product(step, x, x), "sum")


@operator("ReduceL1", "Abs, Mean without a division", "sums over the batch, or of nothing")
def reduce_l1(step: OnnxStep) -> OnnxValue:
    """Convert ReduceL1."""
    return _reduced(step, step.unary(layers.Abs(), step.value(0)), "sum")


@operator("ReduceL2", "Multiply, Mean without a division, Sqrt", "sums over the batch, or of nothing")
def reduce_l2(step: OnnxStep) -> OnnxValue:
    """Convert ReduceL2."""
    x = step.value(0)
    return step.unary(layers.Sqrt(), _reduced(step, elementwise_product(step, x, x), "sum"))


@operator("ReduceMax", "Largest", "maxima over the batch, or of nothing; truth values")
def reduce_max(step: OnnxStep) -> OnnxValue:
    """Convert ReduceMax."""
    return _reduced(step, step.value(0), "max")


@operator("ReduceMin", "Largest of the negated", "minima over the batch, or of nothing; truth values")
def reduce_min(step: OnnxStep) -> OnnxValue:
    """Convert ReduceMin."""
    return scaled(step, _reduced(step, scaled(step, step.value(0), -1), "max"), -1)


def _reduced(step: OnnxStep, x: OnnxValue, how: str) -> OnnxValue:
    """The reduction `how` over axes of the file."""
    listed = step.integers(1, "axes")
    keep = bool(step.attribute("keepdims", 1))
    nothing = bool(step.attribute("noop_with_empty_axes", 0))
    if not listed and nothing:
        return x
    axes = sorted({axis_of(a, len(x.dims)) for a in listed}) if listed else list(range(len(x.dims)))
    if x.batch in axes:
        if x.dims[x.batch] != 1:
            raise Refused(f"it takes the {how} over the batch")
        x = step.builder.with_batch(x, None)
    dims = tuple(1 if a in axes else size for a, size in enumerate(x.dims))
    share = scalar(1 / prod(x.dims[a] for a in axes) if how == "mean" else 1)
    places = tuple(sorted(x.place(a) for a in axes))
    if how == "max":
        result = step.made(layers.Largest(places), [x], dims, x.axes)
    elif places == (1, 2) and len(x.axes) == 4:
        made = step.builder.add(step.name, layers.GlobalAvgPool(share), x.node)
        again = step.builder.add(f"{step.name}_image", layers.Reshape((1, 1, x.sample[-1])), made)
        result = OnnxValue(again, dims, x.axes)
    else:
        result = step.made(layers.Mean(share, places), [x], dims, x.axes)
    if keep:
        return result
    blocks = [((a,), () if a in axes else (size,)) for a, size in enumerate(dims)]
    return step.builder.regrouped(result, blocks, f"{step.name}_squeezed")


@operator("ArgMax", "Argmax", "another axis than the channels of an image; select_last_index")
def arg_max(step: OnnxStep) -> OnnxValue:
    """Convert ArgMax."""
    return _place(step, step.value(0))


@operator("ArgMin", "Argmax of the negated", "select_last_index")
def arg_min(step: OnnxStep) -> OnnxValue:
    """Convert ArgMin."""
    return _place(step, scaled(step, step.value(0), -1))


def _place(step: OnnxStep, x: OnnxValue) -> OnnxValue:
    """The place of the largest along an axis."""
    step.must_be("select_last_index", 0)
    axis = axis_of(int(step.attribute("axis", 0)), len(x.dims))
    x = step.builder.last(x, axis)
    keep = bool(step.attribute("keepdims", 1))
    node = step.builder.add(step.name, layers.Argmax(), x.node)
    if keep:
        node = step.builder.add(f"{step.name}_kept", layers.Reshape((*x.sample[:-1], 1)), node)
        dims, axes = tuple(1 if a == axis else n for a, n in enumerate(x.dims)), x.axes
    else:
        dims = tuple(n for a, n in enumerate(x.dims) if a != axis)
        axes = tuple(None if a is None else a - (a > axis) for a in x.axes[:-1])
    return OnnxValue(node, dims, axes, "int")
