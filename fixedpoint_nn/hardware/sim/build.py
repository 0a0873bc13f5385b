# SPDX-License-Identifier: MIT
"""Compiling the engine's Verilog with Icarus Verilog or Verilator."""

from __future__ import annotations

import hashlib
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.sim import cache, verilator
from fixedpoint_nn.hardware.sim.processes import Processes
from fixedpoint_nn.hardware.sim.toolchain import Tool, ToolError, find_tool, rtl_folder

SIMULATORS = ("iverilog", "verilator")
BENCH = "engine_tb"
SOURCE = "weight_source"  # the bench's memory of streamed weights


def compiled(
    config: EngineConfig, simulator: str, waves: bool = False, cycles: int = 0, rtl: Path | None = None
) -> list[str]:
    """The command that simulates this engine, which is compiled unless it is in the cache.

    With `waves` it can write a VCD. `cycles` is the expected number of clocks: many justify compiling for speed.
    `rtl` is a folder with a changed copy of the Verilog.
    """
    if simulator not in SIMULATORS:
        raise ToolError(f"There is no simulator {simulator!r}; use {' or '.join(map(repr, SIMULATORS))}.")
    if rtl is not None and not (rtl / "engine.v").is_file():
        raise ToolError(f"{rtl} holds no engine.v; give a copy of {rtl_folder()}, with its changes")
    rtl = rtl or rtl_folder()
    tool = find_tool(simulator)
    content = hashlib.sha256()
    for part in (str(config.verilog()), simulator, tool.version, str(tool.path), str(waves)):
        content.update(part.encode())
    for source in _sources(rtl):
        content.update(source.name.encode() + source.read_bytes())

    def key(long: bool) -> str:
        variant = content.copy()
        variant.update(repr(verilator.options(_speed(long))).encode())
        return variant.hexdigest()[:32]

    long = cycles > verilator.LONG
    program = cache.cached(key(True)) or (None if long else cache.cached(key(False)))
    if program is None:
        program = _built(key(long), config, tool, rtl, waves, long)
    return [str(find_tool("vvp").path), "-n", str(program)] if simulator == "iverilog" else [str(program)]


def _speed(long: bool) -> str:
    return verilator.FOR_SPEED if long else verilator.USUAL


def _sources(rtl: Path) -> list[Path]:
    benches = [*(rtl / "tb").glob(f"{BENCH}.*"), *(rtl / "tb").glob(f"{SOURCE}.v")]
    return sorted([*rtl.glob("*.v"), *rtl.glob("*.vh"), *benches])


def _built(key: str, config: EngineConfig, tool: Tool, rtl: Path, waves: bool, long: bool) -> Path:
    """Build in a folder with a simple path, then move the program into the cache."""
    with scratch.folder(plain=True) as work:
        (work / "rtl" / "tb").mkdir(parents=True)
        for source in _sources(rtl):
            shutil.copyfile(source, work / "rtl" / source.relative_to(rtl))
        compile_into(work, config, tool, waves, long)
        try:
            with cache.new_folder() as built:
                shutil.copy2(work / cache.PROGRAM, built / cache.PROGRAM)
                return cache.keep(key, built)
        except ValueError as error:  # an invalid limit of the cache
            raise ToolError(str(error)) from None
        except OSError as error:
            raise ToolError(
                f"the compiled simulator cannot be kept in {cache.cache_folder()} ({error.strerror}); make room there, "
                f"or set {cache.VARIABLE} to another place"
            ) from None


def compile_into(work: Path, config: EngineConfig, tool: Tool, waves: bool, long: bool = False) -> None:
    """Compile the sources in work/rtl to work/sim, with relative paths only."""
    values, simulator, program = config.verilog(), tool.name, str(tool.path)
    files = [
        *(f"rtl/tb/{name}.v" for name in (BENCH, SOURCE)),
        *sorted(f"rtl/{path.name}" for path in (work / "rtl").glob("*.v")),
    ]
    if simulator == "iverilog":
        command = [program, "-g2005", "-Irtl", "-s", BENCH, "-o", cache.PROGRAM]
        command += [f"-P{BENCH}.{name}={value}" for name, value in values.items()] + files
    else:
        command = [program, *verilator.options(_speed(long)), "-Irtl"] + (["--trace"] if waves else [])
        command += ["--top-module", BENCH, "--Mdir", verilator.OBJECTS, "-o", f"../{cache.PROGRAM}"]
        command += [f"-G{name}={value}" for name, value in values.items()] + files
        command.append(f"rtl/tb/{BENCH}.cpp")  # the clock
    try:
        with verilator.library(tool, work, waves) if simulator == "verilator" else nullcontext():
            text, status = Processes().execute(command, work)
    except OSError as error:
        raise ToolError(f"{command[0]} does not run: {error.strerror}; install the simulator again") from None
    scratch.demand_room(work)  # Icarus does not notice a full disk
    if status or not (work / cache.PROGRAM).exists():
        cause = _cause(text) if status >= 0 else f"it was killed by signal {-status}"
        raise ToolError(f"{simulator} could not compile the engine: {cause}")
    if simulator == "iverilog" and not (work / cache.PROGRAM).read_bytes().endswith(b";\n"):
        raise ToolError(f"{simulator} wrote a part of the compiled engine into {work.parent}; is there room?")


def _cause(text: str) -> str:
    """The line of a tool's output that names a missing program, or the last line."""
    missing = re.search(r"^.*(not found|No such file).*$", text, re.MULTILINE)
    return missing[0].strip() if missing else last_line(text)


def last_line(text: str) -> str:
    """The last line of a tool's output that is not empty."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
