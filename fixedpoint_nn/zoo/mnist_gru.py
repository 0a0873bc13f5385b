# SPDX-License-Identifier: MIT
"""A GRU that reads a digit row by row: 28 steps of 28 pixels."""

from __future__ import annotations

from fixedpoint_nn.zoo.digit_rows import row_reader

ENTRY = row_reader("mnist_gru", "gru", "a GRU", rate=2e-3, accuracy=0.985)
