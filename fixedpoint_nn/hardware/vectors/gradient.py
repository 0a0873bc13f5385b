# SPDX-License-Identifier: MIT
"""Gradient search for inputs that drive a layer's sums to the limits of its format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.vectors.stimuli import reads_tokens
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numerics.arrays import Ints

STARTS, STEPS = 16, 60  # inputs in parallel, each for another element; steps of each
STRIDE = 0.05  # as a share of the input's range


def ascend(
    program: Program, layer: str, samples: FixedArray, up: bool, rng: np.random.Generator
) -> Iterator[Ints]:
    """Batches of inputs, one per step, that drive the operand of the cast `layer` up or down; none for tokens.

    Half of them start from samples, half from random inputs.
    """
    path = cast_of(program, layer)
    if path is None or reads_tokens(program):
        return
    smooth, format = over_floats(program), samples.format
    lowest, highest = format.int_min * format.step, format.int_max * format.step
    x = rng.uniform(lowest, highest, (STARTS, *samples.shape[1:]))
    starts = samples.to_float()[rng.integers(0, len(samples), STARTS // 2)]
    x[: len(starts)] = starts
    for _ in range(STEPS):
        inputs, seen = Tensor(x.astype(np.float32)), _Last(path)
        smooth(inputs, watch=seen)
        if seen.value is None:
            return
        value = seen.value.reshape(STARTS, -1)
        wanted = np.zeros(value.shape)
        wanted[np.arange(STARTS), np.arange(STARTS) * value.shape[1] // STARTS] = 1 if up else -1
        value.backward(wanted)
        if inputs.grad is None:
            return
        x = np.clip(x + STRIDE * (highest - lowest) * np.sign(inputs.grad), lowest, highest)
        yield np.rint(x / format.step).astype(np.int64)


def cast_of(program: Program, layer: str) -> tuple[int, ...] | None:
    """The path to the operand of the cast `layer`: a node, or a scan and a node of its body; None if there is none."""
    for place, node in enumerate(program.nodes):
        if node.op == "cast" and node.name == layer:
            return (node.inputs[0],)
        if node.body is not None and (inside := cast_of(node.body, layer)) is not None:
            return (place, *inside)
    return None


def over_floats(program: Program) -> Program:
    """The program over floats: its constants are tensors without a gradient."""
    nodes = []
    for node in program.nodes:
        if node.value is not None:
            constant: Any = Tensor(node.value.to_float().astype(np.float32), needs_gradient=False)
            node = replace(node, value=constant)
        if node.body is not None:
            node = replace(node, body=over_floats(node.body))
        nodes.append(node)
    return replace(program, nodes=nodes)


class _Last:
    """An observer of a program that keeps the value of one node; within a scan, that of the last step."""

    def __init__(self, path: tuple[int, ...]) -> None:
        self.path = path
        self.value: Any = None

    def __call__(self, path: tuple[int, ...], value: Any) -> None:
        if path[::2] == self.path:
            self.value = value
