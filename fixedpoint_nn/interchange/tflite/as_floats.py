# SPDX-License-Identifier: MIT
"""A file with quantised weights, or quantised values too, as the float network that was quantised.

With weights of 8 bits beside floats, TFLite rounds the floats while it runs, each array by a scale of its own, so such
a file has no integers of its own. A ReLU before a quantiser is an operator, or an operator's fused activation, in
every TFLite file, so the ranges of codes need not be kept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteTensor
from fixedpoint_nn.numerics.arrays import Array


def as_floats(model: TfliteModel) -> TfliteModel:
    """The model over real numbers, with dequantised constants; tensors without a scale stay as they are."""
    return replace(model, tensors=tuple(map(_as_floats, model.tensors)))


def _as_floats(tensor: TfliteTensor) -> TfliteTensor:
    if not tensor.scales or tensor.dtype.startswith("float"):
        return tensor
    data = None if tensor.data is None else real_values(tensor)
    return replace(tensor, dtype="float32", scales=(), zeros=(), data=data)


def real_values(tensor: TfliteTensor) -> Array:
    """The floats of a constant: of 16 bits, or codes with a scale."""
    if tensor.data is None:
        raise Unsuited(f"has the input {tensor.name!r}, which is computed")
    if tensor.data.dtype.kind == "f":
        return tensor.data.astype(np.float32)
    if len(tensor.scales) not in (1, tensor.shape[tensor.axis] if tensor.shape else 1):
        raise Unsuited(f"has the input {tensor.name!r} with {len(tensor.scales)} scales")
    shape = [1] * len(tensor.shape)
    if len(tensor.scales) > 1:
        shape[tensor.axis] = -1
    scales, zeros = np.asarray(tensor.scales, np.float32), np.asarray(tensor.zeros or (0,))
    codes = tensor.data.astype(np.float64) - zeros.reshape(shape if zeros.size > 1 else ())
    found: Array = codes.astype(np.float32) * scales.reshape(shape if scales.size > 1 else ())
    return found.astype(np.float32)
