# SPDX-License-Identifier: MIT
"""ResNet-50 on the Verilog; the other networks of the zoo are the golden packs (tests/hardware/rtl/test_golden.py)."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, calibrate, quantize
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.zoo import resnet50


@pytest.fixture(scope="module")
def network() -> tuple[Quantized, np.ndarray]:
    """ResNet-50 for images of 32 x 32, random weights, 8 bits."""
    net = resnet50.build(0, size=32)
    images = np.random.default_rng(0).standard_normal((3, 32, 32, 3)).astype(np.float32)
    return quantize(net, calibrate(net, images, word=8)), images[:1]


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["verilator", "iverilog"])
def test_resnet50_computes_the_same_integers(network, simulator):
    fixed, images = network
    rtl = RtlModel(fixed, simulator=simulator)
    assert np.array_equal(rtl(images).ints, fixed(images).ints)
    assert rtl.outcome.cycles == [schedule(rtl.lowered((32, 32, 3)).instructions, 8).cycles]


@pytest.mark.slow
def test_resnet50_uses_its_lanes(network):
    fixed, _ = network
    plan = schedule(lower(fixed.net, (32, 32, 3), fixed.input.format).instructions, 8)
    assert plan.utilisation > 0.95
