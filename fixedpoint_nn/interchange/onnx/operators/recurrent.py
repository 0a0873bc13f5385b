# SPDX-License-Identifier: MIT
"""LSTM, GRU and RNN: forward, reverse or bidirectional, with zero or given initial states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import tensor
from fixedpoint_nn.interchange.onnx.operators.gates import coupled, gate_functions
from fixedpoint_nn.interchange.onnx.step import OnnxStep, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

LIMITS = "activations ThresholdedRelu and Softsign; sequences of different lengths"


@operator("LSTM", "LSTM, Slice, Concat", LIMITS)
def lstm(step: OnnxStep) -> list[OnnxValue]:
    """Convert LSTM."""
    usual = ["Sigmoid", "Tanh", "Tanh"]
    peepholes = step.optional(7, "peepholes")
    seen = None if peepholes is None or not peepholes.any() else peepholes
    as_input = coupled(step, usual)

    def layer(w: Array, r: Array, bias: tuple[Array, Array], functions: list[Any], p: Array | None) -> Any:
        return _lstm_layer(w, r, bias[0] + bias[1], functions, p, as_input)

    return _recurrent(step, 4, usual, layer, states=2, peepholes=seen)


@operator("GRU", "GRU, Slice, Concat", LIMITS)
def gru(step: OnnxStep) -> list[OnnxValue]:
    """Convert GRU, with the reset before or after the product."""
    after = bool(step.attribute("linear_before_reset", 0))

    def layer(w: Array, r: Array, bias: tuple[Array, Array], functions: list[Any], _: Array | None) -> Any:
        return _gru_layer(w, r, bias, functions, after)

    return _recurrent(step, 3, ["Sigmoid", "Tanh"], layer, states=1)


@operator("RNN", "RNN, Slice, Concat", LIMITS)
def rnn(step: OnnxStep) -> list[OnnxValue]:
    """Convert RNN."""
    return _recurrent(step, 1, ["Tanh"], _rnn_layer, states=1)


def _lstm_layer(
    w: Array, r: Array, bias: Array, functions: list[Any], peepholes: Array | None, as_input: bool
) -> Any:
    """The LSTM layer; ONNX's order of gates is i, o, f, c, here it is i, f, o, c.

    With `as_input` the forget gate is 1 - sigmoid(z) of the input gate's z, so its weights are those of -z.
    """

    def columns(rows: Array, gates: int) -> Any:
        parts = np.split(rows, gates)
        if as_input:
            parts[2] = -parts[0]
        return tensor(np.concatenate([parts[gate] for gate in (0, 2, 1, 3)[:gates]]).T)

    cell = layers.LSTMCell(
        columns(w, 4),
        columns(r, 4),
        columns(bias, 4),
        sigmoid=functions[0],
        tanh=functions[1],
        cell_tanh=functions[2],
        peepholes=None if peepholes is None else columns(peepholes, 3),
    )
    return layers.LSTM((cell,))


def _gru_layer(w: Array, r: Array, bias: tuple[Array, Array], functions: list[Any], after: bool) -> Any:
    """The GRU layer; ONNX's order of gates is z, r, h, here r and z are together and h is separate."""
    both = bias[0] + bias[1]
    own = bias[0] if after else both
    cell = layers.GRUCell(
        _columns(w, 3, (1, 0)),
        _columns(r, 3, (1, 0)),
        _columns(both, 3, (1, 0)),
        _columns(w, 3, (2,)),
        _columns(r, 3, (2,)),
        _columns(own, 3, (2,)),
        _columns(bias[1], 3, (2,)) if after else None,
        after,
        *functions,
    )
    return layers.GRU((cell,))


def _rnn_layer(w: Array, r: Array, bias: tuple[Array, Array], functions: list[Any], _: Array | None) -> Any:
    return layers.RNN((layers.RNNCell(tensor(w.T), tensor(r.T), tensor(bias[0] + bias[1]), *functions),))


def _columns(rows: Any, gates: int, order: tuple[int, ...]) -> Any:
    """(gates * hidden, inputs) as (inputs, gates in `order` * hidden)."""
    parts = np.split(rows, gates)
    return tensor(np.concatenate([parts[gate] for gate in order]).T)


def _recurrent(
    step: OnnxStep, gates: int, usual: list[str], layer: Any, states: int, peepholes: Array | None = None
) -> list[OnnxValue]:
    """Convert an LSTM, GRU or RNN of one or two directions; returns its outputs."""
    w, r = step.constant(1, "weights"), step.constant(2, "recurrence weights")
    hidden, direction = (
        int(step.attribute("hidden_size", r.shape[-1])),
        step.attribute("direction", "forward"),
    )
    count = {"forward": 1, "reverse": 1, "bidirectional": 2}.get(direction, 0)
    if not count:
        raise Refused(f"its direction is {direction!r}")
    functions = gate_functions(step, usual, count)
    xs = _sequence(step)
    time, inputs = xs.dims[xs.order[0]], xs.dims[xs.order[1]]
    b = step.optional(3, "biases")
    biases = np.zeros((count, 2 * gates * hidden), np.float32) if b is None else b
    shapes = (count, gates * hidden, inputs), (count, gates * hidden, hidden), (count, 2 * gates * hidden)
    if (w.shape, r.shape, biases.shape) != shapes:
        raise Refused(
            f"weights of the shapes {[list(x.shape) for x in (w, r, biases)]} do not fit, direction {direction!r}"
        )
    if peepholes is not None and peepholes.shape != (count, 3 * hidden):
        raise Refused(
            f"its peepholes have the shape {list(peepholes.shape)}, and {[count, 3 * hidden]} is needed"
        )
    lengths = step.optional(4, "sequence_lens")
    if lengths is not None and not (lengths == time).all():
        raise Refused(
            f"its sequences have the lengths {lengths.tolist()}, and only full ones of {time} are supported"
        )
    directions = [
        _direction(
            step,
            xs,
            layer(
                w[d],
                r[d],
                (biases[d][: gates * hidden], biases[d][gates * hidden :]),
                functions[d],
                None if peepholes is None else peepholes[d],
            ),
            _states(step, xs, d, count, states, hidden),
            backwards=direction == "reverse" or d == 1,
            name=step.name if count == 1 else f"{step.name}_{'forward' if d == 0 else 'reverse'}",
        )
        for d in range(count)
    ]
    return _outputs(step, xs, directions, time, hidden)


