# SPDX-License-Identifier: MIT
"""How few bits, where, and what it costs: calibrate, quantise, train for few bits, sweep, search."""

from fixedpoint_nn.precision.calibrate import Observations, calibrate, observe
from fixedpoint_nn.precision.plan import Plan, PlanError
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.precision.ranges import Method
from fixedpoint_nn.precision.recipe import Recipe

__all__ = ["Method", "Observations", "Plan", "PlanError", "Recipe", "calibrate", "observe", "quantize"]
