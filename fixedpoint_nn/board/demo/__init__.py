# SPDX-License-Identifier: MIT
"""A local web page that shows an engine recognising drawings or generating text."""

from fixedpoint_nn.board.demo.server import DemoServer
from fixedpoint_nn.board.demo.show import DemoAnswer, DemoModel, Show, demo_kind

__all__ = ["DemoAnswer", "DemoServer", "DemoModel", "Show", "demo_kind"]
