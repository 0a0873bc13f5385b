# SPDX-License-Identifier: MIT
"""Mutants of the AXI wrapper: a netlist of it around a stand-in for the engine, in Icarus under the ports' bench."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fixedpoint_nn.hardware.sim.toolchain import find_tool, rtl_folder
from tests.proof.equivalence import Facts
from tests.proof.judges import Judge
from tests.proof.mutants import SELECT_BITS, Mutant, applied
from tests.proof.yosys import run_yosys

BENCH, STAND_IN = "axi_engine_ports_tb", "engine_stand_in"
FACTS = Facts()
# It begins by itself, and there is something that it refuses to others.
CHOSEN = {"AUTOSTART": "7", "SECURE_ONLY": "1"}
SEEDS = range(1, 9)


def parameters() -> dict[str, str]:
    """Those that the bench gives the wrapper."""
    text = _bench().read_text()
    values = dict(re.findall(r"^    parameter (?:\[\d+:0\] )?(\w+) = ([\w']+);", text, flags=re.M))
    return {name: values[name] for name in re.findall(r"\.([A-Z_]+)\(\1\)", text)} | CHOSEN


def elaborate() -> list[str]:
    """yosys commands for the wrapper, processes made cells; of the engine its ports alone, which answer anything."""
    values = " ".join(f"-set {name} {value}" for name, value in parameters().items())
    return [
        "read_verilog -lib -I. engine.v",
        "read_verilog -I. axi_engine.v axi_lite_port.v",
        f"chparam {values} axi_engine",
        "hierarchy -top axi_engine",
        "proc",
        "opt_expr",
        "opt_clean",
    ]


def judges() -> list[Judge]:
    """The bench with several seeds."""
    return [Judge(f"ports {seed}", 0, (f"+seed={seed}",)) for seed in SEEDS]


def build(mutants: Sequence[Mutant], folder: Path) -> list[str]:
    """The command of a simulator with all mutants in it; +mutant=0 is the wrapper itself."""
    netlist, shell, program = folder / "mutated.v", folder / "axi_engine.v", folder / "mutants.vvp"
    rename = "rename axi_engine mutated"
    run_yosys([*elaborate(), *applied(mutants), rename, f"write_verilog -noattr {netlist}"])
    shell.write_text(_shell((rtl_folder() / "axi_engine.v").read_text()))
    values = [f"-P{BENCH}.{name}={value}" for name, value in CHOSEN.items()]
    command = [str(find_tool("iverilog").path), "-g2005", f"-I{rtl_folder()}", "-s", BENCH, *values]
    files = [str(_bench()), str(_bench().with_name(f"{STAND_IN}.v")), str(shell), str(netlist)]
    done = subprocess.run([*command, "-o", str(program), *files], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"iverilog could not compile the mutants:\n{(done.stdout + done.stderr)[-2000:]}")
    return ["vvp", "-n", str(program)]


def _bench() -> Path:
    return rtl_folder() / "tb" / f"{BENCH}.v"


def _shell(text: str) -> str:
    """The wrapper's own header around the netlist, which has a port more: the mutant that is asked for."""
    header = re.search(r"module axi_engine .*?\n\);\n", text, flags=re.S)
    if header is None:
        raise RuntimeError("axi_engine.v does not begin as it is expected")
    head = re.sub(r"\boutput reg\b", "output wire", header[0])
    ports = re.findall(r"^    (?:input|output) +wire(?: +\[.*?\])? +(\w+)", head, flags=re.M)
    last = SELECT_BITS - 1
    return (
        f"{head}    reg [{last}:0] mutant;\n"
        f'    initial if (!$value$plusargs("mutant=%d", mutant)) mutant = 0;\n'
        f"    mutated u_mutated (.mutant(mutant), {', '.join(f'.{port}({port})' for port in ports)});\n"
        "endmodule\n"
    )
