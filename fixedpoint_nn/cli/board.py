# SPDX-License-Identifier: MIT
"""`fixedpoint-nn board`: build a bitstream from a pack, run it on a real or simulated board, demo it, load weights.

The exit status of `run` is 0 for equal, 1 for a difference, 2 for a wrong command line, 3 if nothing could run; that of
`build` is 0 only if the board's clock is met.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fixedpoint_nn.board import boards
from fixedpoint_nn.board.build import build_bitstream as build_bitstream
from fixedpoint_nn.board.build import build_summary, prepare
from fixedpoint_nn.board.engine import Engine
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.golden import run_golden
from fixedpoint_nn.board.opening import SIMULATED, open_engine
from fixedpoint_nn.board.ports import BAUD
from fixedpoint_nn.board.readback import read_back
from fixedpoint_nn.board.simulated import RUN_SECONDS
from fixedpoint_nn.cli import board_demo
from fixedpoint_nn.cli.arguments import (
    Commands,
    HelpFormatter,
    add_common,
    command,
    existing_folder,
    positive,
)
from fixedpoint_nn.cli.errors import FAILURE, TOOL_MISSING, CommandError
from fixedpoint_nn.cli.progress import bars, say
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.sim.build import SIMULATORS
from fixedpoint_nn.hardware.sim.toolchain import ToolError

UNTESTED = "was written from AMD's documentation and has not been run by this project"


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "board",
        help="put a pack on a board: build a bitstream, load images, run the golden vectors, show it on a page",
        description="Put a pack on a board: build a bitstream, load images, run the golden vectors, show it on a page.",
        epilog="example:\n  fixedpoint-nn board run golden_vectors/moons --port sim",
        formatter_class=HelpFormatter,
    )
    below = parser.add_subparsers(
        dest="board_command", metavar="WHAT", required=True, parser_class=type(parser)
    )
    _add_build(below)
    _add_run(below)
    _add_load(below)
    demo = board_demo.add(below)
    _add_common(demo)
    board_demo.add_own(demo)


def _add_build(below: Commands) -> None:
    parser = command(
        below,
        "build",
        "synthesise, place, route and pack a design with a pack's network in it",
        "fixedpoint-nn board build golden_vectors/moons --board ulx3s --out runs/ulx3s",
        build,
    )
    _add_pack(parser)
    parser.add_argument(
        "--board",
        required=True,
        metavar="NAME",
        help=f"{', '.join(boards.names())}, or the file of a board of your own (mine.json)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where everything is written to"
    )
    parser.add_argument("--files-only", action="store_true", help="write the design, and run no tool")


def _add_run(below: Commands) -> None:
    parser = command(
        below,
        "run",
        "send a pack's golden vectors to a board; every word and every cycle count is compared",
        "fixedpoint-nn board run runs/names/pack --port /dev/ttyUSB0 --readback",
        run,
    )
    _add_common(parser)
    parser.add_argument("--vectors", type=positive, metavar="N", help="only the first N (default: all)")
    parser.add_argument(
        "--readback", action="store_true", help="first read every memory back, and compare it with its image"
    )
    parser.add_argument("--load", action="store_true", help="first load the pack's images over the wire")


def _add_load(below: Commands) -> None:
    parser = command(
        below,
        "load",
        "put a pack's program and weights into a board that is already built, if its engine can run them",
        "fixedpoint-nn board load runs/names/pack --port /dev/ttyUSB0",
        load,
    )
    _add_common(parser)


def _add_pack(parser: argparse.ArgumentParser) -> None:
    add_common(parser)
    parser.add_argument("pack", metavar="DIR", type=existing_folder, help="a pack that `emit` wrote")


def _add_common(parser: argparse.ArgumentParser) -> None:
    _add_pack(parser)
    parser.add_argument(
        "--port",
        required=True,
        metavar="PORT",
        help=f"a serial port, like /dev/ttyUSB0; `{SIMULATED}` simulates a board that is built for this pack",
    )
    parser.add_argument(
        "--baud", type=positive, default=BAUD, metavar="N", help=f"bits per second (default: {BAUD})"
    )
    parser.add_argument(
        "--simulator",
        choices=SIMULATORS,
        default="iverilog",
        help=f"for --port {SIMULATED} (default: iverilog)",
    )


def build(arguments: argparse.Namespace) -> int:
    """Run `board build`: build a bitstream, or write its files; returns the exit status."""
    pack, board = load_pack(arguments.pack), boards.find_board(arguments.board)
    if arguments.files_only or not board.chip.synth:
        prepare(pack, board, arguments.out)
        script = "sh build.sh" if board.chip.synth else "vivado -mode batch -source build.tcl"
        untested = "" if board.chip.synth else f", which {UNTESTED}"
        results = {"network": pack.name, "board": board.name, "design": arguments.out, "script": script}
        show(arguments, results, f"the design is in {arguments.out}; `{script}` builds it there{untested}")
        return 0
    built = build_bitstream(pack, board, arguments.out, say)
    show(arguments, built.as_json(), build_summary(built, board).rstrip())
    return 0 if built.meets_the_clock else FAILURE


def run(arguments: argparse.Namespace) -> int:
    """Run `board run`; returns the exit status."""
    pack = load_pack(arguments.pack)
    lines = []
    try:
        with _engine(arguments, pack) as engine:
            if arguments.load:
                engine.load(pack)
            engine.identity.refuse(pack.config, f"the pack {pack.name}")
            verdict = None
            if arguments.readback:
                verdict = read_back(engine, pack, say)
                lines.append(verdict.text)
            if verdict is None or verdict.passed:
                seconds = RUN_SECONDS if arguments.port == SIMULATED else 60.0
                verdict = run_golden(engine, pack, arguments.vectors, bars(), seconds)
                lines.append(verdict.text)
            clock = engine.identity.clock_khz
    except (BoardError, ToolError) as error:
        results = {"network": pack.name, "port": arguments.port, "passed": False, "text": f"NOT RUN: {error}"}
        show(arguments, results, f"NOT RUN: {error}")
        return TOOL_MISSING
    results = {
        "network": pack.name,
        "port": arguments.port,
        "passed": verdict.passed,
        "text": "\n".join(lines),
        "vectors": verdict.vectors,
        "words": verdict.words,
        "cycles": verdict.cycles,
        "clock_khz": clock or None,
    }
    if verdict.passed and clock:
        lines[-1] += (
            f"; {verdict.cycles / verdict.vectors / clock:.3g} ms for a vector at the board's {clock / 1000:g} MHz"
        )
    show(arguments, results, "\n".join(lines))
    return 0 if verdict.passed else FAILURE


def load(arguments: argparse.Namespace) -> int:
    """Run `board load`: load the images of a pack into a board; returns the exit status."""
    if arguments.port == SIMULATED:
        raise CommandError(
            "a simulated board exists only while one command runs; use `fixedpoint-nn board run "
            f"--port {SIMULATED} --load`"
        )
    pack = load_pack(arguments.pack)
    with _engine(arguments, pack) as engine:
        engine.load(pack)
    text = (
        f"{pack.name} is loaded; `fixedpoint-nn board run {arguments.pack} --port {arguments.port}` tries it"
    )
    show(arguments, {"network": pack.name, "port": arguments.port, "loaded": True}, text)
    return 0


def _engine(arguments: argparse.Namespace, pack: Pack) -> Engine:
    return open_engine(arguments.port, pack, arguments.simulator, arguments.baud)
