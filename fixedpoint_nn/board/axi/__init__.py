# SPDX-License-Identifier: MIT
"""The engine behind AXI: its registers and its driver."""

from fixedpoint_nn.board.axi.engine import AxiEngine
from fixedpoint_nn.board.axi.wire import DevMem, Wire

__all__ = ["AxiEngine", "DevMem", "Wire"]
