# SPDX-License-Identifier: MIT
"""Opening an engine by the name of its port: `sim`, or a serial port."""

from __future__ import annotations

from fixedpoint_nn.board.engine import Engine
from fixedpoint_nn.board.link import ANSWER_SECONDS
from fixedpoint_nn.board.ports import BAUD, ByteStream, SerialPort
from fixedpoint_nn.board.process import SimulatedPort
from fixedpoint_nn.board.simulated import SECONDS, SimulatedBoard
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.verify.readback_program import readback_program

SIMULATED = "sim"


def open_engine(name: str, pack: Pack, simulator: str = "iverilog", baud: int = BAUD) -> Engine:
    """The engine at a serial port, or with `sim` on a simulated board for this pack, with room for its readback."""
    if name != SIMULATED:
        return _opened(SerialPort(name, baud), ANSWER_SECONDS)
    config = readback_program(pack.config, pack.images).config
    return _opened(SimulatedPort(SimulatedBoard(config, pack.images, simulator)), SECONDS)


def _opened(port: ByteStream, seconds: float) -> Engine:
    try:
        return Engine(port, seconds)
    except BaseException:
        port.close()
        raise
