# SPDX-License-Identifier: MIT
"""An exported top that begins by itself, and answers only those who are secure."""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiProt,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from fixedpoint_nn.board.axi.registers import IDENTIFICATION, AxiAddress
from fixedpoint_nn.hardware.pack.reader import load_pack

PACK = load_pack(os.environ["PACK"])
BYTES = -(-PACK.config.activation_width // 8)


@cocotb.test()
async def frames_go_through_without_a_processor(dut: Any) -> None:
    cocotb.start_soon(Clock(dut.clock, 10, "ns").start())
    low = {"reset_active_level": False}
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clock, dut.reset_n, **low)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clock, dut.reset_n, **low)
    lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clock, dut.reset_n, **low)
    dut.reset_n.value = 0
    await ClockCycles(dut.clock, 3)
    dut.reset_n.value = 1
    for vector, expected in zip(PACK.vectors, PACK.expected, strict=True):
        data = b"".join(int(word).to_bytes(BYTES, "little", signed=True) for word in vector)
        await source.send(AxiStreamFrame(data))
        found = bytes((await with_timeout(sink.recv(), 100, "us")).tdata)
        assert found == b"".join(int(word).to_bytes(BYTES, "little", signed=True) for word in expected)
    secure = await lite.read(AxiAddress.IDENTIFICATION, 4, prot=AxiProt.PRIVILEGED)
    assert (int.from_bytes(secure.data, "little"), secure.resp) == (IDENTIFICATION, AxiResp.OKAY)
    other = await lite.read(AxiAddress.IDENTIFICATION, 4, prot=AxiProt.NONSECURE)
    assert (int.from_bytes(other.data, "little"), other.resp) == (0, AxiResp.SLVERR)
    assert (await lite.write(AxiAddress.SEED, bytes(4), prot=AxiProt.NONSECURE)).resp == AxiResp.SLVERR
