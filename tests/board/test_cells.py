# SPDX-License-Identifier: MIT
"""The project's models of chips' cells against the vendor's documented behaviour, stated in Python."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.support.engine_bench import RTL

ECP5 = RTL / "board" / "cells" / "ecp5"
LEVELS = {
    36: (5, 4),
    18: (4, 2),
    9: (3, 1),
    4: (2, 1),
    2: (1, 1),
    1: (0, 1),
}  # lowest address bit, write enables


class Blocks:
    """18,432 bits as 2,048 parts of 9 (of which words of 4, 2 and 1 bits use 8), read as the memory user guide says."""

    def __init__(self) -> None:
        self.parts = [0] * 2048

    def read(self, width: int, word: int) -> int:
        if width >= 9:
            count = width // 9
            return sum(self.parts[word * count + place] << 9 * place for place in range(count))
        each = 8 // width
        return self.parts[word // each] >> width * (word % each) & (1 << width) - 1

    def write(self, width: int, word: int, enables: int, value: int) -> None:
        if width >= 9:
            count = width // 9
            for place in range(count):
                if enables >> place & 1:
                    self.parts[word * count + place] = value >> 9 * place & 511
            return
        each = 8 // width
        shift = width * (word % each)
        mask = (1 << width) - 1 << shift
        self.parts[word // each] = self.parts[word // each] & ~mask | value << shift & mask


BENCH = """
module bench;
    reg clock = 0;
    reg [13:0] a = 0, b = 0;
    reg [35:0] d = 0;
    reg write = 0;
    wire [35:0] q;
    DP16KD #(.DATA_WIDTH_A({width}), .DATA_WIDTH_B({width}),
             .WRITEMODE_A("READBEFOREWRITE"), .INITVAL_00(320'h{first:x})) cell_ (
        {connections}
        .CLKA(clock), .CEA(1'b1), .OCEA(1'b1), .WEA(write), .RSTA(1'b0), .CSA2(1'b0), .CSA1(1'b0), .CSA0(1'b0),
        .CLKB(clock), .CEB(1'b1), .OCEB(1'b1), .WEB(1'b0), .RSTB(1'b0), .CSB2(1'b0), .CSB1(1'b0), .CSB0(1'b0));
    reg [63:0] orders [0:1999];
    integer n;
    initial begin
        $readmemh("orders.mem", orders);
        for (n = 0; n < 2000; n = n + 1) begin
            {{write, d, a}} = orders[n];
            b = orders[n] >> 51 & {mask};
            #1 clock = 1;
            #1 clock = 0;
            $display("%x", q & {limit});
        end
    end
endmodule
"""


@pytest.mark.parametrize("width", [36, 18, 9, 4, 2, 1])
def test_a_block_memory_of_the_ecp5_in_every_width(tmp_path: Path, width: int) -> None:
    draw = random.Random(width)
    low, enables = LEVELS[width]
    places = 16 if width < 9 else 8  # few words, so that many are read after they were written
    blocks, orders, wanted, first = Blocks(), [], [], draw.getrandbits(320)
    for place in range(32):  # the first contents: 18 bits of each 20
        blocks.parts[place] = first >> 20 * (place // 2) + 9 * (place % 2) & 511
    for _ in range(2000):
        write, value = draw.getrandbits(1), draw.getrandbits(width)
        masks = draw.getrandbits(enables) if width > 9 else 1
        at, other = draw.randrange(places), draw.randrange(places)
        address = at << low | (masks if width > 9 else 0)
        orders.append(other << low << 51 | write << 50 | value << 14 | address)
        wanted.append(blocks.read(width, other))
        if write:
            blocks.write(width, at, masks, value)
    data = [("DIA", "d", 18, 0), ("DIB", "d", 18, 18), ("ADA", "a", 14, 0), ("ADB", "b", 14, 0)]
    q = (("DOA", 0), ("DOB", 18)) if width == 36 else (("DOB", 0),)
    data += [(port, "q", 18, offset) for port, offset in q]
    text = " ".join(f".{p}{n}({s}[{n + o}])," for p, s, count, o in data for n in range(count))
    bench = BENCH.format(
        width=width, first=first, connections=text, mask="14'h3fff", limit=f"36'h{(1 << width) - 1:x}"
    )
    (tmp_path / "bench.v").write_text(bench)
    (tmp_path / "orders.mem").write_text("".join(f"{order & (1 << 64) - 1:x}\n" for order in orders))
    command = ["iverilog", "-g2012", "-s", "bench", "-o", "sim", "bench.v", str(ECP5 / "DP16KD.v")]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run(["vvp", "-n", "sim"], cwd=tmp_path, capture_output=True, text=True).stdout.split()
    assert [int(word, 16) for word in said] == wanted


@pytest.mark.parametrize("signed", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_multiplier_of_the_ecp5_signed_and_unsigned(tmp_path: Path, signed: tuple[int, int]) -> None:
    draw = random.Random(7)
    ends = [0, 1, 0x1FFFF, 0x20000, 0x3FFFF]
    pairs = [(a, b) for a in ends for b in ends]
    pairs += [(draw.getrandbits(18), draw.getrandbits(18)) for _ in range(500)]

    def value(bits: int, sign: int) -> int:
        return bits - (1 << 18) if sign and bits >> 17 else bits

    wanted = [value(a, signed[0]) * value(b, signed[1]) & (1 << 36) - 1 for a, b in pairs]
    text = " ".join(
        f".{p}{n}({p.lower()}[{n}])," for p, count in (("A", 18), ("B", 18), ("P", 36)) for n in range(count)
    )
    text += " ".join(f".C{n}(1'b0)," for n in range(18))
    (tmp_path / "bench.v").write_text(
        f"module bench; reg [17:0] a, b; wire [35:0] p; integer n; reg [35:0] pairs [0:{len(pairs) - 1}];\n"
        f"MULT18X18D cell_ ({text} .SIGNEDA(1'd{signed[0]}), .SIGNEDB(1'd{signed[1]}),\n"
        ".SOURCEA(1'b0), .SOURCEB(1'b0));\n"
        f'initial begin $readmemh("pairs.mem", pairs); for (n = 0; n < {len(pairs)}; n = n + 1) begin '
        '{a, b} = pairs[n]; #1 $display("%x", p); end end endmodule\n'
    )
    (tmp_path / "pairs.mem").write_text("".join(f"{a << 18 | b:x}\n" for a, b in pairs))
    command = ["iverilog", "-g2005", "-s", "bench", "-o", "sim", "bench.v", str(ECP5 / "MULT18X18D.v")]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run(["vvp", "-n", "sim"], cwd=tmp_path, capture_output=True, text=True).stdout.split()
    assert [int(word, 16) for word in said] == wanted
