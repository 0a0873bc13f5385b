# SPDX-License-Identifier: MIT
"""`fixedpoint-nn completion`: shell scripts that complete commands, options and values.

They are generated from the argument parsers: choices of options, names of the zoo for networks, else files or folders.
"""

from __future__ import annotations

import argparse

from fixedpoint_nn.cli import completion_scripts
from fixedpoint_nn.cli.arguments import Commands, command
from fixedpoint_nn.cli.described_commands import described
from fixedpoint_nn.cli.results import show

SHELLS = {
    "bash": completion_scripts.bash,
    "zsh": completion_scripts.zsh,
    "fish": completion_scripts.fish,
}


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "completion",
        "print a script that completes commands and options in a shell",
        "fixedpoint-nn completion fish > ~/.config/fish/completions/fixedpoint-nn.fish",
        run,
    )
    parser.add_argument("shell", choices=tuple(SHELLS), help="the shell that reads the script")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    script = SHELLS[arguments.shell](described())
    show(arguments, {"shell": arguments.shell, "script": script}, script.rstrip("\n"))
    return 0
