# SPDX-License-Identifier: MIT
"""SVDF: filters over features and time, whose state one call leaves to the next."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.affine.filters import RememberedFeatures, TimeFilters
from fixedpoint_nn.interchange.affine.rescaling import rescaled_twice
from fixedpoint_nn.interchange.affine.sums import sums_of
from fixedpoint_nn.interchange.tflite.step import RELU, Made, TfliteStep

LARGEST = (1 << 31) - 1


def svdf(step: TfliteStep) -> list[Made]:
    """Convert SVDF of 8 bits, with a state of 16: its output, and the state after it."""
    x, state, (output, _) = step.value(0), step.value(4), step.outputs()
    features, times = step.constant(1), step.constant(2)
    rank = int(step.options["Rank"])
    if step.same_type(x.tensor, output, features) != "int8" or step.same_type(state.tensor, times) != "int16":
        raise Unsuited("has values or weights of other types than int8, and int16 for its state")
    if step.options["FusedActivationFunction"] != RELU:
        raise Unsuited("has another activation than RELU, which is TFLite's only one for integers")
    filters, memory = times.shape if len(times.shape) == 2 else (0, 0)
    inputs = x.shape[-1] if len(x.shape) == 1 else 0
    fits = (
        features.shape == (filters, inputs)
        and state.shape == (filters * memory,)
        and filters * memory * inputs
    )
    if not fits or rank < 1 or filters % rank or output.shape != (1, filters // rank):
        raise Unsuited(f"has weights of the shapes {features.shape} and {times.shape}, and the rank {rank}")
    if not all(len(tensor.scales) == 1 for tensor in (features, times)):
        raise Unsuited("has weights with several scales, and one is supported")
    assert features.data is not None and times.data is not None
    rows, over = features.data.astype(np.int64), times.data.astype(np.int64)
    step.work = rows.size + over.size
    sums = sums_of(rows, None, *x.range)
    ends = state.tensor.codes
    name = step.name
    newest = rescaled_twice(
        x.tensor.scale * features.scale / state.tensor.scale, sums, ends, f"{name}.feature"
    )
    kept = RememberedFeatures(
        fixed_constant(rows.T), memory, exact(*sums, f"{name}.sum"), newest, exact(*ends, f"{name}.state")
    )
    bias = step.constant(3).data if step.has(3) else None
    if bias is not None and (bias.dtype.name != "int32" or bias.shape != output.shape[1:]):
        raise Unsuited(f"has a bias of {bias.dtype.name} and shape {bias.shape}")
    ints = None if bias is None else bias.astype(np.int64)
    totals = sums_of(over.reshape(filters // rank, rank * memory), ints, *ends)
    if max(-sums[0], sums[1]) >> 31:
        raise Unsuited(f"has sums of up to {max(-sums[0], sums[1])}, and TFLite's have 32 bits")
    totals = max(totals[0], -LARGEST), min(totals[1], LARGEST)  # they wrap around, as TFLite's do
    most = int(np.abs(over).max()) * (1 << 15)
    codes = output.centred
    filtered = TimeFilters(
        kept,
        fixed_constant(over.reshape(-1)),
        None if ints is None else fixed_constant(ints),
        rank,
        exact(-most, most, f"{name}.product"),
        exact(*totals, f"{name}.total"),
        rescaled_twice(state.tensor.scale * times.scale / output.scale, totals, codes, name),
    )
    return [Made(filtered, (x, state), codes), Made(kept, (x, state), ends)]
