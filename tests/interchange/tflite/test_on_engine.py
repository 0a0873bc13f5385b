# SPDX-License-Identifier: MIT
"""Random operators with all their options on the twin of the engine, with multipliers for their scales and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedpoint_nn import FixedArray, from_tflite
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from tests.support.tflite_operators import models

OPERATORS = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "AVERAGE_POOL_2D",
    "MEAN",
    "ADD",
    "SUB",
    "MUL",
)


def words(lowered: CompiledNetwork, sample: np.ndarray) -> np.ndarray:
    """What the engine's twin makes of one sample."""
    twin = Twin(lowered.config, lowered.images, lowered.input, sample.reshape(-1))
    twin.run()
    return twin.memory[lowered.output.addresses()].reshape(lowered.output.shape)


@pytest.mark.parametrize("operator", OPERATORS)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_engine_gives_the_words_of_the_network(operator: str, data: Any) -> None:
    blob, samples = data.draw(models(operator, 8))
    try:
        network = from_tflite(blob)
    except ValueError:
        return  # what is not converted is refused in a sentence, and tested elsewhere
    x = FixedArray.from_ints(samples[:2].astype(np.int64), network.input.format)
    due = network(x).ints
    for multiplier in (0, 32):
        try:
            lowered = lower(network.net, x.shape[1:], x.format, multiplier=multiplier)
        except LoweringError as error:
            assert "engine" in str(error)
            continue
        for sample, expected in zip(x.ints, due, strict=True):
            assert np.array_equal(words(lowered, sample), expected)
