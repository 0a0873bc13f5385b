# SPDX-License-Identifier: MIT
"""A pack as a design that others can drop into theirs: Verilog, IP, LiteX, FuseSoC, tests and drivers."""

from fixedpoint_nn.board.export.export import Exported, export

__all__ = ["Exported", "export"]
