# SPDX-License-Identifier: MIT
"""An engine behind AXI: its registers, and the driver that reads and writes them."""

from fixedpoint_nn.board.axi.engine import AxiEngine
from fixedpoint_nn.board.axi.wire import DevMem, Wire

__all__ = ["AxiEngine", "DevMem", "Wire"]
