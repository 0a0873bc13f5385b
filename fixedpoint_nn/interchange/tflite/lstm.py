# SPDX-License-Identifier: MIT
"""UNIDIRECTIONAL_SEQUENCE_LSTM with 8-bit inputs and states and 16-bit cells."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant, integer_format
from fixedpoint_nn.interchange.affine.gemmlowp import SHORT
from fixedpoint_nn.interchange.affine.lstm import IntegerLSTM, Share
from fixedpoint_nn.interchange.affine.rescale import Clamp, Rescale
from fixedpoint_nn.interchange.affine.rescaling import rescaled_twice
from fixedpoint_nn.interchange.affine.sums import sums_of
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.products import weights_of
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, checked
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

TANH = 4
MOST_STEPS = 4096
GATE_SCALE = np.float32(2.0**-12)
# Indices of the operator's inputs, in the layer's order of columns.
INPUT, FORGET, CELL, OUTPUT = 0, 1, 2, 3
FROM_INPUT, FROM_STATE, FROM_CELL, BIAS = 1, 5, 9, 12
PROJECTION, PROJECTION_BIAS, STATE, CELL_STATE, NORMS = 16, 17, 18, 19, (20, 21, 22, 23)
WIDER = (-(1 << 16), (1 << 16) - 1)  # values beyond saturate 16 bits, whatever is added
CODES = (-(1 << 15), (1 << 15) - 1)


def lstm(step: TfliteStep) -> Made:
    """Convert UNIDIRECTIONAL_SEQUENCE_LSTM: one layer over all time steps, from a state of zeros."""
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
        "one": fixed_constant(np.asarray((1 << 15) - 1), 15) if coupled else None,
    }
    if step.options["CellClip"] > 0:
        most = int(
            min(max(np.float32(step.options["CellClip"]) / np.float32(cell.scale), CODES[0]), CODES[1])
        )
        about["clip"] = Clamp(None, -most, most, None)
    if step.has(FROM_CELL + OUTPUT - 1):
        if output.shape[-1] > n:
            raise Unsuited(f"has peepholes of {n} cells and a projection to {output.shape[-1]} values")
        about |= _peepholes(step, [*([] if coupled else [INPUT]), FORGET], power, n, output.shape[-1])
    hidden = _hidden_tensor(step)
    if step.has(PROJECTION):
        # Before a projection the kernel subtracts the zero point of the hidden values, and adds it in the product.
        ends = output.codes[0] + hidden.zero, output.codes[1] + hidden.zero
        about["projection"] = _projection(step, hidden, output, n)
        rescale = _hidden(step, hidden, hidden.zero, ends)
    else:
        rescale = _hidden(step, hidden, output.zero, output.centred)
    layer = IntegerLSTM(of_input, of_state, rescale, n, coupled, **about)
    return Made(layer, (x,), output.centred)


def _checked(step: TfliteStep, output: TfliteTensor) -> tuple[TfliteTensor, TfliteTensor]:
    """(state tensor, cell tensor); raises Unsuited for unsupported options."""
    x = step.value(0)
    if step.same_type(x.tensor, output) != "int8" or len(x.shape) != 2:
        raise Unsuited(
            f"takes a value of {x.tensor.dtype} and shape {x.tensor.shape}, and (1, time, n) of int8 is needed"
        )
    if x.shape[0] > MOST_STEPS:
        raise Unsuited(f"has {x.shape[0]} steps in time, and {MOST_STEPS} is the most")
    if step.options["TimeMajor"]:
        raise Unsuited("has time as its first axis")
    if step.options["FusedActivationFunction"] != TANH:
        raise Unsuited("has another activation than TANH")
    if any(step.has(place) for place in NORMS):
        raise Unsuited("has layer normalisation")
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
    step: TfliteStep,
    gates: list[int],
    place: int,
    source: TfliteTensor,
    values: tuple[int, int],
    n: int,
    codes: tuple[int, int],
    bias: int | None,
) -> Share:
    """The share of `source` in all gates, concatenated."""
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
        fixed_constant(matrix.T),
        None if added is None else fixed_constant(added),
        exact(*sums, f"{name}.sum"),
        rescaled_twice(reals, sums, codes, name),
    )


def _bias(step: TfliteStep, place: int, n: int) -> Ints:
    bias = step.constant(place)
    if bias.dtype != "int32" or bias.shape != (n,) or bias.data is None:
        raise Unsuited(f"has the bias {bias.name!r} of {bias.dtype} and shape {bias.shape}")
    return bias.data.astype(np.int64)


def _peepholes(step: TfliteStep, inner: list[int], power: int, n: int, outputs: int) -> dict[str, Any]:
    """The peephole weights of the gates; the output gate sees the new cell."""
    places = [FROM_CELL + gate for gate in inner], [FROM_CELL + OUTPUT - 1]
    names = "peephole_rescale", "output_peephole_rescale"
    made: dict[str, Any] = {}
    every: list[Ints] = []
    for name, group in zip(names, places):
        reals: list[float] = []
        for place in group:
            weight = step.constant(place)
            if (
                weight.dtype != "int16"
                or weight.shape != (n,)
                or len(weight.scales) != 1
                or weight.data is None
            ):
                raise Unsuited(
                    f"has the peepholes {weight.name!r} of {weight.dtype} and shape {weight.shape}"
                )
            # The kernel iterates over as many cells as the state has values, which is wrong with a projection.
            every.append(weight.data.astype(np.int64) * (np.arange(n) < outputs))
            reals += [float(np.float32(2.0**power * weight.scale / float(GATE_SCALE)))] * n
        most = int(np.abs(np.concatenate(every[-len(group) :])).max()) << 15
        made[name] = rescaled_twice(reals, (-most, most), WIDER, f"{step.name}.{name}")
    every_one = np.concatenate(every)
    most = int(np.abs(every_one).max()) << 15
    return {**made, "peepholes": fixed_constant(every_one), "seen": exact(-most, most, f"{step.name}.seen")}


def _projection(step: TfliteStep, hidden: TfliteTensor, output: TfliteTensor, n: int) -> Share:
    """The projection from the cells' outputs to the state, which may have another size."""
    weight = step.constant(PROJECTION)
    ints = weights_of(weight)
    if len(weight.scales) != 1 or ints.shape != (output.shape[-1], n) or weight.zero:
        raise Unsuited(
            f"has the weights {weight.name!r} of shape {weight.shape} and {len(weight.scales)} scales"
        )
    bias = _bias(step, PROJECTION_BIAS, len(ints)) if step.has(PROJECTION_BIAS) else None
    low, high = output.codes
    if step.options["ProjClip"] > 0:
        most = int(min(max(np.float32(step.options["ProjClip"]) / np.float32(output.scale), low), high))
        low, high = max(low, -most), min(high, most)
    values = output.codes[0] + hidden.zero, output.codes[1] + hidden.zero
    sums = sums_of(ints, bias, *values)
    real = float(np.float32(weight.scale) * np.float32(hidden.scale) / np.float32(output.scale))
    codes = low - output.zero, high - output.zero
    if codes[0] > 0 or codes[1] < 0:
        raise Unsuited(
            f"clips its projection to {low}..{high}, which does not hold the zero point {output.zero}"
        )
    name = f"{step.name}.projection"
    return Share(
        fixed_constant(ints.T),
        None if bias is None else fixed_constant(bias),
        exact(*sums, f"{name}.sum"),
        rescaled_twice(real, sums, codes, name),
    )


