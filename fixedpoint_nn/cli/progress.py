# SPDX-License-Identifier: MIT
"""What a command says on its way: to stderr, so that stdout holds nothing but results.

-q leaves results and errors, -v adds details. With --json nothing is said, unless -v asks for it.
"""

from __future__ import annotations

import argparse
import sys
from enum import IntEnum
from io import StringIO
from typing import TextIO

from tqdm import tqdm

from fixedpoint_nn.cli.terminal import fitted


class Level(IntEnum):
    """How much is said."""

    QUIET, NORMAL, VERBOSE = range(3)


_level = Level.NORMAL


def configure(arguments: argparse.Namespace) -> None:
    """Take the level from the options of a command."""
    global _level
    if arguments.verbose:
        _level = Level.VERBOSE
    else:
        _level = Level.QUIET if arguments.quiet or arguments.json else Level.NORMAL


def say(line: str) -> None:
    """A line of progress, above the bar if there is one."""
    if _level >= Level.NORMAL:
        tqdm.write(fitted(line, sys.stderr), file=sys.stderr)


def detail(line: str) -> None:
    """A line that only -v shows."""
    if _level >= Level.VERBOSE:
        tqdm.write(fitted(line, sys.stderr), file=sys.stderr)


def chatter(arguments: argparse.Namespace) -> TextIO:
    """Where a command that tells a story tells it: on stdout, or on stderr with --json, or nowhere with -q."""
    if _level == Level.QUIET:
        return StringIO()
    return sys.stderr if arguments.json else sys.stdout


def bars() -> bool:
    """Whether progress bars are shown."""
    return _level >= Level.NORMAL
