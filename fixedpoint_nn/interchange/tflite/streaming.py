# SPDX-License-Identifier: MIT
"""Running a network whose variables are inputs and outputs over consecutive samples."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.interchange.tflite.file import read
from fixedpoint_nn.interchange.tflite.model import TfliteModel
from fixedpoint_nn.interchange.tflite.states import without_variables
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.arrays import Array


def streamed(source: str | os.PathLike[str] | bytes, network: Quantized, *xs: ArrayLike) -> tuple[Array, ...]:
    """The samples of all inputs: `xs`, consecutive in time, and for each of them what the variables hold before it.

    `network` is that of the TFLite file `source`. Samples of the variables, too, are returned as they are.

    >>> inputs = streamed("wake_word.tflite", network, frames)  # doctest: +SKIP
    >>> y, *variables = network(*inputs)  # doctest: +SKIP
    """
    return states_before(without_variables(read(source)), network, xs)


def states_before(model: TfliteModel, network: Quantized, xs: Sequence[ArrayLike]) -> tuple[Array, ...]:
    """The same of a model that is read."""
    given = [np.asarray(x) for x in xs]
    outside = len(model.inputs) - len(model.states)
    if len(given) not in (outside, len(model.inputs)):
        raise ValueError(f"the model has {outside} inputs, and was given {len(given)} arrays of samples")
    if len(given) == len(model.inputs):
        return tuple(given)
    states = [state.initial for state in model.states]
    before: list[list[Array]] = [[] for _ in states]
    for samples in zip(*given, strict=True):
        for kept, state in zip(before, states, strict=True):
            kept.append(state)
        results = network(*(sample[np.newaxis] for sample in samples), *states)
        states = [result.ints for result in results[-len(states) :]]
    return (*given, *(np.concatenate(kept) for kept in before))
