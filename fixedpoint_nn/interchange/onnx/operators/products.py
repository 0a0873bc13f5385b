# SPDX-License-Identifier: MIT
"""Matrix products: a Dense layer for constant matrices, else MatMul."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import Block, tensor
from fixedpoint_nn.interchange.onnx.step import OnnxStep, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array


@operator("MatMul", "Dense, MatMul", "products along the batch axis")
def matmul(step: OnnxStep) -> OnnxValue:
    """Convert MatMul, with constants or of two values."""
    a, b = step.operands
    if isinstance(a, OnnxValue) and isinstance(b, np.ndarray):
        if b.ndim == 2:
            return times_matrix(step, step.value(0), b, None)
        if b.ndim == 1:
            dropped = times_matrix(step, step.value(0), b[:, np.newaxis], None)
            return without(step, dropped, len(dropped.dims) - 1)
        return between(step, step.value(0), b)
    if isinstance(b, OnnxValue) and isinstance(a, np.ndarray):
        b = step.value(1)
        if a.ndim > 2 or len(b.dims) < 2:
            return between(step, a, b)
        rank = len(b.dims)
        turned = relabelled(b, (*range(rank - 2), rank - 1, rank - 2))
        matrix = a[np.newaxis] if a.ndim == 1 else a
        made = times_matrix(step, turned, matrix.T, None)
        back = relabelled(made, (*range(rank - 2), rank - 1, rank - 2))
        return without(step, back, rank - 2) if a.ndim == 1 else back
    return between(step, step.value(0), step.value(1))


@operator("Gemm", "Dense, MatMul, Add")
def gemm(step: OnnxStep) -> OnnxValue:
    """Convert Gemm."""
    alpha, beta = float(step.attribute("alpha", 1.0)), float(step.attribute("beta", 1.0))
    swap = [bool(step.attribute(name, 0)) for name in ("transA", "transB")]
    a, b = step.value(0), step.operands[1]
    if len(a.dims) != 2:
        raise Refused(f"its input has the shape {list(a.dims)}, and is no matrix")
    if swap[0]:
        a = relabelled(a, (1, 0))
    bias = None
    if step.given(2):
        bias = step.constant(2, "biases") * np.asarray(beta, np.float32)
    if isinstance(b, OnnxValue):
        product = between(step, a, relabelled(step.value(1), (1, 0)) if swap[1] else step.value(1))
        if alpha != 1:
            factor = step.builder.add(f"{step.name}_alpha", layers.Constant(tensor(np.float32(alpha))))
            product = step.made(layers.Multiply(), [product, factor], product.dims, product.axes)
    else:
        matrix = step.constant(1, "weights") * np.asarray(alpha, np.float32)
        matrix = matrix.T if swap[1] else matrix
        if bias is not None and bias.size in (1, matrix.shape[1]) and bias.shape[:-1] in ((), (1,)):
            return times_matrix(step, a, matrix, np.broadcast_to(bias.reshape(-1), matrix.shape[1]))
        product = times_matrix(step, a, matrix, None)
    if bias is None:
        return product
    added = step.builder.constant(f"{step.name}_bias", bias, product)
    return step.made(layers.Add(), [product, added], product.dims, product.axes)


def times_matrix(step: OnnxStep, x: OnnxValue, matrix: Array, bias: Array | None) -> OnnxValue:
    """The value's last axis in the file times a matrix (inputs, outputs)."""
    if matrix.ndim != 2 or not x.dims or x.dims[-1] != matrix.shape[0]:
        raise Refused(f"shapes {list(x.dims)} and {list(matrix.shape)} have no product")
    last = len(x.dims) - 1
    if x.flat is not None and x.order == (last,):
        matrix = matrix[np.argsort(x.flat.order)]
        x = replace(x, node=x.flat.node)
    else:
        x = step.builder.last(x, last)
    dense = layers.Dense(tensor(matrix), None if bias is None else tensor(bias))
    return step.made(dense, [x], (*x.dims[:-1], matrix.shape[1]), x.axes)


def between(step: OnnxStep, a: OnnxValue | Array, b: OnnxValue | Array) -> OnnxValue:
    """The matrix product of two values, or of a value and a batch of constant matrices."""
    builder = step.builder
    shapes = [x.dims if isinstance(x, OnnxValue) else x.shape for x in (a, b)]
    vectors = [len(shape) == 1 for shape in shapes]
    one, two = shapes
    one = (1, *one) if vectors[0] else one
    two = (*two, 1) if vectors[1] else two
    if not one or not two or one[-1] != two[-2]:
        raise Refused(f"shapes {list(shapes[0])} and {list(shapes[1])} have no product")
    rank = max(len(one), len(two))
    try:
        lead = np.broadcast_shapes(one[:-2], two[:-2])
    except ValueError:
        raise Refused(f"shapes {list(shapes[0])} and {list(shapes[1])} have no product") from None
    values: list[OnnxValue | Array] = []
    for x, dims in zip((a, b), (one, two), strict=True):
        full = (1,) * (rank - len(dims)) + dims
        if isinstance(x, OnnxValue):
            blocks: list[Block] = [((), (1,)) for _ in range(len(full) - len(x.dims))]
            own: list[Block] = [((axis,), (size,)) for axis, size in enumerate(x.dims)]
            behind = vectors[1] and x is b
            blocks = [*blocks[1:], *own, *blocks[:1]] if behind else [*blocks, *own]
            values.append(builder.regrouped(x, blocks, f"{x.node}_raised"))
        else:
            values.append(x.reshape(full))
    computed = builder.same_batch([v for v in values if isinstance(v, OnnxValue)])
    batch = computed[0].batch
    if batch is not None and batch >= rank - 2:
        computed = [builder.with_batch(v, None) for v in computed]
        batch = None
    order = tuple(axis for axis in range(rank) if axis != batch)
    computed = [builder.arranged(v, order) for v in computed]
    if len({v.dims[batch] for v in computed} if batch is not None else {1}) > 1:
        raise Refused("its operands have different numbers of samples")
    takes: list[OnnxValue | str] = []
    waiting = iter(computed)
    for v in values:
        if isinstance(v, OnnxValue):
            takes.append(next(waiting))
            continue
        if batch is not None and v.shape[batch] > 1:
            raise Refused("a constant differs from sample to sample")
        matrices = v if batch is None else v.squeeze(batch)
        takes.append(builder.add(f"{step.name}_constant", layers.Constant(tensor(matrices))))
    result = step.made(layers.MatMul(), takes, (*lead, one[-2], two[-1]), (batch, *order))
    if vectors[1]:
        result = without(step, result, rank - 1)
    return without(step, result, len(result.dims) - (1 if vectors[1] else 2)) if vectors[0] else result


def relabelled(v: OnnxValue, permutation: tuple[int, ...]) -> OnnxValue:
    """The value with the file's axes permuted, without moving data in the network."""
    dims = tuple(v.dims[axis] for axis in permutation)
    axes = tuple(None if axis is None else permutation.index(axis) for axis in v.axes)
    return replace(v, dims=dims, axes=axes, flat=None)


def without(step: OnnxStep, v: OnnxValue, axis: int) -> OnnxValue:
    """The value without an axis of length 1."""
    blocks = [((a,), () if a == axis else (size,)) for a, size in enumerate(v.dims)]
    return step.builder.regrouped(v, blocks, f"{v.node}_squeezed")
