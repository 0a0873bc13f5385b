# SPDX-License-Identifier: MIT
"""Mutants of the engine by yosys, all of them in one netlist, chosen at run time, and a simulator of that."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.sim import verilator
from fixedpoint_nn.hardware.sim.toolchain import find_tool, rtl_folder
from tests.proof.yosys import run_yosys

SELECT_BITS = 16
COUNTER_BITS = 19  # as many as the longest vector fills; the counters of 32 bits are the same Verilog


@dataclass(frozen=True)
class Mutant:
    """One line of yosys' `mutate -list`."""

    number: int
    command: str

    def of(self, option: str) -> str:
        """What the line says about a module, cell, port ..."""
        return _option(self.command, option)

    @property
    def cell(self) -> tuple[str, str]:
        """The mutated cell, with its module."""
        return self.of("module").removeprefix("\\"), self.of("cell").removeprefix("\\")

    @property
    def module(self) -> str:
        parts = _option(self.command, "module").split("\\")
        return next(part for part in reversed(parts) if "=" not in part)

    @property
    def place(self) -> str:
        """What was done, and where in the Verilog."""
        sources = re.findall(r"-src (\S+?):(\d+)", self.command)
        where = ", ".join(dict.fromkeys(f"{file}:{line}" for file, line in sources)) or f"{self.module}.v"
        mode, port, bit, other = (
            _option(self.command, name) for name in ("mode", "port", "portbit", "ctrlbit")
        )
        cell = _option(self.command, "cell").lstrip("\\")
        cell = cell.split("$")[1] if cell.startswith("$") else cell
        wire = f" ({_option(self.command, 'wire')}[{_option(self.command, 'wirebit')}])" * (
            "-wire" in self.command
        )
        by = f" by bit {other}" if mode.startswith("cnot") else ""
        return f"{where}: {mode} of {cell} {port.lstrip(chr(92))}[{bit}]{by}{wire.replace(chr(92), '')}"


def _option(command: str, name: str) -> str:
    found = re.search(rf"-{name} (\S+)", command)
    return found[1] if found else ""


def elaborate(config: EngineConfig) -> list[str]:
    """yosys commands for the engine with these parameters, processes made cells, memories left whole."""
    sources = " ".join(
        sorted(path.name for path in rtl_folder().glob("*.v") if not path.name.startswith("axi"))
    )
    parameters = config.verilog() | {"COUNTER_WIDTH": COUNTER_BITS}
    values = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    return [
        f"read_verilog -I. {sources}",
        f"chparam {values} engine",
        "hierarchy -top engine",
        "proc",
        "opt_expr",
        "opt_clean",
    ]


def choose(design: Sequence[str], count: int, seed: int, folder: Path, modules: str = "") -> list[Mutant]:
    """A fixed set of mutants of a design, or of some of its modules, spread evenly.

    Those of the memories' own ports are left out.
    """
    listing, netlist = folder / "mutants.txt", folder / "modules.json"
    asked = count
    while True:
        mutate = f"mutate -list {asked} -seed {seed} -o {listing} {modules}"
        run_yosys([*design, f"write_json {netlist}", mutate])
        ports = memory_ports(json.loads(netlist.read_text())["modules"])
        mutants = [Mutant(0, line) for line in listing.read_text().splitlines()]
        commands = [mutant.command for mutant in mutants if mutant.cell not in ports]
        if len(commands) >= count or asked > 4 * count:
            return [Mutant(number, command) for number, command in enumerate(commands[:count], 1)]
        asked += count - len(commands) + 10


def memory_ports(modules: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(module, cell) of the memories, and of the multiplexers that are a write port's.

    While nothing is written these have no address and no data (x), for which every simulator takes another.
    """
    found = set()
    for module, content in modules.items():
        written: set[Any] = set()
        for name, cell in content["cells"].items():
            if cell["type"].startswith("$mem"):
                found.add((module, name))
                if cell["type"].startswith("$memwr"):
                    written |= {bit for bits in cell["connections"].values() for bit in bits}
        while True:
            before = len(found)
            for name, cell in content["cells"].items():
                pins = cell["connections"]
                if cell["type"] == "$mux" and written & set(pins["Y"]):
                    found.add((module, name))
                    written |= {bit for bit in pins["A"] + pins["B"] if isinstance(bit, int)}
            if len(found) == before:
                break
    return found


def build(config: EngineConfig, mutants: Sequence[Mutant], folder: Path) -> list[str]:
    """The command of a simulator with all mutants in it; +mutant=0 is the engine itself."""
    netlist = folder / "mutated.v"
    run_yosys([*elaborate(config), *applied(mutants), f"write_verilog -noattr {netlist}"])
    bench = folder / "bench.v"
    bench.write_text(_bench_with_choice((rtl_folder() / "tb" / "engine_tb.v").read_text(), config))
    # Many lanes take longer to compile than to simulate.
    speed = verilator.AT_ONCE if config.lanes >= 16 else verilator.USUAL
    command = [
        str(find_tool("verilator").path),
        *verilator.options(speed),
        "--top-module",
        "engine_tb",
        "--Mdir",
        str(folder / "obj"),
        "-o",
        "../mutants",
        str(bench),
        str(netlist),
        str(rtl_folder() / "tb" / "weight_source.v"),
        str(rtl_folder() / "tb" / "engine_tb.cpp"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode or not (folder / "mutants").exists():
        raise RuntimeError(f"verilator could not compile the mutants:\n{(done.stdout + done.stderr)[-2000:]}")
    return [str(folder / "mutants")]


def applied(mutants: Sequence[Mutant]) -> list[str]:
    """yosys commands that put them into the netlist, each chosen by its number."""
    return [f"{mutant.command} -ctrl mutant {SELECT_BITS} {mutant.number}" for mutant in mutants]


def _bench_with_choice(text: str, config: EngineConfig) -> str:
    """The engine's own bench; the netlist has its parameters already and one port more."""
    choice = (
        "reg [15:0] mutant = 16'd0;\n"
        '    initial if (!$value$plusargs("mutant=%d", mutant)) mutant = 16\'d0;\n'
        '    integer hang;\n    initial if (!$value$plusargs("hang=%d", hang)) hang = 0;\n'
        "    always @(posedge clock) begin\n        hang = hang - 1;\n"
        '        if (hang == 0) $fatal(1, "FAIL: it hangs");\n    end\n'
        "    engine u_engine (.mutant(mutant),"
    )
    text, found = re.subn(r"engine #\(.*?\n    \) u_engine \(", lambda _: choice, text, flags=re.S)
    if found != 1:
        raise RuntimeError("the bench does not instantiate the engine where it is expected")
    for name in ("tables[0].u_table_memory", "banks[0].rows"):  # one name each, where yosys writes them
        text = text.replace(name, f"\\{name} ")
    for name, value in config.verilog().items():
        text, found = re.subn(rf"(parameter {name}) = \d+;", rf"\1 = {value};", text)
        if found != 1:
            raise RuntimeError(f"the bench has no parameter {name}")
    return text
