# SPDX-License-Identifier: MIT
"""The project's models of chips' cells against the vendor's documented behaviour, stated in Python."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.support.engine_bench import RTL

CELLS = RTL / "board" / "cells"
ECP5 = CELLS / "ecp5"
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


class Bytes:
    """Bytes of 8 or 9 bits behind a port of 1, 2, 4 or 8 of them, or of 1, 2 or 4 bits of one."""

    def __init__(self, count: int, bits: int, first: int) -> None:
        self.bits = bits
        self.held = [first >> bits * n & (1 << bits) - 1 for n in range(count)]

    def read(self, width: int, address: int) -> int:
        if width < self.bits:
            return self.held[address >> 3] >> (address & 7 & -width) & (1 << width) - 1
        count = width // self.bits
        first = (address >> 3) & -count
        return sum(byte << self.bits * n for n, byte in enumerate(self.held[first : first + count]))

    def write(self, width: int, address: int, enables: int, word: int) -> None:
        if width < self.bits:
            place = address & 7 & -width
            mask = (1 << width) - 1 << place
            self.held[address >> 3] = self.held[address >> 3] & ~mask | word << place & mask
            return
        count = width // self.bits
        for n in range(count):
            if enables >> n & 1 or count == 1:
                self.held[((address >> 3) & -count) + n] = word >> self.bits * n & (1 << self.bits) - 1


TWO_PORTS = """
module bench;
    reg clock = 0;
    reg [15:0] a = 0, b = 0;
    reg [71:0] d = 0;
    reg [7:0] enables = 0;
    reg write_a = 0, write_b = 0;
    wire [71:0] qa, qb;
    {cell}
    reg [127:0] orders [0:{last}];
    integer n;
    initial begin
        $readmemh("orders.mem", orders);
        for (n = 0; n <= {last}; n = n + 1) begin
            {{enables, write_b, write_a, d, b, a}} = orders[n];
            #1 clock = 1;
            #1 clock = 0;
            $display("%x %x", qa & {limit}, qb & {limit});
        end
    end
