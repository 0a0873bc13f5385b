# SPDX-License-Identifier: MIT
"""`fixedpoint-nn board`: run a pack on a board or a simulated one, and give a board new weights.

The exit status of `run` is 0 for equal, 1 for a difference, 2 for a wrong command line, 3 where nothing could run.
"""

from __future__ import annotations

import argparse
import json

from fixedpoint_nn.board.engine import Engine
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.golden import run_golden
from fixedpoint_nn.board.opening import SIMULATED, open_engine
from fixedpoint_nn.board.ports import BAUD
from fixedpoint_nn.board.readback import read_back
from fixedpoint_nn.cli.arguments import Commands, command, existing_folder, positive
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.progress import quiet, say
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.sim.build import SIMULATORS
from fixedpoint_nn.hardware.sim.toolchain import ToolError

NOT_RUN = 3  # exit status


def add(commands: Commands) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "board",
        help="run a pack on a board, or on a simulated one",
        description="Run a pack on a board, or on a simulated one.",
        epilog="example:\n  fixedpoint-nn board run golden_vectors/moons --port sim",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(
        dest="board_command", metavar="WHAT", required=True, parser_class=type(parser)
    )
    _add_run(below)
    _add_load(below)


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
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")


def _add_load(below: Commands) -> None:
    parser = command(
        below,
        "load",
        "put a pack's program and weights into a board that is already built, if its engine can run them",
        "fixedpoint-nn board load runs/names/pack --port /dev/ttyUSB0",
        load,
    )
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pack", metavar="DIR", type=existing_folder, help="a pack that `emit` wrote")
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


def run(arguments: argparse.Namespace) -> int:
    pack = load_pack(arguments.pack)
    tell = quiet if arguments.json else say
    lines = []
    try:
        with _engine(arguments, pack) as engine:
            if arguments.load:
                engine.load(pack)
            engine.identity.refuse(pack.config, f"the pack {pack.name}")
            verdict = None
            if arguments.readback:
                verdict = read_back(engine, pack, tell)
                lines.append(verdict.text)
            if verdict is None or verdict.passed:
                verdict = run_golden(engine, pack, arguments.vectors, progress=not arguments.json)
                lines.append(verdict.text)
            clock = engine.identity.clock_khz
    except (BoardError, ToolError) as error:
        print(f"NOT RUN: {error}")
        return NOT_RUN
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
    print(json.dumps(results, indent=1) if arguments.json else "\n".join(lines))
    return 0 if verdict.passed else 1


def load(arguments: argparse.Namespace) -> int:
    if arguments.port == SIMULATED:
        raise CommandError(
            f"a simulated board is gone when the command ends; use `fixedpoint-nn board run --port {SIMULATED} --load`"
        )
    pack = load_pack(arguments.pack)
    with _engine(arguments, pack) as engine:
        engine.load(pack)
    print(
        f"{pack.name} is loaded; `fixedpoint-nn board run {arguments.pack} --port {arguments.port}` tries it"
    )
    return 0


def _engine(arguments: argparse.Namespace, pack: Pack) -> Engine:
    return open_engine(arguments.port, pack, arguments.simulator, arguments.baud)
