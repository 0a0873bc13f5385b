# SPDX-License-Identifier: MIT
"""Mutants of the AXI wrapper: a netlist of it with its engine, in Icarus under the wrapper's own bench."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fixedpoint_nn.hardware.sim.toolchain import find_tool, rtl_folder
from tests.hardware.rtl.test_axi_engine import network_plusargs, strided_plusargs
from tests.proof.equivalence import Facts
from tests.proof.judges import Judge
from tests.proof.mutants import SELECT_BITS, Mutant, applied
from tests.proof.yosys import run_yosys

WITHOUT_ENGINE = "blackbox *engine axi_engine %d"
FACTS = Facts()
PARAMETERS = network_plusargs(1, 0)[0]


def elaborate() -> list[str]:
    """yosys commands for the wrapper with its engine, processes made cells, memories left whole."""
    sources = " ".join(sorted(path.name for path in rtl_folder().glob("*.v")))
    values = " ".join(f"-set {name} {value}" for name, value in PARAMETERS.items())
    return [
        f"read_verilog -I. {sources}",
        f"chparam {values} axi_engine",
        "hierarchy -top axi_engine",
        "proc",
        "opt_expr",
        "opt_clean",
    ]


def judges() -> list[Judge]:
    """Networks whose tensors are one run and several, with pauses and without."""
    asked = [network_plusargs(1, 1), strided_plusargs(1)]
    asked += [network_plusargs(seed, 0) for seed in (2, 3)]
    asked += [strided_plusargs(seed) for seed in (2, 3, 4)]
    return [
        Judge(f"network {n}", 0, (*plusargs, "+patience=5000")) for n, (_, plusargs, _) in enumerate(asked)
    ]


def build(mutants: Sequence[Mutant], folder: Path) -> list[str]:
    """The command of a simulator with all mutants in it; +mutant=0 is the wrapper itself."""
    netlist, shell, program = folder / "mutated.v", folder / "axi_engine.v", folder / "mutants.vvp"
    rename = "rename axi_engine mutated"
    run_yosys([*elaborate(), *applied(mutants), rename, f"write_verilog -noattr {netlist}"])
    shell.write_text(_shell((rtl_folder() / "axi_engine.v").read_text()))
    bench = rtl_folder() / "tb" / "axi_engine_tb.v"
    values = [f"-Paxi_engine_tb.{name}={value}" for name, value in PARAMETERS.items()]
    command = [str(find_tool("iverilog").path), "-g2005", f"-I{rtl_folder()}", "-s", "axi_engine_tb", *values]
    files = [str(bench), str(shell), str(netlist)]
    done = subprocess.run([*command, "-o", str(program), *files], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"iverilog could not compile the mutants:\n{(done.stdout + done.stderr)[-2000:]}")
    return ["vvp", "-n", str(program)]


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
