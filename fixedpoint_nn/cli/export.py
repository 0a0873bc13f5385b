# SPDX-License-Identifier: MIT
"""`fixedpoint-nn export`: write a pack as a reusable design, with tests and drivers."""

from __future__ import annotations

import argparse
from pathlib import Path

from fixedpoint_nn.board.export import export
from fixedpoint_nn.cli.arguments import Commands, command, existing_folder
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.hardware.pack.reader import load_pack


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "export",
        "write a pack as a design for others: Verilog behind AXI, IP, FuseSoC, LiteX, tests, drivers",
        "fixedpoint-nn export golden_vectors/moons --out runs/moons_ip",
        run,
    )
    parser.add_argument("pack", metavar="DIR", type=existing_folder, help="a pack that `emit` wrote")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder, or one of an earlier export"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    pack = load_pack(arguments.pack)
    written = export(pack, arguments.out)
    results = {
        "network": pack.name,
        "folder": arguments.out,
        "top": written.top,
        "core": written.vlnv,
        "content": written.content,
    }
    text = (
        f"{pack.name} is in {arguments.out} as the module {written.top}; README.md there says what each file is for, "
        f"and `fusesoc --cores-root {arguments.out} run --target=sim {written.vlnv}` runs its golden vectors"
    )
    show(arguments, results, text)
    return 0
