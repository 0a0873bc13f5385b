# SPDX-License-Identifier: MIT
"""Mutants of the engine, all of them in one netlist and chosen at run time, judged by the golden packs.

yosys changes single bits of the netlist (inverted, stuck, or mixed with a neighbour); a mutant is killed when
the bench ends in anything but PASS. What survives is proven to be the same engine (equivalence.py), or is listed
with the reason why no program and no host can tell it from the engine (reasons.py), or counts as survived.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.sim.build import VERILATOR
from fixedpoint_nn.hardware.sim.toolchain import find_tool, rtl_folder
from tests.proof.conformance import programs
from tests.proof.equivalence import Prover
from tests.proof.facts import facts
from tests.proof.judges import Judge, golden_packs
from tests.proof.judges import judge as judge_of
from tests.proof.machine import Machine, flattened
from tests.proof.reasons import reason, unused_reasons
from tests.proof.yosys import SCRATCH, run_yosys

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


def choose(config: EngineConfig, count: int, seed: int, folder: Path) -> list[Mutant]:
    """A fixed set of mutants, spread evenly; those of the memories' own ports are left out."""
    listing, design = folder / "mutants.txt", folder / "modules.json"
    asked = count
    while True:
        run_yosys(
            [*elaborate(config), f"write_json {design}", f"mutate -list {asked} -seed {seed} -o {listing}"]
        )
        ports = memory_ports(json.loads(design.read_text())["modules"])
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
        '    initial if (!$value$plusargs("mutant=%d", mutant)) mutant = 16\'d0;\n'
        '    integer hang;\n    initial if (!$value$plusargs("hang=%d", hang)) hang = 0;\n'
        "    always @(posedge clock) begin\n        hang = hang - 1;\n"
        '        if (hang == 0) $fatal(1, "FAIL: it hangs");\n    end\n'
        "    engine u_engine (.mutant(mutant),"
    )
    text, found = re.subn(r"engine #\(.*?\n    \) u_engine \(", lambda _: choice, text, flags=re.S)
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
    for judge in judges:
        if not passes(simulator, judge, 0):
            raise RuntimeError(f"the engine without a mutation does not pass {judge.name}")

    def survives(mutant: Mutant) -> bool:
        return all(passes(simulator, judge, mutant.number) for judge in judges)

    with ThreadPoolExecutor(workers) as pool:
        verdicts = list(tqdm(pool.map(survives, mutants), total=len(mutants), desc="mutants", unit="mutant"))
    return [mutant for mutant, alive in zip(mutants, verdicts, strict=True) if alive]


def proven_equal(config: EngineConfig, mutants: Sequence[Mutant], workers: int) -> set[int]:
    """Numbers of the mutants that are the engine itself, for every legal program and every host."""
    original = flattened(elaborate(config))
    prover = Prover(Machine(flattened([*elaborate(config), *applied(mutants)]), original), facts(config))
    if broken := prover.broken(workers):
        raise RuntimeError(f"facts that the proofs rest on do not hold: {', '.join(broken)}")
    return prover.equal([mutant.number for mutant in mutants], workers)


@dataclass(frozen=True)
class Subject:
    """An engine that is mutated: the pack that judges it, and how many mutants there are."""

    pack: str
    mutants: int
    quick: int | None = None  # vectors that judge first, if the rest takes long


SUBJECTS = (
    Subject("conformance", 700, quick=-3),
    Subject("conformance_saturating", 200, quick=-3),
    Subject("conformance_wrapping", 150, quick=-3),
)
SEED_VARIABLE = "FIXEDPOINT_NN_MUTANTS"  # names other mutants, for which no vector was made on purpose
SEED = int(os.environ.get(SEED_VARIABLE, "1"))


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: killed, equal, or the reason why it is known to be as good as the engine."""

    pack: str
    mutant: Mutant
    killed: bool
    equal: bool = False
    reason: str = ""


def judges_of(pack: Pack, quick: int | None, folder: Path, kinds: Sequence[str]) -> list[Judge]:
    """The judges of an engine's mutants in the order in which they are asked."""
    first = judge_of(pack, pack.config, folder / "quick", quick)
    asked = {"quick": first, "harsh": first.harsh()}
    if quick is not None:
        asked["whole"] = judge_of(pack, pack.config, folder / "whole").asked("+load=reversed")
    return [judge for kind, judge in asked.items() if kind in kinds]


