# SPDX-License-Identifier: MIT
"""The detector: scenes of any size, boxes off the integers, and off the words of the engine the same boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, calibrate, data, quantize, zoo
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.training.detection import RANGE, detections, mean_average_precision
from fixedpoint_nn.training.metrics import outputs

Real = Callable[..., Any]


@pytest.fixture(scope="module")
def scenes(real: Real) -> Any:
    return real(data.scenes, 400)


@pytest.fixture(scope="module")
def fixed(scenes: Any) -> Quantized:
    return quantize(zoo.load("detector"), calibrate(zoo.load("detector"), scenes[0].x[:200], word=8))


def same_boxes(first: Any, second: Any) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ("boxes", "classes", "scores")
    )


def test_a_scene_of_any_size_has_a_cell_for_eight_by_eight_pixels() -> None:
    net = zoo.build("detector")
    for height, width in ((16, 24), (64, 64), (128, 64)):
        assert net(np.zeros((1, height, width, 1), np.float32)).shape == (1, height // 8, width // 8, 15)


def test_eight_bits_cost_two_points_at_most(scenes: Any, fixed: Quantized) -> None:
    x, y = scenes[1].x, scenes[1].y
    real, integers = (detections(outputs(net, x)) for net in (zoo.load("detector"), fixed))
    assert mean_average_precision(real, y) - mean_average_precision(integers, y) < 0.02
    assert mean_average_precision(real, y, RANGE) - mean_average_precision(integers, y, RANGE) < 0.02
    assert mean_average_precision(integers, y) > 0.7


def test_the_engine_gives_the_words_and_so_the_boxes(scenes: Any, fixed: Quantized) -> None:
    corner = scenes[1].x[:2, 24:40, 24:40]  # 16 x 16 pixels: four cells, which Icarus does in seconds
    rtl = RtlModel(fixed, lanes=8, simulator="iverilog")
    given = rtl(corner)
    assert np.array_equal(given.ints, fixed(corner).ints)
    assert same_boxes(detections(given.to_float()), detections(outputs(fixed, corner)))
    assert rtl.outcome.cycles[0] == schedule(rtl.lowered((16, 16, 1)).instructions, 8).cycles


@pytest.mark.slow
@pytest.mark.parametrize(("simulator", "count"), [("verilator", 8), ("iverilog", 1)])
def test_whole_scenes_have_the_same_precision_on_the_engine(
    simulator: str, count: int, scenes: Any, fixed: Quantized
) -> None:
    x, y = scenes[1].x[:count], scenes[1].y[:count]
    rtl = RtlModel(fixed, lanes=8, simulator=simulator)
    given = rtl(x)
    assert np.array_equal(given.ints, fixed(x).ints)
    of_engine, of_model = detections(given.to_float()), detections(outputs(fixed, x))
    assert same_boxes(of_engine, of_model)
    assert mean_average_precision(of_engine, y) == mean_average_precision(of_model, y) > 0


def test_the_lanes_are_busy(fixed: Quantized) -> None:
    plan = schedule(lower(fixed.net, (64, 64, 1), fixed.input.format).instructions, 8)
    assert plan.utilisation > 0.98
    assert plan.cycles < 2_500_000
