# SPDX-License-Identifier: MIT
"""The commands as data: names, options and their values, read from the argument parsers."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

FOLDER, FILE, NETWORK = "folder", "file", "network"
KINDS = {"DIR": FOLDER, "FILE": FILE, "NET": NETWORK, "NET|FILE": NETWORK}


@dataclass(frozen=True)
class Argument:
    """An option, or a positional argument without names; its value is one of `choices`, or a `kind` of path."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Completed:
    """A command with its arguments."""

    name: str
    help: str
    arguments: tuple[Argument, ...]

    @property
    def options(self) -> tuple[Argument, ...]:
        """The options."""
        return tuple(argument for argument in self.arguments if argument.names)

    @property
    def positional(self) -> Argument | None:
        """The first positional argument, if any."""
        return next((argument for argument in self.arguments if not argument.names), None)


def described() -> list[Completed]:
    """All commands of the program, read from their parsers."""
    from fixedpoint_nn.cli.program import COMMANDS, build_parser

    (group,) = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return [
        Completed(name, COMMANDS[name], tuple(_argument(action) for action in parser._actions))
        for name, parser in group.choices.items()
    ]


def _argument(action: argparse.Action) -> Argument:
    choices = tuple(map(str, action.choices or ()))
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    kind = "" if choices else KINDS.get(metavar, "")
    help = (action.help or "").replace("%(default)s", str(action.default))
    return Argument(tuple(action.option_strings), help, action.nargs != 0, choices, kind)