def seed_judges(pack: Pack, folder: Path) -> list[Judge]:
    """A vector of noise, from every seed of one bit; a pack's own seeds follow each other."""
    program, vectors, origins = programs.assembled(pack.name)
    vector, judges = vectors[origins.index("noise")], []
    for bit in range(32):
        words, status = program.results(vector, 1 << bit)
        about = {**pack.manifest, "seed": 1 << bit, "cycles": [int(status[0])]}
        one = replace(pack, manifest=about, vectors=vector[None], expected=words[None], status=status[None])
        judges.append(judge_of(one, pack.config, folder / f"seed {bit}"))
    return judges


def judged(subject: Subject, workers: int, judges: Sequence[str] = ("quick", "harsh", "whole")) -> list[Fate]:
    """The fates of all mutants of one engine.

    The first judge is the quickest. What it lets pass is compared with the engine, and only what is not proven equal
    is asked by the others; mutants of the noise generator also from more seeds.
    """
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as name:
        folder, (pack,) = Path(name), golden_packs([subject.pack])
        mutants = choose(pack.config, subject.mutants, SEED, folder)
        asked = judges_of(pack, subject.quick, folder, judges)
        simulator = build(pack.config, mutants, folder) if asked else folder
        alive = survivors(simulator, asked[:1], mutants, workers)
        equal = proven_equal(pack.config, alive, workers)
        different = [mutant for mutant in alive if mutant.number not in equal]
        different = survivors(simulator, asked[1:], different, workers)
        noise = [mutant for mutant in different if mutant.module == "noise"]
        if asked and noise:
            lost = set(noise) - set(survivors(simulator, seed_judges(pack, folder), noise, workers))
            different = [mutant for mutant in different if mutant not in lost]
    left = {mutant.number for mutant in different}
    return [
        Fate(
            subject.pack,
            mutant,
            mutant.number not in left | equal,
            mutant.number in equal,
            reason(subject.pack, mutant.place) if mutant.number in left else "",
        )
        for mutant in mutants
    ]


def report(
    workers: int, subjects: Sequence[Subject] = SUBJECTS, judges: Sequence[str] = ("quick", "harsh", "whole")
) -> tuple[list[str], bool]:
    """Killed, equal, listed and surviving mutants of each module; those that are not proven one by one."""
    fates = [fate for subject in subjects for fate in judged(subject, workers, judges)]
    lines = [f"{'module':20} {'mutants':>8} {'killed':>8} {'equal':>8} {'listed':>8} {'survived':>9}"]
    for module in [*sorted({fate.mutant.module for fate in fates}), "all"]:
        here = [fate for fate in fates if module in (fate.mutant.module, "all")]
        counts = [sum(map(of, here)) for of in (is_killed, is_equal, is_listed, is_open)]
        lines.append(f"{module:20} {len(here):8} {counts[0]:8} {counts[1]:8} {counts[2]:8} {counts[3]:9}")
    killed = sum(map(is_killed, fates))
    different = sum(is_killed(fate) or is_open(fate) for fate in fates)
    lines.append(f"{100 * killed / different:.2f} % of {different} mutants that are not equal were killed")
    lines += [f"  listed: {_named(fate)}: {fate.reason}" for fate in fates if is_listed(fate)]
    lines += [f"  survived: {_named(fate)}" for fate in fates if is_open(fate)]
    listed = [(fate.pack, fate.mutant.place) for fate in fates if is_listed(fate)]
    stale = unused_reasons(listed) if subjects is SUBJECTS and SEED == 1 else []
    lines += [f"  no mutant is like this any more: {pattern}" for pattern in stale]
    return lines, 100 * killed >= 99 * different and not stale


def _named(fate: Fate) -> str:
    return f"{fate.pack} {fate.mutant.number}, {fate.mutant.place}"


def is_killed(fate: Fate) -> bool:
    return fate.killed


def is_equal(fate: Fate) -> bool:
    return fate.equal


def is_listed(fate: Fate) -> bool:
    return bool(fate.reason)


def is_open(fate: Fate) -> bool:
    return not (fate.killed or fate.equal or fate.reason)
