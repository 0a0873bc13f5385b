# SPDX-License-Identifier: MIT
"""UNIDIRECTIONAL_SEQUENCE_LSTM of float models, as ONNX's LSTM: Keras' LSTM becomes this one operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.float_step import FloatStep
from fixedpoint_nn.numerics.arrays import Array

TANH = 4  # a fused activation
ORDER = (0, 3, 1, 2)  # TFLite's gates i, f, c, o as ONNX's i, o, f, c
WEIGHTS, RECURRENCE, PEEPHOLES, BIASES, PROJECTION, NORMS = 1, 5, 9, 12, 16, 20


def sequence_lstm(step: FloatStep) -> str:
    """Translate UNIDIRECTIONAL_SEQUENCE_LSTM; without weights of the input gate, that gate is 1 - the forget gate."""
    options = step.options
    if options.get("FusedActivationFunction", 0) != TANH:
        raise Unsuited("has another activation than TANH")
    for name in ("CellClip", "ProjClip"):
        if options.get(name, 0):
            raise Unsuited(f"has the limit {name} {options[name]:.6g}, which floats do not support")
    if step.has(PROJECTION) or any(step.has(NORMS + gate) for gate in range(4)):
        raise Unsuited("has a projection or a layer normalisation, which floats do not support")
    coupled = not step.has(WEIGHTS)

    def gates(first: int) -> Array:
        parts: list[Any] = [step.data(first + gate) if step.has(first + gate) else None for gate in range(4)]
        if coupled:  # 1 - sigmoid(z) = sigmoid(-z)
            parts[0] = -parts[1]
        return np.concatenate([parts[gate] for gate in ORDER])[np.newaxis].astype(np.float32)

    bias = gates(BIASES)
    inputs = [
        _time_first(step, step.input(0)),
        *(step.constant(gates(part)) for part in (WEIGHTS, RECURRENCE)),
    ]
    inputs += [step.constant(np.concatenate([bias, np.zeros_like(bias)], 1))]
    if step.has(PEEPHOLES + 1):
        seen = [step.data(PEEPHOLES + gate) if step.has(PEEPHOLES + gate) else None for gate in range(3)]
        first = -np.asarray(seen[1]) if coupled else seen[0]
        joined = np.concatenate([np.asarray(part) for part in (first, seen[2], seen[1])])
        inputs += ["", "", "", step.constant(joined[np.newaxis].astype(np.float32))]
    made = step.add("LSTM", inputs, hidden_size=step.output().shape[-1])
    plain = step.add("Squeeze", [made, step.constant([1], np.int64)])
    return _time_first(step, plain)


def _time_first(step: FloatStep, name: str) -> str:
    """A sequence with its first two axes exchanged, unless the file itself has time first."""
    if step.options.get("TimeMajor", False):
        raise Unsuited("has time before the batch, which is supported for the batch first only")
    turned: str = step.add("Transpose", [name], perm=[1, 0, 2])
    return turned
