# SPDX-License-Identifier: MIT
"""Precision: calibration, quantising, training for few bits, sweeps and searches of bit widths."""

from fixedpoint_nn.precision.calibrate import calibrate
from fixedpoint_nn.precision.fake import FakeQuantized, fake_quantize
from fixedpoint_nn.precision.few_bits import Course, few_bits_plan, train_few_bits
from fixedpoint_nn.precision.metric import Metric
from fixedpoint_nn.precision.observe import Observations, observe
from fixedpoint_nn.precision.plan import Plan, PlanError
from fixedpoint_nn.precision.point import Absent, Point, Sweep
from fixedpoint_nn.precision.problem import Training
from fixedpoint_nn.precision.qat import Trained, train_quantized
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.precision.recipe import Recipe
from fixedpoint_nn.precision.sweep import sweep
from fixedpoint_nn.precision.value_ranges import RangeMethod

__all__ = [
    "Absent",
    "Course",
    "FakeQuantized",
    "Metric",
    "Observations",
    "Plan",
    "PlanError",
    "Point",
    "RangeMethod",
    "Recipe",
    "Sweep",
    "Trained",
    "Training",
    "calibrate",
    "fake_quantize",
    "few_bits_plan",
    "observe",
    "quantize",
    "sweep",
    "train_few_bits",
    "train_quantized",
]
