# SPDX-License-Identifier: MIT
"""Boards: drivers of an engine behind a serial line or AXI, bitstreams from packs, and engines within a budget."""

from fixedpoint_nn.board.chips import Budget, find_budget
from fixedpoint_nn.board.choice import fastest
from fixedpoint_nn.board.comparison import Alternative, alternatives
from fixedpoint_nn.board.engine import Engine
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.ports import SerialPort

__all__ = [
    "Alternative",
    "BoardError",
    "Budget",
    "Engine",
    "SerialPort",
    "alternatives",
    "fastest",
    "find_budget",
]
