# SPDX-License-Identifier: MIT
"""Einsum of two operands as one product of matrices, and CumSum as a product with a triangle of ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.operators.products import matmul, relabelled, times_matrix
from fixedpoint_nn.interchange.onnx.step import OnnxStep, Operand, axis_of, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused

MOST_TERMS = 1 << 10  # of a running sum


@operator(
    "Einsum",
    "Transpose, Reshape, MatMul or Dense",
    "other than two operands; ellipses; diagonals; sums of one operand",
)
def einsum(step: OnnxStep) -> OnnxValue:
    """Einsum."""
    return contracted(step, matmul)


def contracted(step: OnnxStep, product: Callable[[Any], Any]) -> OnnxValue:
    """Einsum of two operands, whose product of matrices is that of `product`."""
    first, second, out = _letters(str(step.needed("equation")), len(step.operands))
    a, b = step.operands
    if not isinstance(a, OnnxValue):
        a, b, first, second = b, a, second, first
    if not isinstance(a, OnnxValue) or b is None:
        raise Refused("it has no operands")
    sizes = {**dict(zip(second, _dims(b), strict=True)), **dict(zip(first, a.dims, strict=True))}
    batch = [c for c in out if c in first and c in second]
    summed = [c for c in first if c in second and c not in out]
    rows, columns = ([c for c in out if c in one and c not in batch] for one in (first, second))
    terms, width = prod(sizes[c] for c in summed), prod(sizes[c] for c in columns)
    alone = isinstance(b, np.ndarray) and not batch  # a matrix for all rows, which then stay as they are
    lead = [sizes[c] for c in batch] + ([sizes[c] for c in rows] if alone else [prod(sizes[c] for c in rows)])
    left = _turned(step, a, first, [*batch, *rows, *summed], (*lead, terms))
    right = _turned(step, b, second, [*batch, *summed, *columns], (*(sizes[c] for c in batch), terms, width))
    made = product(replace(step, operands=[left, right]))
    order = [*batch, *rows, *columns]
    made = step.builder.reshaped(
        replace(made, flat=None), tuple(sizes[c] for c in order), f"{step.name}_apart"
    )
    return relabelled(made, tuple(order.index(c) for c in out))


def _letters(equation: str, operands: int) -> tuple[str, str, str]:
    """The axes of both operands and of the result."""
    text, arrow, out = equation.replace(" ", "").partition("->")
    parts = text.split(",")
    if operands != 2 or len(parts) != 2 or "." in equation:
        raise Refused(
            f"its equation is {equation!r}, and products of two operands without an ellipsis are supported"
        )
    out = out if arrow else "".join(c for c in sorted(set(text) - {","}) if text.count(c) == 1)
    lonely = [c for one, other in (parts, parts[::-1]) for c in one if c not in other and c not in out]
    if any(len(set(part)) < len(part) for part in (*parts, out)) or lonely or not set(out) <= set(text):
        raise Refused(f"its equation is {equation!r}, which is more than one product of matrices")
    return parts[0], parts[1], out


def _dims(operand: Operand) -> tuple[int, ...]:
    return () if operand is None else operand.dims if isinstance(operand, OnnxValue) else operand.shape


def _turned(step: OnnxStep, operand: Operand, letters: str, order: list[str], dims: tuple[int, ...]) -> Any:
    """The operand with its axes in this order, some of them joined."""
    permutation = tuple(letters.index(c) for c in order)
    if isinstance(operand, OnnxValue):
        return step.builder.reshaped(relabelled(operand, permutation), dims, f"{step.name}_joined")
    return np.asanyarray(operand).transpose(permutation).reshape(dims)


@operator(
    "CumSum", "Dense with a triangle of ones", "along the batch axis; axes that are computed; long axes"
)
def cumulative_sum(step: OnnxStep) -> OnnxValue:
    """CumSum."""
    x = step.value(0)
    axis = axis_of(int(step.constant(1, "axis").reshape(())), len(x.dims))
    count = x.dims[axis]
    if axis == x.batch:
        raise Refused("it adds along the batch axis")
    if count > MOST_TERMS:
        raise Refused(f"it adds along {count} elements, and {MOST_TERMS} is the most")
    ones = np.triu(np.ones((count, count), np.float32), int(bool(step.attribute("exclusive", 0))))
    ones = ones[::-1, ::-1] if step.attribute("reverse", 0) else ones
    rank = len(x.dims)
    last = (*(a for a in range(rank) if a != axis), axis)
    made = times_matrix(step, relabelled(x, last), np.ascontiguousarray(ones), None)
    return relabelled(made, tuple(last.index(a) for a in range(rank)))