def _hidden_tensor(step: TfliteStep) -> TfliteTensor:
    if len(step.operator.intermediates) != 5:
        raise Unsuited(f"has {len(step.operator.intermediates)} intermediate tensors, and 5 are needed")
    hidden = step.tensors[step.operator.intermediates[4]]
    if len(hidden.scales) != 1 or not hidden.scale > 0 or not -128 <= hidden.zero <= 127:
        raise Unsuited(
            f"has hidden values with the scales {hidden.scales[:2]} and the zero point {hidden.zero}"
        )
    return hidden


def _hidden(step: TfliteStep, hidden: TfliteTensor, zero: int, codes: tuple[int, int]) -> Rescale:
    """The rescaling of o * tanh(c), in units of 2**-30, to centred codes."""
    real = float(np.float32(2.0**-15 / hidden.scale * 2.0**-15))
    most = ((1 << 15) - 1) << 15
    name = f"{step.name}.hidden"
    if hidden.zero == zero:
        return rescaled_twice(real, (-most, most), codes, name)
    wide = -512, 511
    rescale = rescaled_twice(real, (-most, most), wide, name)
    low, high = codes[0] + zero, codes[1] + zero
    table = ValueTable.of(
        "clamp",
        lambda v: min(max(v + hidden.zero, low), high) - zero,
        integer_format(*wide),
        integer_format(*codes),
    )
    return replace(rescale, clamp=Clamp(table))


@lru_cache(maxsize=16)
def _table(name: str, integer_bits: int, source: QFormat) -> ValueTable:
    """A table over 16-bit integers that represent raw * 2**(integer_bits - 15), with entries in units of 2**-15."""
    codes = np.arange(CODES[0], CODES[1] + 1)
    if name == "sigmoid":
        return ValueTable(
            name, source, Quantizer(UQ(0, 15)), tuple(SHORT.logistic(codes, integer_bits).tolist())
        )
    return ValueTable(name, source, Quantizer(Q(1, 15)), tuple(SHORT.tanh(codes, integer_bits).tolist()))
