# SPDX-License-Identifier: MIT
"""Export of a pack as a reusable design: Verilog, IP, LiteX, FuseSoC, tests and drivers."""

from fixedpoint_nn.board.export.export import Exported, export

__all__ = ["Exported", "export"]
