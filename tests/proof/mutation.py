# SPDX-License-Identifier: MIT
"""Mutants of the engine, all of them in one netlist and chosen at run time, judged by the golden packs.

yosys changes single bits of the netlist (inverted, stuck, or mixed with a neighbour); a mutant is killed when
the bench ends in anything but PASS. What survives is shown to be equal to the engine by yosys' equivalence
checker, or is listed.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from fixedpoint_nn.hardware.engine import EngineConfig
from fixedpoint_nn.hardware.simulate import VERILATOR
from fixedpoint_nn.hardware.toolchain import find_tool, rtl_folder
from tests.proof.judges import Judge, common_engine, golden_packs
from tests.proof.judges import judge as judge_of
from tests.proof.yosys import SCRATCH, run_yosys

SELECT_BITS = 16
COUNTER_BITS = 19  # as many as the longest vector fills; the counters of 32 bits are the same Verilog


@dataclass(frozen=True)
class Mutant:
    """One line of yosys' `mutate -list`."""

    number: int
    command: str

    @property
    def module(self) -> str:
        return _option(self.command, "module").split("\\")[-1]

    @property
    def place(self) -> str:
        """What was done, and where in the Verilog."""
        sources = re.findall(r"-src (\S+?):(\d+)", self.command)
        where = ", ".join(dict.fromkeys(f"{file}:{line}" for file, line in sources)) or f"{self.module}.v"
        mode, port, bit, other = (_option(self.command, name) for name in ("mode", "port", "portbit", "ctrlbit"))
        cell = _option(self.command, "cell").lstrip("\\")
        cell = cell.split("$")[1] if cell.startswith("$") else cell
        wire = f" ({_option(self.command, 'wire')}[{_option(self.command, 'wirebit')}])" * ("-wire" in self.command)
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


def choose(config: EngineConfig, count: int, seed: int, folder: Path) -> list[Mutant]:
    """A fixed set of mutants, spread evenly; those of the memories' own ports are left out."""
    listing = folder / "mutants.txt"
    asked = count
    while True:
        run_yosys([*elaborate(config), f"mutate -list {asked} -seed {seed} -o {listing}"])
        commands = [line for line in listing.read_text().splitlines() if not _on_memory(line)]
        if len(commands) >= count or asked > 4 * count:
            return [Mutant(number, command) for number, command in enumerate(commands[:count], 1)]
        asked += count - len(commands) + 10


def _on_memory(command: str) -> bool:
    return re.search(r"-cell \S*(\$mem|memrd|memwr)", command) is not None


