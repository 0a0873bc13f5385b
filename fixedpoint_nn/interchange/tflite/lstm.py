# SPDX-License-Identifier: MIT
"""UNIDIRECTIONAL_SEQUENCE_LSTM with 8-bit inputs and states and 16-bit cells."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, constant, exact, whole
from fixedpoint_nn.interchange.affine.gemmlowp import SHORT
from fixedpoint_nn.interchange.affine.lstm import IntegerLSTM, Share
from fixedpoint_nn.interchange.affine.rescale import Clamp, Rescale, rescaled_twice
from fixedpoint_nn.interchange.tflite.model import Tensor
from fixedpoint_nn.interchange.tflite.products import sums_of, weights_of
from fixedpoint_nn.interchange.tflite.step import Made, Step, checked
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

TANH = 4
GATE_SCALE = np.float32(2.0**-12)
# Places among the operator's inputs, in the order in which the layer has its columns.
INPUT, FORGET, CELL, OUTPUT = 0, 1, 2, 3
FROM_INPUT, FROM_STATE, FROM_CELL, BIAS = 1, 5, 9, 12
PROJECTION, PROJECTION_BIAS, STATE, CELL_STATE, NORMS = 16, 17, 18, 19, (20, 21, 22, 23)
WIDER = (-(1 << 16), (1 << 16) - 1)  # what is past it saturates 16 bits, whatever is added
CODES = (-(1 << 15), (1 << 15) - 1)


def lstm(step: Step) -> Made:
    """One layer over all time steps, which starts from zeros."""
    x, output = step.value(0), step.output()
    state, cell = _checked(step, output)
    n = step.tensor(FROM_STATE + FORGET).shape[0]
    coupled = not step.has(FROM_INPUT + INPUT)
    gates = [FORGET, OUTPUT, CELL] if coupled else [INPUT, FORGET, OUTPUT, CELL]
    of_input = _share(step, gates, FROM_INPUT, x.tensor, x.range, n, CODES, BIAS)
    of_state = _share(step, gates, FROM_STATE, state, state.centred, n, WIDER, None)
    power = int(np.frexp(cell.scale)[1]) - 1
    cells = Q(16 + power, -power)
    about: dict[str, Any] = {
        "sigmoid": _table("sigmoid", 3, Q(16, 0)),
        "tanh": _table("tanh", 3, Q(16, 0)),
        "cell_tanh": _table("tanh", 15 + power, cells),
        "gate": Quantizer(Q(16, 0), Rounding.FLOOR, Overflow.SATURATE, f"{step.name}.gate"),
        "product": Quantizer(
            Q(18 + power, -power), Rounding.HALF_AWAY, Overflow.SATURATE, f"{step.name}.product"
        ),
        "cell": Quantizer(cells, Rounding.FLOOR, Overflow.SATURATE, f"{step.name}.cell"),
        "state": exact(*output.centred, f"{step.name}.state"),
        "one": constant(np.asarray((1 << 15) - 1), 15) if coupled else None,
    }
    if step.options["CellClip"] > 0:
        most = int(
            min(max(np.float32(step.options["CellClip"]) / np.float32(cell.scale), CODES[0]), CODES[1])
        )
        about["clip"] = Clamp(None, -most, most, None)
    layer = IntegerLSTM(of_input, of_state, _hidden(step, output), n, coupled, **about)
    return Made(layer, (x,), output.centred)


def _checked(step: Step, output: Tensor) -> tuple[Tensor, Tensor]:
    """The state's and the cell's tensors, where nothing asks for what is not converted."""
    x = step.value(0)
    if step.same_type(x.tensor, output) != "int8" or len(x.shape) != 2:
        raise Unsuited(
            f"takes a value of {x.tensor.dtype} and shape {x.tensor.shape}, and (1, time, n) of int8 is needed"
        )
    if step.options["TimeMajor"]:
        raise Unsuited("has time as its first axis")
    if step.options["FusedActivationFunction"] != TANH:
        raise Unsuited("has another activation than TANH")
    for name, places in (("layer normalisation", NORMS), ("a projection", (PROJECTION, PROJECTION_BIAS))):
        if any(step.has(place) for place in places):
            raise Unsuited(f"has {name}")
    if any(step.has(FROM_CELL + gate) for gate in range(3)):
        raise Unsuited("has peepholes")
    state, cell = step.tensor(STATE), step.tensor(CELL_STATE)
    checked(state)
    checked(cell)
    if (
        cell.dtype != "int16"
        or np.frexp(cell.scale)[0] != 0.5
        or not -15 <= np.frexp(cell.scale)[1] - 1 <= -9
    ):
        raise Unsuited(
            f"has cells of {cell.dtype} with the scale {cell.scale}, and 2**-15 to 2**-9 are supported"
        )
    if (state.dtype, state.scales, state.zero) != (output.dtype, output.scales, output.zero):
        raise Unsuited("has a state and an output of different scales or zero points")
    return state, cell


def _share(
    step: Step,
    gates: list[int],
    place: int,
    source: Tensor,
    values: tuple[int, int],
    n: int,
    codes: tuple[int, int],
    bias: int | None,
) -> Share:
    """What `source` adds to all gates, side by side."""
    rows, reals, biases = [], [], []
    for gate in gates:
        weight = step.constant(place + gate)
        ints = weights_of(weight)
        if len(weight.scales) != 1 or ints.shape != (n, source.shape[-1]) or weight.zero:
            raise Unsuited(
                f"has the weights {weight.name!r} of shape {weight.shape} and {len(weight.scales)} scales"
            )
        rows.append(ints)
        reals += [float(np.float32(weight.scale) * np.float32(source.scale) / GATE_SCALE)] * n
        if bias is not None:
            biases.append(_bias(step, bias + gate, n))
    matrix = np.concatenate(rows)
    added = np.concatenate(biases) if biases else None
    sums = sums_of(matrix, added, *values)
    name = f"{step.name}.{'input' if bias is not None else 'state'}"
    return Share(
        constant(matrix.T),
        None if added is None else constant(added),
        exact(*sums, f"{name}.sum"),
        rescaled_twice(reals, sums, codes, name),
    )


def _bias(step: Step, place: int, n: int) -> Ints:
    bias = step.constant(place)
    if bias.dtype != "int32" or bias.shape != (n,) or bias.data is None:
        raise Unsuited(f"has the bias {bias.name!r} of {bias.dtype} and shape {bias.shape}")
    return bias.data.astype(np.int64)


def _hidden(step: Step, output: Tensor) -> Rescale:
    """o * tanh(c), in units of 2**-30, to the codes of the state."""
    if len(step.operator.intermediates) != 5:
        raise Unsuited(f"has {len(step.operator.intermediates)} intermediate tensors, and 5 are needed")
    hidden = step.tensors[step.operator.intermediates[4]]
    if len(hidden.scales) != 1 or not hidden.scale > 0:
        raise Unsuited("lacks the scale of its hidden values")
    real = float(np.float32(2.0**-15 / hidden.scale * 2.0**-15))
    low, high = output.centred
    most = ((1 << 15) - 1) << 15
    if hidden.zero == output.zero:
        return rescaled_twice(real, (-most, most), (low, high), f"{step.name}.hidden")
    wide = -512, 511
    rescale = rescaled_twice(real, (-most, most), wide, f"{step.name}.hidden")
    ends = output.codes
    table = ValueTable.of(
        "clamp",
        lambda v: min(max(v + hidden.zero, ends[0]), ends[1]) - output.zero,
        whole(*wide),
        whole(low, high),
    )
    return Rescale(
        rescale.multiplier, None, None, rescale.first, rescale.power, rescale.half, rescale.out, Clamp(table)
    )


@lru_cache(maxsize=16)
def _table(name: str, integer_bits: int, source: QFormat) -> ValueTable:
    """A curve of 16-bit integers that are worth raw * 2**(integer_bits - 15), in steps of 2**-15."""
    function = SHORT.logistic if name == "sigmoid" else SHORT.tanh
    return ValueTable.of(
        name,
        lambda raw: function(raw, integer_bits),
        source,
        UQ(0, 15) if name == "sigmoid" else Q(1, 15),
    )
