# SPDX-License-Identifier: MIT
"""The Verilog of the serial line: lint, headers, and its parts by themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fixedpoint_nn.board import frames
from tests.support.engine_bench import RTL

BOARD = RTL / "board"
LINT = [
    *(
        {"LANES": lanes, "ACTIVATION_WIDTH": width, "WEIGHT_WIDTH": width, "ACCUMULATOR_WIDTH": 2 * width + 8}
        for lanes in (1, 8, 32)
        for width in (4, 9, 16, 18)
    ),
    {"ACTIVATION_WIDTH": 8, "WEIGHT_WIDTH": 12, "BIAS_WIDTH": 63, "HOST_WRITES": 1},
    {"DIVIDER": 65535, "TIMEOUT": 16777215, "CLOCK_KHZ": 100000, "CONTENT": 4294967295},
]


@pytest.mark.parametrize("parameters", LINT, ids=str)
def test_lint_finds_nothing(parameters: dict[str, int]) -> None:
    command = ["verilator", "--lint-only", "-Wall", f"-I{RTL}", f"-I{BOARD}", "--top-module", "uart_engine"]
    command += [str(RTL / "lint.vlt"), str(BOARD / "uart_engine.v")]
    done = subprocess.run(
        command + [f"-G{name}={value}" for name, value in parameters.items()], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_module_has_a_header_and_a_twin_and_guards_its_nets() -> None:
    for path in sorted(BOARD.rglob("*.v")):
        text = path.read_text()
        assert text.startswith("// SPDX-License-Identifier: MIT\n// "), path
        assert "Python twin:" in text or path.parent.name == "tb", path
        assert "`default_nettype none" in text, path
        assert text.rstrip().endswith("`default_nettype wire"), path


def _run(folder: Path, bench: str, *modules: str, parameters: dict[str, int] | None = None) -> str:
    (folder / "bench.v").write_text(bench)
    command = ["iverilog", "-g2005", "-s", "bench", "-o", "sim"]
    command += [f"-Pbench.{name}={value}" for name, value in (parameters or {}).items()]
    subprocess.run([*command, "bench.v", *(str(BOARD / name) for name in modules)], cwd=folder, check=True)
    return subprocess.run(["vvp", "-n", "sim"], cwd=folder, capture_output=True, text=True).stdout


CRC_BENCH = """
module bench;
    reg [15:0] crc = 16'hFFFF;
    reg [7:0] data = 8'd1;
    wire [15:0] next;
    crc16 crc16 (.crc(crc), .data(data), .next(next));
    integer n;
    initial for (n = 0; n < 2000; n = n + 1) begin
        #1 $display("%04x", next);
        crc = next;
        data = data * 8'd5 + 8'd3;
        #1;
    end
endmodule
"""


def test_the_checksum_of_the_chip_is_that_of_the_host(tmp_path: Path) -> None:
    message, data, wanted = b"", 1, []
    for _ in range(2000):
        message += bytes([data])
        wanted.append(f"{frames.checksum(message):04x}")
        data = (5 * data + 3) % 256
    assert _run(tmp_path, CRC_BENCH, "crc16.v").split() == wanted


RECEIVER_BENCH = """
`timescale 1ns/1ps
module bench;
    parameter PER_MILLE = 1000;  // length of the sender's bits
    localparam real BIT = 16 * 10.0 * PER_MILLE / 1000.0;
    reg clock = 0, rx = 1;
    always #5 clock = !clock;
    wire [7:0] data;
    wire valid;
    uart_receiver #(.DIVIDER(16)) receiver (.clock(clock), .reset(1'b0), .rx(rx), .data(data), .valid(valid));
    always @(posedge clock) if (valid) $display("%02x", data);
    integer n, k;
    initial begin
        #1000;
        for (n = 0; n < 256; n = n + 1) begin
            rx = 0; #(BIT);
            for (k = 0; k < 8; k = k + 1) begin rx = n >> k; #(BIT); end
            rx = n != 77; #(BIT);  // one without a stop bit
            if (n == 77) begin rx = 1; #(20 * BIT); end
        end
        #5000 rx = 0; #20 rx = 1;  // a glitch is no start bit
        #5000 $finish;
    end
endmodule
"""


@pytest.mark.parametrize("per_mille", [970, 1000, 1030])
def test_the_receiver_hears_bytes_whose_bits_are_too_short_or_too_long(
    tmp_path: Path, per_mille: int
) -> None:
    heard = _run(tmp_path, RECEIVER_BENCH, "uart_receiver.v", parameters={"PER_MILLE": per_mille}).split()
    assert heard == [f"{n:02x}" for n in range(256) if n != 77]


LOOP_BENCH = """
module bench;
    parameter DIVIDER = 4;
    reg clock = 0, send = 0;
    always #5 clock = !clock;
    reg [7:0] sent = 0;
    wire [7:0] data;
    wire valid, ready, line;
    uart_transmitter #(.DIVIDER(DIVIDER)) transmitter (
        .clock(clock), .reset(1'b0), .send(send), .data(sent), .ready(ready), .tx(line));
    uart_receiver #(.DIVIDER(DIVIDER)) receiver (.clock(clock), .reset(1'b0), .rx(line), .data(data), .valid(valid));
    integer clocks = 0, first = 0;
    always @(posedge clock) begin
        clocks <= clocks + 1;
        send <= ready && !send;
        if (send) sent <= sent + 1;
        if (valid) begin
            $display("%02x", data);
            if (data == 0) first = clocks;
            if (data == 255) begin
                $display("%0d", clocks - first);
                $finish;
            end
        end
    end
endmodule
"""


@pytest.mark.parametrize("divider", [4, 5, 16, 104])
def test_bytes_follow_each_other_without_a_pause_and_arrive(tmp_path: Path, divider: int) -> None:
    *heard, clocks = _run(
        tmp_path, LOOP_BENCH, "uart_transmitter.v", "uart_receiver.v", parameters={"DIVIDER": divider}
    ).split()
    assert heard == [f"{n:02x}" for n in range(256)]
    assert int(clocks) <= 255 * (10 * divider + 2)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DIVIDER", 3, "bench.board: DIVIDER = 3; use 4 to 65535 clocks per bit"),
        ("TIMEOUT", 0, "bench.board: TIMEOUT = 0; use 1 to 16777215 clocks"),
    ],
)
def test_what_a_line_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, name: str, value: int, sentence: str
) -> None:
    (tmp_path / "bench.v").write_text(
        f"module bench; uart_engine #(.{name}({value})) board (.clock(1'b0), .rx(1'b1), .tx(), .busy(), .done(), "
        ".idle()); endmodule\n"
    )
    sources = [*map(str, sorted(BOARD.glob("*.v"))), *map(str, sorted(RTL.glob("*.v")))]
    command = ["iverilog", "-g2005", f"-I{RTL}", "-s", "bench", "-o", "sim", "bench.v", *sources]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(["vvp", "-n", "sim"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
