# SPDX-License-Identifier: MIT
"""A page on this computer on which an engine reads what one draws, or writes."""

from fixedpoint_nn.board.demo.server import DemoServer
from fixedpoint_nn.board.demo.show import Answer, Model, Show, kind_of

__all__ = ["Answer", "DemoServer", "Model", "Show", "kind_of"]