def _sequence(step: OnnxStep) -> OnnxValue:
    """The input as (batch, time, features)."""
    x = step.value(0)
    batch_first = bool(step.attribute("layout", 0))
    if len(x.dims) != 3:
        raise Refused(f"its input has the shape {list(x.dims)}")
    x = step.builder.with_batch(x, 0 if batch_first else 1)
    return step.builder.arranged(x, (1, 2) if batch_first else (0, 2))


def _states(step: OnnxStep, xs: OnnxValue, d: int, count: int, states: int, hidden: int) -> list[str]:
    """The nodes of the initial states of one direction; none if they are zero."""
    found: list[str] = []
    for index in range(5, 5 + states):
        operand = step.operands[index] if step.given(index) else None
        name = f"{step.name}_first_{'hc'[index - 5]}"
        if operand is None:
            found.append("")
            continue
        batch = xs.batch
        assert batch is not None
        if isinstance(operand, OnnxValue):
            v = step.builder.with_batch(step.value(index), batch)
            if len(v.dims) != 3 or v.dims[1 - batch] != count or v.dims[2] != hidden:
                raise Refused(f"its first state has the shape {list(v.dims)}")
            v = step.builder.arranged(v, (1 - batch, 2))
            one = step.builder.add(f"{name}_{d}", layers.Slice(1, d, d + 1), v.node) if count > 1 else v.node
            found.append(step.builder.add(f"{name}_row", layers.Reshape((hidden,)), one))
            continue
        rows = operand.take(d, 1 - batch)
        if rows.shape[-1] != hidden:
            raise Refused(f"its first state has {rows.shape[-1]} features, and its hidden_size is {hidden}")
        if not (rows == rows[:1]).all():
            raise Refused("its first state differs from sample to sample")
        found.append(
            "" if not rows.any() else step.builder.add(name, layers.Repeated(tensor(rows[0])), xs.node)
        )
    if not any(found):
        return []
    zeros = layers.Repeated(tensor(np.zeros(hidden, np.float32)))
    return [node or step.builder.add(f"{step.name}_zeros", zeros, xs.node) for node in found]


def _direction(
    step: OnnxStep, xs: OnnxValue, layer: Any, states: list[str], backwards: bool, name: str
) -> tuple[str, str, str]:
    """The nodes of the output sequence, in the order of time, and of the final h and c."""
    add = step.builder.add
    source = add(f"{name}_turned", layers.Slice(1, None, None, -1), xs.node) if backwards else xs.node
    cell = ""
    if isinstance(layer, layers.LSTM) and _used(step, 2):
        both = add(name, layers.WithStates(layer), source, *states)
        ys, cell = add(f"{name}_sequence", layers.Pick(0), both), add(f"{name}_cell", layers.Pick(2), both)
    else:
        ys = add(name, layer, source, *states)
    last = add(f"{name}_last", layers.Slice(1, -1, None), ys)
    return add(f"{name}_in_order", layers.Slice(1, None, None, -1), ys) if backwards else ys, last, cell


def _used(step: OnnxStep, output: int) -> bool:
    return output < len(step.operation.outputs) and bool(step.operation.outputs[output])


def _outputs(
    step: OnnxStep, xs: OnnxValue, directions: Sequence[tuple[str, str, str]], time: int, hidden: int
) -> list[OnnxValue]:
    """Y (time, directions, batch, hidden) in the file's shape, and the final states (directions, batch, hidden)."""
    batch_first = xs.batch == 0
    batch, count = xs.dims[0 if batch_first else 1], len(directions)
    ys, last, cells = zip(*directions, strict=True)
    joined = _joined(step, "y", [_with_axis(step, y, (time, 1, hidden)) for y in ys], 2)
    if batch_first:
        y = OnnxValue(joined, (batch, time, count, hidden), (0, 1, 2, 3))
    else:
        y = OnnxValue(joined, (time, count, batch, hidden), (2, 0, 1, 3))
    results = [y]
    for nodes, number in ((last, 1), (cells, 2)):
        if not _used(step, number):
            if number == 1:
                results.append(y)
            continue
        rows = [_with_axis(step, node, (1, hidden)) for node in nodes]
        node = _joined(step, "h" if number == 1 else "c", rows, 1)
        dims, axes = (
            ((batch, count, hidden), (0, 1, 2)) if batch_first else ((count, batch, hidden), (1, 0, 2))
        )
        results.append(OnnxValue(node, dims, axes))
    return results[: len(step.operation.outputs)]


def _with_axis(step: OnnxStep, node: str, sizes: tuple[int, ...]) -> str:
    return step.builder.add(f"{node}_apart", layers.Reshape(sizes), node)


def _joined(step: OnnxStep, name: str, nodes: Sequence[str], axis: int) -> str:
    if len(nodes) == 1:
        return nodes[0]
    return step.builder.add(f"{step.name}_{name}", layers.Concat(axis), *nodes)
