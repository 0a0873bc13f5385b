# SPDX-License-Identifier: MIT
"""What of the engine the golden packs reach: line, branch and toggle coverage by Verilator, by module."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.sim.toolchain import find_tool, rtl_folder
from tests.proof.judges import HOST, common_engine, golden_packs, judge

# Packs that share an engine, and how many vectors of each.
GROUPS: tuple[tuple[tuple[str, ...], int | None], ...] = (
    (("conformance",), None),
    (("conformance_saturating",), None),
    (("conformance_wrapping",), None),
    (("moons", "bigram", "nplm", "names_lstm", "names_writer", "lenet"), 2),
)
KINDS = ("line", "branch", "toggle")


@dataclass(frozen=True)
class Point:
    """One place of the Verilog that can be reached: a line, a side of a branch, a bit going up and down."""

    module: str
    kind: str
    line: int
    what: str


# Verilator's own `main` does not write what it has counted in every version.
MAIN = """
#include "Vengine_tb.h"
#include "verilated_cov.h"
#include <cstdlib>
#include <memory>
int main(int argc, char** argv) {
    const std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    context->commandArgs(argc, argv);
    const std::unique_ptr<Vengine_tb> bench{new Vengine_tb{context.get()}};
    while (!context->gotFinish()) {
        bench->eval();
        if (!bench->eventsPending()) break;
        context->time(bench->nextTimeSlot());
    }
    bench->final();
    context->coveragep()->write(std::getenv("COVERAGE_FILE"));
    return 0;
}
"""


def build(config: EngineConfig, folder: Path) -> Path:
    """The engine, counting."""
    rtl, main = rtl_folder(), folder / "main.cpp"
    main.write_text(MAIN)
    sources = [
        rtl / "tb" / "engine_tb.v",
        rtl / "tb" / "weight_source.v",
        *(path for path in sorted(rtl.glob("*.v")) if not path.stem.startswith("axi_")),
    ]
    command = [
        str(find_tool("verilator").path),
        "--cc",
        "--exe",
        "--build",
        "--timing",
        "--coverage-line",
        "--coverage-toggle",
        "-CFLAGS",
        "-O0",
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        f"-I{rtl}",
        "--top-module",
        "engine_tb",
        "--Mdir",
        str(folder / "obj"),
        "-o",
        "../sim",
        *(f"-G{name}={value}" for name, value in config.verilog().items()),
        *map(str, sources),
        str(main),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(
            f"verilator could not compile the engine with coverage:\n{(done.stdout + done.stderr)[-1000:]}"
        )
    return folder / "sim"


def run(names: Sequence[str], vectors: int | None) -> dict[Point, int]:
    """How often each point was reached, in one engine that has room for all these packs.

    Packs that state status registers are asked by a host that loads through the ports, and disturbs.
    """
    total: dict[Point, int] = defaultdict(int)
    packs = golden_packs(names)
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as name:
        folder, config = Path(name), common_engine(packs)
        simulator = build(config, folder)
        for pack in packs:
            asked = judge(pack, config, folder / pack.name, vectors)
            arguments = (asked if pack.status is None else asked.asked(*HOST)).arguments
            found = folder / "coverage.dat"
            done = subprocess.run(
                [str(simulator), *arguments],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"COVERAGE_FILE": str(found)},
            )
            if done.returncode or "PASS: " not in done.stdout:
                raise RuntimeError(
                    f"{pack.name} does not pass with coverage: {(done.stdout + done.stderr)[-300:]}"
                )
            for point, count in read(found.read_text(errors="replace")).items():
                total[point] += count
    return dict(total)


def read(text: str) -> dict[Point, int]:
    r"""Verilator's lines `C 'key\x02value\x01...' count`; instances are added up, the bench is left out."""
    counts: dict[Point, int] = defaultdict(int)
    for line in text.splitlines():
        entry = re.fullmatch(r"C '(.*)' (\d+)", line)
        if entry is None:
            continue
        keys = dict(part.split("\x02", 1) for part in entry[1].split("\x01") if "\x02" in part)
        path = Path(keys.get("f", ""))
        if "tb" in path.parts:
            continue
        kind, _, _ = keys["page"].removeprefix("v_").partition("/")
        point = Point(path.stem, kind, int(keys["l"]), f"{keys.get('o', '')} {keys.get('S', '')}".strip())
        counts[point] += int(entry[2])
    return dict(counts)


def table_of(counts: dict[Point, int]) -> list[str]:
    """Reached points of all, for each module and kind."""
    modules = sorted({point.module for point in counts})
    lines = [f"{'module':20}" + "".join(f"{kind:>20}" for kind in KINDS)]
    for module in [*modules, "all"]:
        cells = []
        for kind in KINDS:
            chosen = [
                count > 0
                for point, count in counts.items()
                if point.kind == kind and module in (point.module, "all")
            ]
            share = f"{100 * sum(chosen) / len(chosen):.1f} %" if chosen else "-"
            cells.append(f"{share} of {len(chosen)}" if chosen else share)
        lines.append(f"{module:20}" + "".join(f"{cell:>20}" for cell in cells))
    return lines


def unreached(counts: dict[Point, int]) -> list[str]:
    """Lines and branches that no pack reaches, with what stands there."""
    lines = []
    for point, count in sorted(counts.items(), key=lambda item: (item[0].module, item[0].line)):
        if count == 0 and point.kind != "toggle":
            source = (rtl_folder() / f"{point.module}.v").read_text().splitlines()[point.line - 1].strip()
            lines.append(f"  {point.module}.v:{point.line} ({point.kind}, {point.what}): {source[:90]}")
    return lines


def report(workers: int) -> tuple[list[str], bool]:
    total: dict[Point, int] = defaultdict(int)
    with ThreadPoolExecutor(workers) as pool:
        for counts in pool.map(lambda group: run(*group), GROUPS):
            for point, count in counts.items():
                total[point] += count
    missing = unreached(total)
    return [
        *table_of(total),
        f"{len(missing)} lines and branches are reached by none of {', '.join(n for g, _ in GROUPS for n in g)}:",
        *missing,
        *missing_bits(total),
    ], True


def missing_bits(counts: dict[Point, int]) -> list[str]:
    """Signals with bits that never went up, or down: how many of how many, by module."""
    bits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for point, count in counts.items():
        if point.kind == "toggle":
            bits[point.module, re.sub(r"\[\d+\]", "", point.what)].append(count > 0)
    lines = []
    for module in sorted({module for module, _ in bits}):
        short = [
            f"{signal} {len(seen) - sum(seen)} of {len(seen)}"
            for (where, signal), seen in sorted(bits.items())
            if where == module and not all(seen)
        ]
        if short:
            lines.append(f"  bits of {module} that do not go up and down: {', '.join(short)}")
    return lines
