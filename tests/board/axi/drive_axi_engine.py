# SPDX-License-Identifier: MIT
"""Other people's AXI masters on axi_engine.v (cocotbext-axi): loaded by Cocotb, in the simulator's own process.

`test_cocotb.py` starts it; PACK names the pack. All pauses are random, of a fixed seed.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from fixedpoint_nn.board.axi import AxiEngine
from fixedpoint_nn.board.axi.register_map import read_map
from fixedpoint_nn.board.axi.registers import AxiAddress, ControlBits, InterruptPendingBits, StatusBits
from fixedpoint_nn.board.golden import run_golden
from fixedpoint_nn.hardware.pack.reader import load_pack

PACK = load_pack(Path(os.environ["PACK"]))
WIDTH = PACK.config.activation_width
WORD_BYTES = -(-WIDTH // 8)
for channel in ("s_axil", "s_axis", "m_axis"):
    logging.getLogger(f"cocotb.axi_engine.{channel}").setLevel(logging.WARNING)


def frame(words: np.ndarray) -> AxiStreamFrame:
    """Words as beats; some beats between them keep nothing."""
    data = b"".join(int(word).to_bytes(WORD_BYTES, "little", signed=True) for word in words)
    return AxiStreamFrame(data)


def words_of(found: AxiStreamFrame) -> list[int]:
    data = bytes(found.tdata)
    return [
        int.from_bytes(data[n : n + WORD_BYTES], "little", signed=True)
        for n in range(0, len(data), WORD_BYTES)
    ]


class Host:
    """Masters for all three interfaces, with random pauses on every channel."""

    def __init__(self, dut: Any, seed: int, stalls: float = 0.3) -> None:
        self.dut, self.random = dut, random.Random(seed)
        level = {"reset_active_level": False}
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clock, dut.reset_n, **level)
        source, sink = AxiStreamBus.from_prefix(dut, "s_axis"), AxiStreamBus.from_prefix(dut, "m_axis")
        self.source = AxiStreamSource(source, dut.clock, dut.reset_n, **level)
        self.sink = AxiStreamSink(sink, dut.clock, dut.reset_n, **level)
        writing, reading = self.lite.write_if, self.lite.read_if
        channels = (writing.aw_channel, writing.w_channel, writing.b_channel)
        for stalled in (*channels, reading.ar_channel, reading.r_channel, self.source, self.sink):
            stalled.set_pause_generator(self._pauses(random.Random(self.random.random()), stalls))

    @staticmethod
    def _pauses(rng: random.Random, stalls: float) -> Iterator[bool]:
        while True:
            yield rng.random() < stalls

    async def answer(self, address: int, value: int, count: int = 4, **how: Any) -> AxiResp:
        return (await self.lite.write(address, value.to_bytes(4, "little")[:count], **how)).resp

    async def write(self, address: int, value: int) -> None:
        assert await self.answer(address, value) == AxiResp.OKAY, (hex(address), value)

    async def read(self, address: int) -> int:
        found = await self.lite.read(address, 4)
        assert found.resp == AxiResp.OKAY, hex(address)
        return int.from_bytes(found.data, "little")

    async def at_rest(self) -> None:
        while await self.read(AxiAddress.STATUS) & StatusBits.BUSY:
            pass

    async def set_tensors(self) -> None:
        for first, place in (
            (AxiAddress.INPUT_ADDRESS, PACK.input),
            (AxiAddress.OUTPUT_ADDRESS, PACK.output),
        ):
            for number, value in enumerate((place.address, place.words, place.run, place.stride)):
                await self.write(first + 4 * number, value)

    async def vector(self, number: int) -> None:
        """One golden vector from stream to stream: its words, its cycles."""
        await self.write(AxiAddress.SEED, PACK.seed + number)
        await self.source.send(frame(PACK.vectors[number]))
        await self.write(AxiAddress.CONTROL, 7)
        found = await with_timeout(self.sink.recv(), 100, "ms")
        assert words_of(found) == PACK.expected[number].tolist(), number
        await self.at_rest()
        assert await self.read(AxiAddress.CYCLES) == PACK.cycles[number]


async def reset(dut: Any, clocks: int = 3) -> None:
    dut.reset_n.value = 0
    await ClockCycles(dut.clock, clocks)
    dut.reset_n.value = 1
    await RisingEdge(dut.clock)


WATCHED = (
    ("m_axis_tvalid", "m_axis_tready", ("m_axis_tdata", "m_axis_tlast", "m_axis_tkeep")),
    ("s_axil_bvalid", "s_axil_bready", ("s_axil_bresp",)),
    ("s_axil_rvalid", "s_axil_rready", ("s_axil_rdata", "s_axil_rresp")),
)


async def watch(dut: Any, complaints: list[str]) -> None:
    """What is valid stays, unchanged, until it is taken; nothing is unknown."""
    before: dict[str, tuple[str, ...]] = {}
    while True:
        await RisingEdge(dut.clock)
        if str(dut.reset_n.value) != "1":
            before.clear()
            continue
        for valid, ready, payload in WATCHED:
            state = str(getattr(dut, valid).value)
            now = tuple(str(getattr(dut, name).value) for name in payload) if state == "1" else ()
            if state not in ("0", "1") or any(set(text) - {"0", "1"} for text in now):
                complaints.append(f"{valid} = {state}, {now}")
            if before.get(valid, ()) and now != before[valid]:
                complaints.append(f"{valid}: {before[valid]} became {now} before it was taken")
            before[valid] = () if str(getattr(dut, ready).value) == "1" else now


async def begin(dut: Any, seed: int) -> tuple[Host, list[str]]:
    complaints: list[str] = []
    cocotb.start_soon(Clock(dut.clock, 10, "ns").start())
    cocotb.start_soon(watch(dut, complaints))
    host = Host(dut, seed)
    await reset(dut)
    return host, complaints


@cocotb.test()
async def registers_are_those_of_the_map(dut: Any) -> None:
    host, complaints = await begin(dut, 1)
    parameters = PACK.config.verilog()
    for register in read_map():
        if not register.readable:
            assert (await host.lite.read(register.address, 4)).resp == AxiResp.SLVERR, register.name
        elif register.name not in ("ARGMAX", "CYCLES", "MAC_CYCLES", "SATURATIONS", "WORD_DATA"):
            assert await host.read(register.address) == parameters.get(register.name, register.reset), (
                register.name
            )
    for address in sorted(set(range(0, 0x100, 4)) - {register.address for register in read_map()}):
        assert (await host.lite.read(address, 4)).resp == AxiResp.SLVERR, hex(address)
        assert await host.answer(address, 1) == AxiResp.SLVERR, hex(address)
    for register in read_map():
        if not register.writable:
            assert await host.answer(register.address, 0xFFFFFFFF) == AxiResp.SLVERR, register.name
            continue
        stored = [field for field in register.fields if field.access == "rw" and not field.clears]
        if register.name in ("CONTROL", "WORD_DATA") or not stored:
            continue
        # Byte by byte: a strobe writes its own byte and no other.
        mask = sum(((1 << field.bits) - 1) << field.low for field in stored)
        await host.write(register.address, 0)
        wanted = 0
        for byte in range(4):
            assert (await host.lite.write(register.address + byte, b"\xff")).resp == AxiResp.OKAY
            wanted |= 0xFF << 8 * byte
            assert await host.read(register.address) == wanted & mask, (register.name, byte)
    assert not complaints, complaints[:3]


@cocotb.test()
async def what_cannot_be_done_is_refused(dut: Any) -> None:
    host, complaints = await begin(dut, 2)
    refused = AxiResp.SLVERR
    assert await host.answer(AxiAddress.CONTROL, ControlBits.RECEIVE) == refused  # INPUT_WORDS is 0
    assert await host.answer(AxiAddress.CONTROL, ControlBits.SEND) == refused
    assert await host.answer(AxiAddress.CONTROL, ControlBits.REPEAT) == refused
    assert await host.answer(AxiAddress.LOAD_DATA, 0, 2) == refused  # half a word
    assert await host.answer(AxiAddress.LOAD_COMMIT, 1 << 24 | PACK.config.weight_depth) == refused
    await host.write(AxiAddress.WORD_ADDRESS, PACK.config.activation_depth)
    assert await host.answer(AxiAddress.WORD_DATA, 0) == refused
    assert (await host.lite.read(AxiAddress.WORD_DATA, 4)).resp == refused
    await host.set_tensors()
    await host.write(AxiAddress.CONTROL, ControlBits.RECEIVE)
    assert await host.read(AxiAddress.STATUS) & 0xF1 == StatusBits.BUSY | StatusBits.RECEIVING
    assert await host.answer(AxiAddress.CONTROL, ControlBits.RUN) == refused
    assert await host.answer(AxiAddress.LOAD_COMMIT, 0) == refused
    assert await host.answer(AxiAddress.WORD_DATA, 0) == refused
    assert (await host.lite.read(AxiAddress.WORD_DATA, 4)).resp == refused
    await host.write(AxiAddress.CONTROL, ControlBits.ABORT)
    assert await host.read(AxiAddress.STATUS) & StatusBits.BUSY == 0
    assert not complaints, complaints[:3]


@cocotb.test()
async def the_python_driver_loads_runs_and_reads(dut: Any) -> None:
    host, complaints = await begin(dut, 3)

    class CocotbWire:
        name = "cocotb"

        @resume
        async def read(self, offset: int) -> int:
            return await host.read(offset)

        @resume
        async def write(self, offset: int, value: int) -> None:
            await host.write(offset, value)

    @bridge
    def drive() -> str:
        engine = AxiEngine(CocotbWire())
        assert engine.config == PACK.config
        engine.load(PACK)
        assert np.array_equal(engine.read(0, len(PACK.images.activations)), PACK.images.activations)
        text = run_golden(engine, PACK, 4).text
        engine.take_interrupts()
        engine.enable_interrupt(InterruptPendingBits.RAN)
        assert not int(dut.irq.value)
        run_golden(engine, PACK, 1)
        assert int(dut.irq.value)
        assert engine.take_interrupts() == InterruptPendingBits.RAN
        assert engine.take_interrupts() == InterruptPendingBits(0)
        assert not int(dut.irq.value)
        return text

    text = await drive()
    assert text.startswith("PASS: 4 vectors"), text
    assert not complaints, complaints[:3]


@cocotb.test()
async def golden_vectors_with_resets_and_aborts_at_random_moments(dut: Any) -> None:
    host, complaints = await begin(dut, 4)
    await host.set_tensors()
    for number in range(12):
        await host.vector(number)
    longest = 60 + 4 * PACK.input.words + int(PACK.cycles[0])
    for trial in range(24):
        await host.source.send(frame(PACK.vectors[0]))
        await host.write(AxiAddress.CONTROL, 7)
        await ClockCycles(dut.clock, host.random.randrange(1, longest))
        aborted = trial % 2 == 0
        if aborted:
            await host.write(AxiAddress.CONTROL, ControlBits.ABORT)
            await host.at_rest()
        if not aborted or not host.source.idle():  # what a source has offered only its own reset takes back
            await reset(dut, host.random.randrange(1, 4))
            host.source.clear()
            await ClockCycles(dut.clock, 3)
            await host.set_tensors()
        host.sink.clear()
        await host.vector(trial % len(PACK.vectors))
    assert not complaints, complaints[:3]


@cocotb.test()
async def frames_stream_until_the_repetition_is_ended(dut: Any) -> None:
    host, complaints = await begin(dut, 5)
    await host.set_tensors()
    await host.write(AxiAddress.SEED, PACK.seed)
    await host.write(AxiAddress.CONTROL, 15)
    for _ in range(5):
        await host.source.send(frame(PACK.vectors[0]))
    for _ in range(5):
        assert words_of(await with_timeout(host.sink.recv(), 100, "ms")) == PACK.expected[0].tolist()
    await host.write(AxiAddress.CONTROL, 0)
    await host.source.send(frame(PACK.vectors[0]))
    assert words_of(await with_timeout(host.sink.recv(), 100, "ms")) == PACK.expected[0].tolist()
    await host.at_rest()
    assert not complaints, complaints[:3]


@cocotb.test()
async def the_interrupt_tells_what_happened_and_framing(dut: Any) -> None:
    host, complaints = await begin(dut, 6)
    await host.set_tensors()
    await host.write(AxiAddress.INTERRUPT_ENABLE, InterruptPendingBits.SENT)
    await host.vector(0)
    await RisingEdge(dut.clock)
    assert dut.irq.value == 1
    everything = InterruptPendingBits.RECEIVED | InterruptPendingBits.RAN | InterruptPendingBits.SENT
    assert await host.read(AxiAddress.INTERRUPT_PENDING) == everything
    await host.write(AxiAddress.INTERRUPT_PENDING, InterruptPendingBits.RAN)
    await ClockCycles(dut.clock, 2)
    assert dut.irq.value == 1
    await host.write(AxiAddress.INTERRUPT_PENDING, everything)
    await ClockCycles(dut.clock, 2)
    assert dut.irq.value == 0
    # One frame of all words but the last, and the last as a frame of its own: a tlast in the wrong place.
    await host.write(AxiAddress.INTERRUPT_ENABLE, InterruptPendingBits.FRAMING)
    await host.write(AxiAddress.CONTROL, ControlBits.RECEIVE)
    for part in (PACK.vectors[0][:-1], PACK.vectors[0][-1:]):
        await host.source.send(frame(part))
    await host.at_rest()
    await RisingEdge(dut.clock)
    assert dut.irq.value == 1
    assert (
        await host.read(AxiAddress.INTERRUPT_PENDING)
        == InterruptPendingBits.RECEIVED | InterruptPendingBits.FRAMING
    )
    assert not complaints, complaints[:3]


@cocotb.test()
async def reads_and_writes_overlap(dut: Any) -> None:
    host, complaints = await begin(dut, 7)
    await host.set_tensors()
    await host.write(AxiAddress.WORD_ADDRESS, 0)
    writes = [cocotb.start_soon(host.write(AxiAddress.WORD_DATA, number)) for number in range(8)]
    reads = [cocotb.start_soon(host.read(AxiAddress.IDENTIFICATION)) for _ in range(8)]
    for task in itertools.chain(writes, reads):
        await task
    await host.write(AxiAddress.WORD_ADDRESS, 0)
    reads = [cocotb.start_soon(host.read(AxiAddress.WORD_DATA)) for _ in range(8)]
    writes = [cocotb.start_soon(host.write(AxiAddress.SEED, number)) for number in range(8)]
    assert [await task for task in reads] == list(range(8))
    for task in writes:
        await task
    assert not complaints, complaints[:3]
