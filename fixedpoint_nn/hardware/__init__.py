# SPDX-License-Identifier: MIT
"""Hardware: from a quantised network to the Verilog engine: compiling, packs, simulation, verification."""

from fixedpoint_nn.hardware.compiler.errors import LoweringError, Refusal
from fixedpoint_nn.hardware.emit import emit
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.sim.rtl_model import RtlModel
from fixedpoint_nn.hardware.sim.toolchain import rtl_folder
from fixedpoint_nn.hardware.verify.readback import verify_readback
from fixedpoint_nn.hardware.verify.verify import verify

__all__ = [
    "LoweringError",
    "Refusal",
    "RtlModel",
    "emit",
    "load_pack",
    "rtl_folder",
    "verify",
    "verify_readback",
]
