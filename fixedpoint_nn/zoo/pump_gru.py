# SPDX-License-Identifier: MIT
"""A GRU that forecasts the next reading of a pump; a large forecast error indicates a fault."""

from __future__ import annotations

from fixedpoint_nn.zoo.forecaster import forecaster

ENTRY = forecaster("pump_gru", "gru")
