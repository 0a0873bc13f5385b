# SPDX-License-Identifier: MIT
"""A board's host writes the next input while the engine computes, over the bits of a simulated serial line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import Tensor, calibrate, layers, load_pack, quantize
from fixedpoint_nn.board import BoardError, Engine
from fixedpoint_nn.board.errors import EngineBusy
from fixedpoint_nn.board.export.export import export
from fixedpoint_nn.board.frames import Command, request
from fixedpoint_nn.board.golden import run_golden
from fixedpoint_nn.board.ports import SerialPort
from fixedpoint_nn.board.simulated import SimulatedBoard
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emit import emit_lowered
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.verify.selftest import Kind, selftest
from fixedpoint_nn.network.quantized import fixed_samples
from tests.board.conftest import SECONDS
from tests.support.engine_bench import RTL


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """One lane takes longer for a sample than the line for the next one."""
    draw = np.random.default_rng(1)
    net = layers.Sequential(
        layers.Dense(Tensor(draw.normal(size=(8, 96))), Tensor(draw.normal(size=96))),
        layers.Dense(Tensor(draw.normal(size=(96, 48))), Tensor(draw.normal(size=48))),
    )
    x = draw.uniform(-1, 1, (3, 8))
    fixed = quantize(net, calibrate(net, x, word=8))
    lowered = lower(fixed.net, (8,), fixed.input.format, lanes=1, ahead=True)
    samples = fixed_samples(fixed, x)
    folder = tmp_path_factory.mktemp("ahead") / "pack"
    return load_pack(emit_lowered(folder, lowered, samples, fixed(samples), ["sample"] * 3, "ahead"))


def board(pack: Pack, host_writes: int) -> Iterator[Engine]:
    with SimulatedBoard(replace(pack.config, host_writes=host_writes), pack.images) as simulated:
        yield Engine(SerialPort(simulated.path), SECONDS)


@pytest.fixture(scope="module")
def engine(pack: Pack) -> Iterator[Engine]:
    yield from board(pack, 1)


def test_a_busy_engine_takes_the_next_input_over_the_line(engine: Engine, pack: Pack) -> None:
    halves = pack.halves
    assert halves is not None and engine.config.host_writes == 1
    engine.write_value(pack.input, pack.vectors[0])
    engine.write(halves.word, [0])
    engine.start()
    engine.write_value(halves.second, pack.vectors[1])
    assert engine.status().busy  # it was, all the time
    assert engine.wait(SECONDS).cycles == pack.cycles[0]
    assert np.array_equal(engine.read_value(pack.output), pack.expected[0])
    engine.write(halves.word, [1])
    engine.start()
    assert engine.wait(SECONDS).cycles == pack.cycles[1]
    assert np.array_equal(engine.read_value(pack.output), pack.expected[1])


def test_golden_vectors_that_are_written_ahead_give_every_word_in_the_predicted_cycles(
    engine: Engine, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: list[int] = []
    monkeypatch.setattr(
        Engine,
        "_written_ahead",
        lambda self, *given, its=Engine._written_ahead: ahead.append(its(self, *given)) or ahead[-1],
    )
    verdict = run_golden(engine, pack)
    assert verdict.text == f"PASS: 3 vectors, 144 words, {sum(pack.cycles)} cycles, as predicted"
    assert ahead == [True, True]


def test_images_and_results_still_wait_for_the_end(engine: Engine, pack: Pack) -> None:
    engine.start()
    with pytest.raises(EngineBusy, match="refused READ: the engine is running; wait for it, or reset it"):
        engine.read(0, 1)
    with pytest.raises(EngineBusy, match="refused LOAD_TABLES"):
        engine.load_words("tables", 0, [0])
    engine.wait(SECONDS)


def test_a_design_with_streams_refuses_two_places(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(
        PackError, match="An export has one place for its input, and this pack has two, of which"
    ):
        export(pack, tmp_path / "design")


def test_a_self_test_says_which_place_is_meant(pack: Pack) -> None:
    assert pack.halves is not None
    address, chosen = 0, []
    for kind, argument in selftest(pack).steps:
        if (
            kind == Kind.START
            and argument == pack.seed + len(chosen) - 1
            and len(chosen) == len(pack.vectors)
        ):
            break  # what follows is the readback
        if kind == Kind.WRITE and address == pack.halves.word:
            chosen.append(argument)
        address = argument if kind == Kind.ADDRESS else address + (kind in (Kind.WRITE, Kind.COMPARE))
    assert chosen == [0, 1, 0]


@pytest.mark.slow
def test_a_board_without_host_writes_runs_the_same_pack_and_writes_afterwards(pack: Pack) -> None:
    for engine in board(pack, 0):
        assert run_golden(engine, pack).passed
        engine.start()
        with pytest.raises(BoardError, match="refused WRITE: the engine is running"):
            engine.write(0, [1])


# A link whose engine is busy, and leaves a clock for the host after each WAIT clocks.
BENCH = """
module bench;
    parameter WAIT = 10;
    reg clock = 0, valid = 0;
    always #5 clock = !clock;
    reg [7:0] bytes [0:99];
    reg [7:0] received = 0;
    wire [7:0] sent;
    wire send, host_write;
    wire [23:0] address;
    wire [8:0] data;
    integer n = 0, k = 0, clocks = 0;
    wire turn = clocks == 0;
    host_link #(.ACTIVATION_WIDTH(9), .LOAD_WIDTH(32), .TIMEOUT(500), .HOST_WRITES(1)) link (
        .clock(clock), .reset(n == 0), .received(received), .received_valid(valid), .sent(sent), .send(send),
        .send_ready(1'b1), .idle(), .engine_reset(), .start(), .seed(), .busy(1'b1), .done(1'b0), .host_turn(turn),
        .host_write(host_write), .address(address), .host_write_data(data), .host_read_data(9'd0), .load_enable(),
        .load_memory(), .load_data(), .cycles(0), .mac_cycles(0), .saturations(0), .accumulator_overflow(1'b0),
        .argmax(0));
    initial $readmemh("bytes.mem", bytes);
    always @(posedge clock) begin
        n <= n + 1;
        clocks <= clocks == 0 ? WAIT : clocks - 1;
        valid <= n > 40 && n % 40 == 0 && bytes[k] !== 8'hxx;
        if (n > 40 && n % 40 == 0) begin
            received <= bytes[k];
            k <= k + 1;
        end
        if (host_write && turn) $display("word %0d %0d", address, data);
        if (send) $display("byte %02x", sent);
        if (n == 6000) $finish;
    end
endmodule
"""


@pytest.mark.parametrize(("wait", "words", "result"), [(10, 3, 0), (36, 3, 0), (200, 1, 3)])
def test_a_word_stands_until_there_is_a_clock_and_is_refused_if_there_is_none_in_time(
    tmp_path: Path, wait: int, words: int, result: int
) -> None:
    given = [5, 300, 511]
    message = request(7, Command.WRITE, 20, 3, b"".join(word.to_bytes(2, "little") for word in given))
    (tmp_path / "bytes.mem").write_text("\n".join(f"{byte:02x}" for byte in message))
    (tmp_path / "bench.v").write_text(BENCH)
    modules = [str(RTL / "board" / name) for name in ("host_link.v", "crc16.v")]
    command = ["iverilog", "-g2005", "-s", "bench", f"-Pbench.WAIT={wait}", "-o", "sim", "bench.v", *modules]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "-n", "sim"], cwd=tmp_path, capture_output=True, text=True, check=True)
    said = [line.split() for line in done.stdout.splitlines()]
    written = [(int(address), int(word)) for kind, address, word in (s for s in said if s[0] == "word")]
    assert written == [(20 + place, word) for place, word in enumerate(given[: len(written)])]
    assert len(written) == words if result == 0 else len(written) <= words
    assert [int(s[1], 16) for s in said if s[0] == "byte"][:3] == [0x5A, 7, result]
