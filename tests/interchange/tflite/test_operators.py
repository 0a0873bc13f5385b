# SPDX-License-Identifier: MIT
"""Every operator with all of its options, against the reference kernels of TFLite's interpreter: integers equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn.interchange.tflite import from_tflite
from tests.support.tflite_models import run
from tests.support.tflite_operators import MAKERS, models

TRIES = 12
EIGHT_BITS_ONLY = ("RELU_N1_TO_1", "RELU_0_TO_1")  # the interpreter's too


@pytest.mark.parametrize(
    ("operator", "bits"),
    [(name, bits) for name in MAKERS for bits in (8, 16) if bits == 8 or name not in EIGHT_BITS_ONLY],
)
def test_integers_are_the_interpreters(operator: str, bits: int) -> None:
    @settings(max_examples=TRIES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data: st.DataObject) -> None:
        blob, samples = data.draw(models(operator, bits))
        expected = run(blob, samples)
        assert np.array_equal(from_tflite(blob)(samples).ints, expected)

    check()
