# SPDX-License-Identifier: MIT
"""The design files for a board: sources, images, top module, constraints, build script."""

from __future__ import annotations

import shlex
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fixedpoint_nn.board.boards import Board
from fixedpoint_nn.board.fit import needs
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack import memory_files
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.sim.toolchain import rtl_folder

SILENT_SECONDS = 0.1  # after which the chip aborts a request
LARGEST_TIMEOUT = (1 << 24) - 1
PARAMETERS = {
    "program": "PROGRAM_IMAGE",
    "weights": "WEIGHT_IMAGE",
    "parameters": "PARAMETER_IMAGE",
    "tables": "TABLE_IMAGE",
    "activations": "ACTIVATION_IMAGE",
}
NOT_FOR_BOARDS = {"axi_engine.v", "axi_lite_port.v", "axi_registers.vh"}


@dataclass(frozen=True)
class Design:
    """A written design; paths are relative to `folder`."""

    folder: Path
    config: EngineConfig
    sources: tuple[str, ...]
    content: int
    empty: tuple[str, ...]  # memories to be loaded over the wire


def write_design(pack: Pack, config: EngineConfig, board: Board, folder: Path) -> Design:
    """Write everything that synthesis needs into one folder, with paths inside it only.

    Yosys as WebAssembly has its own /tmp, so it can only use paths below its working folder.
    """
    for part in ("rtl", "images"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    large = tuple(needs(config, board).large)
    images, check = {}, 0
    for kind, (bits, words) in pack.images.words(config).items():
        if words:
            text = memory_files.write_mem(words, bits)
            check = zlib.crc32(text.encode(), check)
            if kind not in large:
                (folder / "images" / f"{kind}.mem").write_text(text)
                images[kind] = f"images/{kind}.mem"
    sources = _copy_sources(board, folder)
    (folder / "top.v").write_text(top(pack.name, config, board, images, check))
    (folder / f"top{board.chip.constraints}").write_text(constraints(board))
    return Design(folder, config, (*sources, "top.v"), check, large)


def _copy_sources(board: Board, folder: Path) -> list[str]:
    rtl = rtl_folder()
    found = [*rtl.glob("*.v"), *rtl.glob("*.vh"), *(rtl / "board").glob("*.v")]
    own = {path.name: path for path in found if path.name not in NOT_FOR_BOARDS}
    if board.large_memories:
        own |= {path.name: path for path in (rtl / "board" / board.family).glob("*.v")}
    for name, path in own.items():
        shutil.copy(path, folder / "rtl" / name)
    return sorted(f"rtl/{name}" for name in own if name.endswith(".v"))


def top(name: str, config: EngineConfig, board: Board, images: dict[str, str], content: int) -> str:
    """The Verilog of the top module, whose ports are the chip's pins."""
    values = {
        "DIVIDER": round(board.hertz / board.baud),
        "TIMEOUT": min(LARGEST_TIMEOUT, round(SILENT_SECONDS * board.hertz)),
        "CLOCK_KHZ": round(board.hertz / 1000),
        "CONTENT": f"32'h{content:08x}",
        **config.verilog(),
        **{PARAMETERS[kind]: f'"{path}"' for kind, path in images.items()},
    }
    settings = ",\n".join(f"        .{key}({value})" for key, value in values.items())
    invert = "" if board.leds_light_at else "~"
    return f"""// SPDX-License-Identifier: MIT
// {name} on {board.title}.
`default_nettype none
module top (
    input  wire       clk,
    input  wire       rx,
    output wire       tx,
    // led[0]: a program runs; led[1]: it has run, and its results are there.
    output wire [1:0] led
);
    wire busy, done;
{divider(board)}
    uart_engine #(
{settings}
    ) board (.clock(clock), .rx(rx), .tx(tx), .busy(busy), .done(done), .idle());
    assign led = {invert}{{done, busy}};
endmodule
`default_nettype wire
"""


def divider(board: Board) -> str:
    """The Verilog that divides the pin's clock for the engine."""
    if board.divide == 1:
        return "    wire clock = clk;"
    bits = board.divide.bit_length() - 1
    return f"""    reg [{bits - 1}:0] divided;
    initial divided = 0;
    always @(posedge clk) divided <= divided + 1'b1;
    wire clock = divided[{bits - 1}];"""


def constraints(board: Board) -> str:
    """The constraints of pins and clock, in the format of the family's tools."""
    pins = {"clk": board.clock["pin"], "rx": board.rx, "tx": board.tx}
    pins |= {f"led[{place}]": pin for place, pin in enumerate(board.leds)}
    given = float(board.clock["mhz"])
    if board.family == "ecp5":
        lines = [
            f'LOCATE COMP "{port}" SITE "{pin}";\nIOBUF PORT "{port}" IO_TYPE={board.io};'
            for port, pin in pins.items()
        ]
        return "\n".join([*lines, f'FREQUENCY PORT "clk" {given:g} MHZ;']) + "\n"
    if board.family == "ice40":
        return "".join(f"set_io {port} {pin}\n" for port, pin in pins.items())
    if board.family == "gowin":
        return "".join(
            f'IO_LOC "{port}" {pin};\nIO_PORT "{port}" IO_TYPE={board.io};\n' for port, pin in pins.items()
        )
    lines = [
        f"set_property -dict {{ PACKAGE_PIN {pin} IOSTANDARD {board.io} }} [get_ports {{{port}}}]"
        for port, pin in pins.items()
    ]
    lines.append(f"create_clock -period {1000 / given:.3f} [get_ports clk]")
    if board.divide > 1:
        register = f"divided_reg[{board.divide.bit_length() - 2}]"
        lines.append(
            f"create_generated_clock -name clock -source [get_ports clk] -divide_by {board.divide} "
            f"[get_pins {{{register}/Q}}]"
        )
    return "\n".join(lines) + "\n"


def commands(board: Board, sources: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The (tool, arguments) of each step from Verilog to a bitstream, to be run in the design's folder."""
    chip = board.chip
    nextpnr, packer = chip.tools
    synth = chip.synth.replace(
        "synth_ice40 ", "synth_ice40 -spram " if board.large_memories else "synth_ice40 "
    )
    place = [
        "--json",
        "top.json",
        "--report",
        "report.json",
        "--timing-allow-fail",
        "--freq",
        f"{board.mhz:g}",
        "--seed",
        "1",
    ]
    tail, pack = {
        "ecp5": (["--lpf", "top.lpf", "--textcfg", "top.config"], ["--compress", "top.config", "top.bit"]),
        "ice40": (["--pcf", "top.pcf", "--asc", "top.asc"], ["top.asc", "top.bin"]),
        "gowin": (["--vopt", "cst=top.cst", "--write", "placed.json"], ["-o", "top.fs", "placed.json"]),
    }[board.family]
    return [
        ("yosys", ["-q", "-p", f"read_verilog -Irtl {' '.join(sources)}; {synth}; tee -o cells.txt stat"]),
        (nextpnr, [*board.place, *place, *tail]),
        (packer, [*(board.pack or []), *pack]),
    ]


def build_script(board: Board, sources: Sequence[str]) -> str:
    """The build steps as a shell script, which prefers tools from Python packages."""
    lines = ["#!/bin/sh", f"# Builds the bitstream for {board.title}.", "set -eu", 'cd "$(dirname "$0")"']
    lines.append('tool() { name=$1; shift; "$(command -v "yowasp-$name" || command -v "$name")" "$@"; }')
    lines += [f"tool {shlex.join([name, *arguments])}" for name, arguments in commands(board, sources)]
    return "\n".join([*lines, f"# {board.write}"]) + "\n"


VIVADO = """# Builds the bitstream for {title}: vivado -mode batch -source build.tcl
# Written from AMD's documentation and not run by this project's tests, which have no Vivado.
create_project -force -part {part} board project
add_files {{{sources}}}
add_files {{{headers}}}
add_files {{{images}}}
set_property include_dirs [list rtl] [current_fileset]
set_property top top [current_fileset]
add_files -fileset constrs_1 top.xdc
launch_runs impl_1 -to_step write_bitstream -jobs 2
wait_on_run impl_1
open_run impl_1
report_utilization -file utilization.rpt
report_timing_summary -file timing.rpt
file copy -force [glob project/board.runs/impl_1/*.bit] top.bit
"""


def vivado_script(board: Board, design: Design) -> str:
    """The build steps as Tcl for Vivado."""
    headers = " ".join(sorted(f"rtl/{path.name}" for path in (design.folder / "rtl").glob("*.vh")))
    images = " ".join(sorted(f"images/{path.name}" for path in (design.folder / "images").glob("*.mem")))
    return VIVADO.format(
        title=board.title, part=board.part, sources=" ".join(design.sources), headers=headers, images=images
    )
