# SPDX-License-Identifier: MIT
"""ResNet-50 on the Verilog; the other networks: test_whole_road.py, and the golden packs."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, calibrate, quantize, zoo
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.network.quantized import Quantized


@pytest.fixture(scope="module")
def network() -> tuple[Quantized, np.ndarray]:
    """The zoo's ResNet-50 with random weights, 8 bits: the engine's work does not depend on what the weights are."""
    net = zoo.build("resnet50")
    images = np.random.default_rng(0).random((3, 28, 28, 1)).astype(np.float32)
    return quantize(net, calibrate(net, images, word=8)), images[:1]


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["verilator", "iverilog"])
def test_resnet50_computes_the_same_integers(network, simulator):
    fixed, images = network
    rtl = RtlModel(fixed, simulator=simulator)
    assert np.array_equal(rtl(images).ints, fixed(images).ints)
    assert rtl.outcome.cycles == [schedule(rtl.lowered((28, 28, 1)).instructions, 8).cycles]


@pytest.mark.slow
def test_resnet50_uses_its_lanes(network):
    fixed, _ = network
    plan = schedule(lower(fixed.net, (28, 28, 1), fixed.input.format).instructions, 8)
    assert plan.utilisation > 0.95