def build(config: EngineConfig, mutants: Sequence[Mutant], folder: Path) -> Path:
    """The simulator with all mutants in it; +mutant=0 is the engine itself."""
    netlist = folder / "mutated.v"
    run_yosys([*elaborate(config), *applied(mutants), f"write_verilog -noattr {netlist}"])
    bench = folder / "bench.v"
    bench.write_text(_bench_with_choice((rtl_folder() / "tb" / "engine_tb.v").read_text(), config))
    command = [
        str(find_tool("verilator").path),
        *VERILATOR,
        "--top-module",
        "engine_tb",
        "--Mdir",
        str(folder / "obj"),
        "-o",
        "../mutants",
        str(bench),
        str(netlist),
        str(rtl_folder() / "tb" / "engine_tb.cpp"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode or not (folder / "mutants").exists():
        raise RuntimeError(f"verilator could not compile the mutants:\n{(done.stdout + done.stderr)[-2000:]}")
    return folder / "mutants"


def applied(mutants: Sequence[Mutant]) -> list[str]:
    """yosys commands that put them into the netlist, each chosen by its number."""
    return [f"{mutant.command} -ctrl mutant {SELECT_BITS} {mutant.number}" for mutant in mutants]


def _bench_with_choice(text: str, config: EngineConfig) -> str:
    """The engine's own bench; the netlist has its parameters already and one port more."""
    choice = (
        "reg [15:0] mutant = 16'd0;\n"
        "    initial if (!$value$plusargs(\"mutant=%d\", mutant)) mutant = 16'd0;\n"
        "    integer hang;\n    initial if (!$value$plusargs(\"hang=%d\", hang)) hang = 0;\n"
        "    always @(posedge clock) begin\n        hang = hang - 1;\n"
        "        if (hang == 0) $fatal(1, \"FAIL: it hangs\");\n    end\n"
        "    engine engine (.mutant(mutant),"
    )
    text, found = re.subn(r"engine #\(.*?\n    \) engine \(", lambda _: choice, text, flags=re.S)
    if found != 1:
        raise RuntimeError("the bench does not instantiate the engine where it is expected")
    for name, value in config.verilog().items():
        text, found = re.subn(rf"(parameter {name}) = \d+;", rf"\1 = {value};", text)
        if found != 1:
            raise RuntimeError(f"the bench has no parameter {name}")
    return text


def passes(simulator: Path, judge: Judge, mutant: int) -> bool:
    """Does the bench end in PASS, and with status 0?"""
    command = [str(simulator), f"+mutant={mutant}", *judge.arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=300
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and "PASS: " in done.stdout


def survivors(
    simulator: Path, judges: Sequence[Judge], mutants: Sequence[Mutant], workers: int
) -> list[Mutant]:
    """The mutants that every judge lets pass; the engine itself must pass before all."""
    ordered = sorted(judges, key=lambda judge: judge.cycles)
    for judge in ordered:
        if not passes(simulator, judge, 0):
            raise RuntimeError(f"the engine without a mutation does not pass {judge.name}")

    def survives(mutant: Mutant) -> bool:
        return all(passes(simulator, judge, mutant.number) for judge in ordered)

    with ThreadPoolExecutor(workers) as pool:
        verdicts = list(tqdm(pool.map(survives, mutants), total=len(mutants), desc="mutants", unit="mutant"))
    return [mutant for mutant, alive in zip(mutants, verdicts, strict=True) if alive]


def proven_equal(config: EngineConfig, mutant: Mutant, seconds: int = 20) -> bool:
    """Is the mutant's module equal to the original for every input, from every state they can share?"""
    module = _option(mutant.command, "module")
    commands = [
        *elaborate(config),
        "memory_map",
        f"select -module {module}",
        "select -clear",
        f"copy {module} gold",
        f"{mutant.command}",
        f"rename {module} gate",
        "equiv_make gold gate both",
        "hierarchy -top both",
        "opt_clean",
        "equiv_simple -undef",
        "equiv_induct -undef -seq 4",
        "equiv_status -assert",
    ]
    try:
        run_yosys(commands, seconds)
    except (RuntimeError, subprocess.TimeoutExpired):
        return False
    return True


JUDGES: dict[str, int | None] = {
    "moons": None,
    "nplm": 2,
    "bigram": 1,
    "names_lstm": 1,
}  # packs, and how many vectors
COUNT, SEED = 1000, 1


def report(workers: int, count: int = COUNT) -> tuple[list[str], bool]:
    """Killed, equal and surviving mutants of each module; the survivors one by one."""
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as name:
        folder, packs = Path(name), golden_packs(list(JUDGES))
        config = common_engine(packs)
        judges = [judge_of(pack, config, folder / pack.name, JUDGES[pack.name]) for pack in packs]
        mutants = choose(config, count, SEED, folder)
        alive = survivors(build(config, mutants, folder), judges, mutants, workers)
    with ThreadPoolExecutor(workers) as pool:
        equal = set(
            tqdm(
                pool.map(lambda m: m.number * proven_equal(config, m), alive), total=len(alive), desc="proofs"
            )
        )
    lines = [f"{'module':20} {'mutants':>8} {'killed':>8} {'equal':>8} {'survived':>9}"]
    for module in [*sorted({mutant.module for mutant in mutants}), "all"]:
        here = [mutant for mutant in mutants if module in (mutant.module, "all")]
        left = [mutant for mutant in alive if mutant in here]
        same = sum(mutant.number in equal for mutant in left)
        lines.append(f"{module:20} {len(here):8} {len(here) - len(left):8} {same:8} {len(left) - same:9}")
    open_cases = [mutant for mutant in alive if mutant.number not in equal]
    killed, different = len(mutants) - len(alive), len(mutants) - len(equal - {0})
    lines.append(
        f"{100 * killed / different:.1f} % of {different} mutants that are not proven equal were killed"
    )
    return [*lines, *(f"  survived: {mutant.place}" for mutant in open_cases)], 100 * killed >= 99 * different
