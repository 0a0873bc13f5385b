# SPDX-License-Identifier: MIT
"""`fixedpoint-nn report`: one self-contained HTML page about every run in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from fixedpoint_nn.cli.arguments import Commands, command, existing_folder
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.report import write_report


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "report",
        "write one self-contained HTML page about every run in a folder",
        "fixedpoint-nn report runs/fashion --out fashion.html",
        run,
    )
    parser.add_argument(
        "folder", metavar="DIR", type=existing_folder, help="with results of train, sweep, emit, verify"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page to write")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    page = write_report(arguments.folder, arguments.out)
    size = arguments.out.stat().st_size
    results = {"file": str(arguments.out), "sections": len(page.sections), "bytes": size}
    show(arguments, results, f"{arguments.out}: {len(page.sections)} sections, {size // 1024} KB")
    return 0
