# SPDX-License-Identifier: MIT
"""Boards: an engine behind a serial line, its driver, and the way from a pack to a bitstream."""

from fixedpoint_nn.board.engine import Engine
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.ports import SerialPort

__all__ = ["BoardError", "Engine", "SerialPort"]
