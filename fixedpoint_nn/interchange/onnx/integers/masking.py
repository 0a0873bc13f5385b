# SPDX-License-Identifier: MIT
"""Add, with attention masks: what a file sets to minus infinity is an integer whose share of a softmax is 0."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact
from fixedpoint_nn.interchange.onnx.builder import beside
from fixedpoint_nn.interchange.onnx.integers.elementwise import added, repeated
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, MaskedReals, reals
from fixedpoint_nn.interchange.onnx.integers.normalizing import scale_of_row
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.masks import hides, masked, without_mask
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

GONE = 21.0  # exp(-21) is less than half of the unit of a softmax's shares


@operator("Add")
def add(step: IntegerStep) -> OnnxValue:
    """Convert Add."""
    for place, operand in enumerate(step.operands[:2]):
        if isinstance(operand, np.ndarray) and step.rounding is None and hides(np.asarray(operand)):
            return _hidden(step, step.value(1 - place, kind=""), np.asarray(operand))
    return added(step)


def _hidden(step: IntegerStep, v: OnnxValue, mask: Array) -> OnnxValue:
    """The value whose hidden elements are so far below all others that their exponentials are 0."""
    more, kept = without_mask(mask)
    if more.any():
        raise Refused("its constant is a mask and other numbers in one; add one after the other")
    kept = masked(v, kept).kind.kept  # of a shape that fits
    kind = reals(v)
    low = kind.low - ceil(GONE / scale_of_row(v))
    limits = beside(np.where(kept, kind.high, low), v)
    try:
        layer = layers.Minimum(exact(low, kind.high, f"{step.name}.out"))
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None
    spread = repeated(step, v, limits, Codes(low, kind.high))
    node = step.builder.add(step.name, layer, v.node, spread.node)
    meant: Any = MaskedReals(replace(kind, low=low, zero=None), kept)
    return replace(v, node=node, kind=meant, flat=None)
