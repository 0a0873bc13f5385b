# SPDX-License-Identifier: MIT
"""From a quantised network to Verilog, and back: lowering, packs, simulation, verification."""

from fixedpoint_nn.hardware.model import RtlModel
from fixedpoint_nn.hardware.pack import emit, load_pack
from fixedpoint_nn.hardware.refusal import Refusal
from fixedpoint_nn.hardware.verify import verify

__all__ = ["Refusal", "RtlModel", "emit", "load_pack", "verify"]
