# SPDX-License-Identifier: MIT
"""What every command shares: the parser, one-sentence errors, a clean Ctrl-C and the exit status."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from threading import current_thread, main_thread
from typing import NoReturn

from fixedpoint_nn.cli import board, demo, emit, generate, report, sweep, train, verify, zoo
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.version import __version__

NAME = "fixedpoint-nn"
SUCCESS, FAILURE, USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
COMMANDS = (zoo, train, sweep, emit, verify, generate, board, report, demo)

# What the package raises when the user, a file, a tool or the disk is at fault; all else is a defect of ours.
FAULTS = (CommandError, OSError, ValueError, LookupError, RuntimeError, ArithmeticError, MemoryError)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{NAME}: {message}; `{self.prog} --help` shows an example\n")


def build_parser() -> Parser:
    parser = Parser(
        prog=NAME,
        description="Neural networks from NumPy to silicon, bit for bit.",
        epilog="Each command explains itself: fixedpoint-nn COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for module in COMMANDS:
        module.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status (0 only on success, 130 after Ctrl-C, 143 after `kill`)."""
    arguments = build_parser().parse_args(argv)
    before = signal.getsignal(signal.SIGTERM)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # fonts that nobody asked for
    try:
        if current_thread() is main_thread():  # an end by `kill` cleans up as Ctrl-C does
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"\n{NAME}: interrupted; nothing half-written was left behind", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except FAULTS as error:
        if os.environ.get("FIXEDPOINT_NN_DEBUG"):
            traceback.print_exc()
        print(f"{NAME}: {sentence(error)}", file=sys.stderr)
        return FAILURE
    finally:
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, before)
    return status


def sentence(error: BaseException) -> str:
    """The message on one line; a KeyError's without the quotes that Python puts around it."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}; choose a place that can be read and written"
    if isinstance(error, MemoryError):
        return "the memory is full; use fewer vectors, fewer jobs or a smaller network"
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split()) or f"{type(error).__name__} without a message"
