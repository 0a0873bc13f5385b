# SPDX-License-Identifier: MIT
"""`fixedpoint-nn verify`: run a pack on the Verilog and compare every word.

The exit status is 0 for equal, 1 for a difference or a damaged pack, 2 for a wrong command line, 3 if a simulator is
missing or broken, so that nothing is known about the pack, or if requested waveforms cannot be written.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from fixedpoint_nn.board.netlist import CHIPS, verify_netlist
from fixedpoint_nn.cli.arguments import Commands, command, existing_folder, positive
from fixedpoint_nn.cli.errors import FAILURE, TOOL_MISSING, CommandError
from fixedpoint_nn.cli.progress import bars, say
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.hardware.pack import manifest
from fixedpoint_nn.hardware.sim.build import SIMULATORS
from fixedpoint_nn.hardware.sim.toolchain import ToolError, find_tool
from fixedpoint_nn.hardware.verify.readback import verify_readback
from fixedpoint_nn.hardware.verify.verdict import Verdict
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.report.record import Stopwatch

TITLES = {"iverilog": "Icarus Verilog", "verilator": "Verilator"}


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "verify",
        "run a pack on the Verilog: equal in every bit, or the first difference",
        "fixedpoint-nn verify runs/names/pack --simulator verilator --trace",
        run,
    )
    parser.set_defaults(otherwise=TOOL_MISSING)
    parser.add_argument("pack", metavar="DIR", type=existing_folder, help="a pack that `emit` wrote")
    parser.add_argument("--simulator", choices=SIMULATORS, default="iverilog", help="default: iverilog")
    parser.add_argument("--vectors", type=positive, metavar="N", help="only the first N (default: all)")
    parser.add_argument("--trace", action="store_true", help="also compare every word that the engine writes")
    parser.add_argument(
        "--vcd", type=Path, metavar="FILE", help="waveforms of the first vector that fails, or of the first"
    )
    parser.add_argument(
        "--pauses",
        type=positive,
        metavar="SEED",
        help="weights from outside come after random pauses; cycles must be those that follow from when they came",
    )
    parser.add_argument(
        "--readback",
        action="store_true",
        help="first read weights, parameters, tables and activation image back through the engine",
    )
    parser.add_argument(
        "--netlist",
        choices=tuple(CHIPS),
        help="instead synthesise a board's design, and simulate the netlist with the chip's cells",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    _demand_vectors(arguments.pack, arguments.vectors)
    if arguments.netlist:
        return _run_netlist(arguments)
    watch = Stopwatch("verify", _again(arguments))
    verdict, results = verify_pack(
        arguments.pack,
        arguments.simulator,
        arguments.trace,
        arguments.vcd,
        arguments.vectors,
        progress=bars(),
        readback=arguments.readback,
        pauses=arguments.pauses,
    )
    # Nothing is written to a folder that is not a pack, and a pack may be read-only.
    if (arguments.pack / manifest.NAME).exists() and os.access(arguments.pack, os.W_OK):
        try:
            watch.record(arguments.pack, results).save()
        except OSError as error:  # the verdict is known anyway
            print(f"{error.filename}: {error.strerror}; this run is not in the report", file=sys.stderr)
    show(arguments, results, verdict.text)
    return 0 if verdict.passed else FAILURE if verdict.ran else TOOL_MISSING


def _demand_vectors(folder: Path, wanted: int | None) -> None:
    """Raise CommandError if the pack has fewer vectors; other problems are left to the verification."""
    try:
        there = manifest.read(folder)["vectors"]
    except (manifest.PackError, KeyError):
        return
    if wanted and isinstance(there, int) and wanted > there:
        raise CommandError(f"{folder} holds {there} vectors, not {wanted}; ask for no more")


def _run_netlist(arguments: argparse.Namespace) -> int:
    """Verify a netlist in place of the engine's sources; returns the exit status."""
    verdict = verify_netlist(
        arguments.pack, arguments.netlist, arguments.simulator, vectors=arguments.vectors, progress=say
    )
    results = {
        **_network(arguments.pack),
        "passed": verdict.passed,
        "ran": verdict.ran,
        "text": verdict.text,
        "netlist": arguments.netlist,
    }
    show(arguments, results, verdict.text)
    return 0 if verdict.passed else FAILURE if verdict.ran else TOOL_MISSING


def verify_pack(
    folder: Path,
    simulator: str = "iverilog",
    trace: bool = False,
    vcd: Path | None = None,
    vectors: int | None = None,
    progress: bool = True,
    readback: bool = False,
    pauses: int | None = None,
) -> tuple[Verdict, dict[str, Any]]:
    """Verify a pack; returns (verdict, results for the report)."""
    first = verify_readback(folder, simulator, progress=progress) if readback else None
    if first is not None and not first:
        verdict = first
    else:
        verdict = verify(
            folder, simulator, trace=trace, vcd=vcd, vectors=vectors, progress=progress, pauses=pauses
        )
        if first is not None:
            verdict = replace(verdict, text=f"{first.text}\n{verdict.text}")
    return verdict, {
        **_network(folder),
        "passed": verdict.passed,
        "ran": verdict.ran,
        "text": verdict.text,
        "simulator": _title(simulator),
        "vectors": verdict.vectors,
        "words": verdict.words,
        "cycles": verdict.cycles,
    }


def _network(folder: Path) -> dict[str, str | None]:
    """The pack's network: its name, and the hashes of its float weights, if known, and of its images."""
    try:
        about = manifest.read(folder)
        weights = about.get("weights")
        return {
            "network": str(about["network"]),
            "weights": None if weights is None else str(weights),
            "pack": manifest.images_hash(about),
        }
    except (manifest.PackError, KeyError, TypeError, AttributeError):
        return {"network": folder.name, "weights": None, "pack": None}


def _title(simulator: str) -> str:
    try:
        return f"{TITLES[simulator]} {find_tool(simulator).version}"
    except ToolError:
        return TITLES[simulator]


def _again(arguments: argparse.Namespace) -> list[object]:
    given: list[object] = [arguments.pack, "--simulator", arguments.simulator]
    given += ["--vectors", arguments.vectors] if arguments.vectors else []
    given += ["--pauses", arguments.pauses] if arguments.pauses else []
    given += ["--readback"] if arguments.readback else []
    given += ["--trace"] if arguments.trace else []
    given += ["--vcd", arguments.vcd] if arguments.vcd else []
    return given
