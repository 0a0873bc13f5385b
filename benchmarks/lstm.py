# SPDX-License-Identifier: MIT
"""LSTM, hidden 64, vocabulary 30, 12 steps, 16 bits: sequences per second."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.timing import Comparison, Engine, Target, compare
from benchmarks.uniform import uniform
from fixedpoint_nn.layers import Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import UQ, Q
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.precision import calibrate, quantize

TITLE = "LSTM, hidden 64, vocabulary 30, 12 steps, 1,024 sequences"
SEQUENCES, STEPS, SYMBOLS, HIDDEN = 1024, 12, 30, 64
TARGETS = (Target("fixedpoint_nn, 16 bits", "NumPy float32", 0.6),)


def plain_loop(net: Any) -> Any:
    """The same formulas in NumPy float32, step by step."""
    cell = net["lstm"].cells[0]
    by_input, by_state, bias = (p.data for p in (cell.input_weight, cell.state_weight, cell.bias))
    head, head_bias = net["head"].weight.data, net["head"].bias.data
    one_hot = np.eye(SYMBOLS, dtype=np.float32)

    def sigmoid(x: Array) -> Array:
        return 1 / (1 + np.exp(-x))

    def run(ids: Array) -> Array:
        x, outputs = one_hot[ids], []
        h = c = np.zeros((len(ids), HIDDEN), np.float32)
        for t in range(STEPS):
            z = x[:, t] @ by_input + h @ by_state + bias
            i, f, o = (sigmoid(z[:, k * HIDDEN : (k + 1) * HIDDEN]) for k in range(3))
            c = f * c + i * np.tanh(z[:, 3 * HIDDEN :])
            h = o * np.tanh(c)
            outputs.append(h)
        return np.stack(outputs, axis=1) @ head + head_bias

    return run


def run(rounds: int, clock: str) -> list[Comparison]:
    make = Initialiser(0)
    net = Sequential(
        embedding=make.one_hot(SYMBOLS), lstm=make.lstm(SYMBOLS, HIDDEN), head=make.dense(HIDDEN, SYMBOLS)
    )
    ids = np.random.default_rng(0).integers(0, SYMBOLS, (SEQUENCES, STEPS))
    sixteen = Quantizer(Q(6, 10))
    fixed = uniform(net, sixteen, sixteen, Quantizer(UQ(5, 0)))
    calibrated = quantize(net, calibrate(net, ids[:256], word=16))
    plain = plain_loop(net)
    assert np.abs(plain(ids) - fixed(ids).to_float()).max() < 0.02, "not the same formulas"
    engines = [
        Engine("NumPy float32", lambda: plain(ids), SEQUENCES),
        Engine("fixedpoint_nn, 16 bits", lambda: fixed(ids), SEQUENCES),
        Engine("fixedpoint_nn, 16 bits, calibrated", lambda: calibrated(ids), SEQUENCES),
    ]
    return [compare(TITLE, engines, "sequences", rounds, clock, TARGETS)]
