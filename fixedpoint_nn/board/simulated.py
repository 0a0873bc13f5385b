# SPDX-License-Identifier: MIT
"""A simulated board: the Verilog of the real chip, down to the bits of the serial line."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack, nullcontext
from pathlib import Path

from fixedpoint_nn.board.process import BoardProcess
from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.pack import memory_files
from fixedpoint_nn.hardware.sim import cache, verilator
from fixedpoint_nn.hardware.sim.build import SIMULATORS, last_line
from fixedpoint_nn.hardware.sim.processes import Processes
from fixedpoint_nn.hardware.sim.toolchain import Tool, ToolError, find_tool, rtl_folder

BENCH = "uart_engine_tb"
DIVIDER = 4  # clocks per bit
SILENT_BITS = 500  # after which the simulated chip aborts a request
SECONDS = 60.0  # timeout of an answer: simulation is slow, especially on a busy machine
RUN_SECONDS = 3600.0  # timeout of a vector


class SimulatedBoard(BoardProcess):
    """A simulated board with an engine of these parameters; without built-in `images` memories are undefined."""

    def __init__(
        self,
        config: EngineConfig,
        images: Images | None = None,
        simulator: str = "iverilog",
        content: int = 0,
        clock_khz: int = 0,
    ) -> None:
        kept = ExitStack()
        folder = kept.enter_context(scratch.folder(plain=True))
        values = {**config.verilog(), "DIVIDER": DIVIDER, "TIMEOUT": DIVIDER * SILENT_BITS}
        values |= {"CONTENT": content, "CLOCK_KHZ": clock_khz, "BUILT_IN": int(images is not None)}
        try:
            if images is not None:
                write_full(folder, config, images)
            super().__init__(compiled_board(values, simulator), folder, kept.close)
        except BaseException:
            kept.close()
            raise


def write_full(folder: Path, config: EngineConfig, images: Images) -> None:
    """Write every image, filled with 0 to the depth of its memory, as in a chip."""
    values = config.verilog()
    depths = {"program": "PROGRAM_DEPTH", "weights": "WEIGHT_DEPTH", "parameters": "PARAMETER_DEPTH"}
    depths |= {"tables": "TABLE_DEPTH"}
    for name, (bits, words) in images.words(config).items():
        rows = values[depths[name]] if name in depths else config.activation_depth // config.lanes
        text = memory_files.write_mem([*words, *[0] * (rows - len(words))], bits)
        (folder / f"{name}.mem").write_text(text)


def compiled_board(values: dict[str, int], simulator: str) -> list[str]:
    """The command that simulates a board with these parameters; compiled unless cached."""
    if simulator not in SIMULATORS:
        raise ToolError(f"There is no simulator {simulator!r}; use {' or '.join(map(repr, SIMULATORS))}.")
    rtl, tool = rtl_folder(), find_tool(simulator)
    sources = sorted(
        [*rtl.glob("*.v"), *rtl.glob("*.vh"), *(rtl / "board").glob("*.v"), *(rtl / "board" / "tb").glob("*")]
    )
    content = hashlib.sha256(
        repr(
            (BENCH, values, simulator, tool.version, str(tool.path), verilator.options(verilator.FOR_SPEED))
        ).encode()
    )
    for source in sources:
        content.update(source.name.encode() + source.read_bytes())
    key = content.hexdigest()[:32]
    program = cache.cached(key) or _built(key, values, tool, sources)
    return [str(find_tool("vvp").path), "-n", str(program)] if simulator == "iverilog" else [str(program)]


def _built(key: str, values: dict[str, int], tool: Tool, sources: list[Path]) -> Path:
    """Compile the bench with these parameters, and put the program into the cache under `key`."""
    simulator, program = tool.name, str(tool.path)
    with scratch.folder(plain=True) as work:
        for source in sources:
            shutil.copy(source, work)
        files = sorted(source.name for source in sources if source.suffix == ".v")
        if simulator == "iverilog":
            command = [program, "-g2005", "-I.", "-s", BENCH, "-o", cache.PROGRAM]
            command += [f"-P{BENCH}.{name}={value}" for name, value in values.items()] + files
        else:
            command = [
                program,
                *verilator.options(verilator.FOR_SPEED),
                "-I.",
                "--top-module",
                BENCH,
                "--Mdir",
                verilator.OBJECTS,
                "-o",
                f"../{cache.PROGRAM}",
            ]
            command += [f"-G{name}={value}" for name, value in values.items()] + [*files, f"{BENCH}.cpp"]
        with verilator.library(tool, work) if simulator == "verilator" else nullcontext():
            text, status = Processes().execute(command, work)
        if status or not (work / cache.PROGRAM).exists():
            raise ToolError(f"{simulator} could not compile the board: {last_line(text)}")
        with cache.new_folder() as made:
            shutil.copy2(work / cache.PROGRAM, made / cache.PROGRAM)
            return cache.keep(key, made)