endmodule
"""
ORDERS = 1500


def two_ports(folder: Path, cell: str, files: list[Path], orders: list[int], width: int) -> list[int]:
    """What both ports of a memory in a bench show after each clock; an order has all inputs, `a` in its lowest bits."""
    bench = TWO_PORTS.format(cell=cell, last=len(orders) - 1, limit=f"72'h{(1 << width) - 1:x}")
    (folder / "bench.v").write_text(bench)
    (folder / "orders.mem").write_text("".join(f"{order:x}\n" for order in orders))
    sources = ["bench.v", str(CELLS / "two_port_block.v"), *map(str, files)]
    subprocess.run(["iverilog", "-g2012", "-s", "bench", "-o", "sim", *sources], cwd=folder, check=True)
    said = subprocess.run(["vvp", "-n", "sim"], cwd=folder, capture_output=True, text=True).stdout.split()
    return [int(word, 16) for word in said]


def drawn(
    draw: random.Random, memory: Bytes, width: int, modes: tuple[int, int], masks: bool
) -> tuple[list[int], list[int]]:
    """Orders for two ports of one width, each at a place of its own, and what the ports show after each."""
    orders, wanted, shown = [], [], [0, 0]
    count = max(1, width // memory.bits)
    step = 8 * count if width >= memory.bits else width
    for _ in range(ORDERS):
        writes, word = [draw.getrandbits(1), draw.getrandbits(1)], draw.getrandbits(width)
        enables = draw.randrange(1, 1 << count) if masks else 255
        addresses = [place * step for place in draw.sample(range(24), 2)]
        orders.append(
            enables << 106
            | writes[1] << 105
            | writes[0] << 104
            | word << 32
            | addresses[1] << 16
            | addresses[0]
        )
        for port, address in enumerate(addresses):
            old = memory.read(width, address)
            if writes[port]:
                memory.write(width, address, enables, word)
            if not writes[port] or modes[port]:
                shown[port] = memory.read(width, address) if modes[port] == 1 else old
        wanted += shown
    return orders, wanted


@pytest.mark.parametrize("modes", [(0, 1), (1, 0)])
@pytest.mark.parametrize("width", [18, 16, 9, 8, 4, 2, 1])
def test_a_memory_of_gowin_with_two_ports(tmp_path: Path, width: int, modes: tuple[int, int]) -> None:
    draw = random.Random(width)
    bits, name = (9, "DPX9B") if width in (18, 9) else (8, "DPB")
    first = draw.getrandbits(bits * 32)
    orders, wanted = drawn(draw, Bytes(2048, bits, first), width, modes, masks=False)
    wide = 2 * bits
    address = "{a[13:2], a[1:0] | 2'd3}" if width == wide else "a[13:0]"
    cell = (
        f"{name} #(.BIT_WIDTH_0({width}), .BIT_WIDTH_1({width}), .WRITE_MODE0({modes[0]}), .WRITE_MODE1({modes[1]}),"
        f".INIT_RAM_00({bits * 32}'h{first:x})) cell_ (.CLKA(clock), .CLKB(clock), .CEA(1'b1), .CEB(1'b1),"
        f".OCEA(1'b1), .OCEB(1'b1), .RESETA(1'b0), .RESETB(1'b0), .WREA(write_a), .WREB(write_b), .ADA({address}),"
        f".ADB({address.replace('a[', 'b[')}), .BLKSELA(3'd0), .BLKSELB(3'd0), .DIA(d[{wide - 1}:0]),"
        f".DIB(d[{wide - 1}:0]), .DOA(qa[{wide - 1}:0]), .DOB(qb[{wide - 1}:0]));"
    )
    assert two_ports(tmp_path, cell, [CELLS / "gowin" / f"{name}.v"], orders, width) == wanted


@pytest.mark.parametrize("width", [36, 32, 18, 16, 9, 8, 4, 2, 1])
def test_a_memory_of_gowin_that_writes_by_one_port_and_reads_by_the_other(tmp_path: Path, width: int) -> None:
    draw = random.Random(width)
    bits, name = (9, "SDPX9B") if width in (36, 18, 9) else (8, "SDPB")
    first, count = draw.getrandbits(bits * 32), max(1, width // bits)
    memory, orders, wanted = Bytes(2048, bits, first), [], []
    for _ in range(ORDERS):
        write, word, enables = draw.getrandbits(1), draw.getrandbits(width), draw.getrandbits(count)
        step = 8 * count if width >= bits else width
        at, other = draw.randrange(24) * step, draw.randrange(24) * step
        orders.append(write << 104 | word << 32 | other << 16 | at | (enables if count > 1 else 0))
        wanted += [0, memory.read(width, other)]
        if write:
            memory.write(width, at, enables, word)
    wide = 4 * bits
    cell = (
        f"{name} #(.BIT_WIDTH_0({width}), .BIT_WIDTH_1({width}), .INIT_RAM_00({bits * 32}'h{first:x})) cell_ ("
        ".CLKA(clock), .CLKB(clock), .CEA(write_a), .CEB(1'b1), .OCE(1'b1), .RESETA(1'b0), .RESETB(1'b0),"
        f".ADA(a[13:0]), .ADB(b[13:0]), .BLKSELA(3'd0), .BLKSELB(3'd0), .DI(d[{wide - 1}:0]), .DO(qb[{wide - 1}:0]));"
        "assign qa = 72'd0;"
    )
    assert two_ports(tmp_path, cell, [CELLS / "gowin" / f"{name}.v"], orders, width) == wanted


def _first_contents(draw: random.Random) -> tuple[int, str]:
    """Drawn contents of the first 32 bytes of 9 bits, and the parameters that say them."""
    data, parity = draw.getrandbits(256), draw.getrandbits(32)
    first = sum((data >> 8 * n & 255 | (parity >> n & 1) << 8) << 9 * n for n in range(32))
    return first, f".INIT_00(256'h{data:x}), .INITP_00(256'h{parity:x})"


def _nines(port: str, signal: str, count: int) -> str:
    """The connections of a port (DIADI, say) whose bits of parity (DIPADIP) stand apart from its data."""
    places = [9 * n for n in reversed(range(count))]
    data = ", ".join(f"{signal}[{place + 7}:{place}]" for place in places)
    parity = ", ".join(f"{signal}[{place + 8}]" for place in places)
    return f".{port}({{{data}}}), .{port[:2]}P{port[2:]}P({{{parity}}}),"


@pytest.mark.parametrize("modes", [("READ_FIRST", "WRITE_FIRST"), ("NO_CHANGE", "READ_FIRST")])
@pytest.mark.parametrize(
    ("kilobits", "width"),
    [*((36, width) for width in (36, 18, 9, 4, 2, 1)), *((18, width) for width in (18, 9, 4, 2, 1))],
)
def test_a_memory_of_xilinx_7_with_two_ports(
    tmp_path: Path, kilobits: int, width: int, modes: tuple[str, str]
) -> None:
    draw, name, most = random.Random(width), f"RAMB{kilobits}E1", kilobits // 9
    first, parameters = _first_contents(draw)
    numbers = [("NO_CHANGE", "WRITE_FIRST", "READ_FIRST").index(mode) for mode in modes]
    memory = Bytes(kilobits * 1024 // 9, 9, first)
    orders, wanted = drawn(draw, memory, width, (numbers[0], numbers[1]), masks=width > 9)
    cell = (
        f'{name} #(.RAM_MODE("TDP"), .WRITE_MODE_A("{modes[0]}"), .WRITE_MODE_B("{modes[1]}"),'
        f".READ_WIDTH_A({width}), .READ_WIDTH_B({width}), .WRITE_WIDTH_A({width}), .WRITE_WIDTH_B({width}),"
        f"{parameters}) cell_ ({_nines('DIADI', 'd', most)}{_nines('DIBDI', 'd', most)}"
        f"{_nines('DOADO', 'qa', most)}{_nines('DOBDO', 'qb', most)}"
        f".WEA(enables[{most - 1}:0] & {{8{{write_a}}}}), .WEBWE(enables & {{8{{write_b}}}}),{XILINX_PORTS[kilobits]});"
    )
    assert two_ports(tmp_path, cell, [CELLS / "xilinx" / f"{name}.v"], orders, width) == wanted


XILINX_PORTS = {
    kilobits: ".CLKARDCLK(clock), .CLKBWRCLK(clock), .ENARDEN(1'b1), .ENBWREN(1'b1), .RSTRAMARSTRAM(1'b0),"
    " .RSTRAMB(1'b0), .RSTREGARSTREG(1'b0), .RSTREGB(1'b0), .REGCEAREGCE(1'b0), .REGCEB(1'b0),"
    f" .ADDRARDADDR(a[{top}:0]), .ADDRBWRADDR(b[{top}:0])"
    for kilobits, top in ((36, 15), (18, 13))
}


@pytest.mark.parametrize(("kilobits", "width"), [(36, 72), (36, 36), (18, 36), (18, 18)])
def test_a_memory_of_xilinx_7_that_writes_by_one_port_and_reads_by_the_other(
    tmp_path: Path, kilobits: int, width: int
) -> None:
    draw, name, most = random.Random(width), f"RAMB{kilobits}E1", kilobits // 9
    first, parameters = _first_contents(draw)
    memory, orders, wanted, count = Bytes(kilobits * 1024 // 9, 9, first), [], [], width // 9
    for _ in range(ORDERS):
        write, word, enables = draw.getrandbits(1), draw.getrandbits(width), draw.randrange(1, 1 << count)
        at, other = (place * 8 * count for place in draw.sample(range(24), 2))
        orders.append(enables << 106 | write << 104 | word << 32 | at << 16 | other)
        wanted += [memory.read(width, other), 0]
        if write:
            memory.write(width, at, enables, word)
    whole = width == 18 * most  # both ports' data; else both have the same
    high = "d >> 36" if kilobits == 36 else "d >> 18"
    cell = (
        f"wire [71:0] low, high; wire [71:0] upper = {high if whole else 'd'};\n"
        f'{name} #(.RAM_MODE("SDP"), .WRITE_MODE_A("READ_FIRST"), .WRITE_MODE_B("READ_FIRST"),'
        f".READ_WIDTH_A({width}), .WRITE_WIDTH_B({width}), {parameters}) cell_ ("
        f"{_nines('DIADI', 'd', most)}{_nines('DIBDI', 'upper', most)}"
        f"{_nines('DOADO', 'low', most)}{_nines('DOBDO', 'high', most)}"
        f".WEA({most}'d0), .WEBWE(enables & {{8{{write_a}}}}),{XILINX_PORTS[kilobits]});\n"
        f"assign qa = low | high << {9 * most}, qb = 72'd0;"
        f"assign low[71:{9 * most}] = 0, high[71:{9 * most}] = 0;"
    )
    assert two_ports(tmp_path, cell, [CELLS / "xilinx" / f"{name}.v"], orders, width) == wanted


@pytest.mark.parametrize("signed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("width", [9, 18])
def test_a_multiplier_of_gowin_signed_and_unsigned(
    tmp_path: Path, width: int, signed: tuple[int, int]
) -> None:
    draw, name = random.Random(7), f"MULT{width}X{width}"
    ends = [0, 1, (1 << width - 1) - 1, 1 << width - 1, (1 << width) - 1]
    pairs = [(a, b) for a in ends for b in ends]
    pairs += [(draw.getrandbits(width), draw.getrandbits(width)) for _ in range(500)]
    wanted = [
        (a - (signed[0] * (a >> width - 1) << width)) * (b - (signed[1] * (b >> width - 1) << width))
        & (1 << 2 * width) - 1
        for a, b in pairs
    ]
    (tmp_path / "bench.v").write_text(
        f"module bench; reg [{width - 1}:0] a, b; wire [{2 * width - 1}:0] p; integer n;\n"
        f"reg [{2 * width - 1}:0] pairs [0:{len(pairs) - 1}];\n"
        f"{name} cell_ (.A(a), .B(b), .SIA({width}'d0), .SIB({width}'d0), .ASIGN(1'd{signed[0]}),\n"
        f".BSIGN(1'd{signed[1]}), .ASEL(1'b0), .BSEL(1'b0), .CE(1'b0), .CLK(1'b0), .RESET(1'b0), .DOUT(p));\n"
        f'initial begin $readmemh("pairs.mem", pairs); for (n = 0; n < {len(pairs)}; n = n + 1) begin '
        '{a, b} = pairs[n]; #1 $display("%x", p); end end endmodule\n'
    )
    (tmp_path / "pairs.mem").write_text("".join(f"{a << width | b:x}\n" for a, b in pairs))
    command = [
        "iverilog",
        "-g2005",
        "-s",
        "bench",
        "-o",
        "sim",
        "bench.v",
        str(CELLS / "gowin" / f"{name}.v"),
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run(["vvp", "-n", "sim"], cwd=tmp_path, capture_output=True, text=True).stdout.split()
    assert [int(word, 16) for word in said] == wanted
