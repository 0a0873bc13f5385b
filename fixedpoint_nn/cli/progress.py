# SPDX-License-Identifier: MIT
"""Progress messages, on stderr, so that stdout has results only.

-q suppresses them, -v adds details. With --json there are none without -v.
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
    """The verbosity."""

    QUIET, NORMAL, VERBOSE = range(3)


_level = Level.NORMAL


def configure(arguments: argparse.Namespace) -> None:
    """Set the verbosity from the options of a command."""
    global _level
    if arguments.verbose:
        _level = Level.VERBOSE
    else:
        _level = Level.QUIET if arguments.quiet or arguments.json else Level.NORMAL


def say(line: str) -> None:
    """Print a line of progress, above a progress bar if there is one."""
    if _level >= Level.NORMAL:
        tqdm.write(fitted(line, sys.stderr), file=sys.stderr)


def detail(line: str) -> None:
    """Print a line that only -v shows."""
    if _level >= Level.VERBOSE:
        tqdm.write(fitted(line, sys.stderr), file=sys.stderr)


def typed(text: str) -> None:
    """Print text without a line's end, at once, if someone is watching: stderr is a terminal."""
    if bars() and sys.stderr.isatty():
        print(text, end="", file=sys.stderr, flush=True)


def chatter(arguments: argparse.Namespace) -> TextIO:
    """The stream for a command's commentary: stdout, with --json stderr, with -q none."""
    if _level == Level.QUIET:
        return StringIO()
    return sys.stderr if arguments.json else sys.stdout


def bars() -> bool:
    """Whether progress bars are shown."""
    return _level >= Level.NORMAL
