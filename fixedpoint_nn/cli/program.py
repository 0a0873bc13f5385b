# SPDX-License-Identifier: MIT
"""The program: the parser, one-sentence errors, handling of Ctrl-C, and exit statuses.

The module of a command is imported only when needed, so that help and short commands start quickly.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from threading import current_thread, main_thread
from typing import Any, NoReturn

from fixedpoint_nn.cli.arguments import add_common
from fixedpoint_nn.cli.errors import FAILURE, USAGE, CommandError, did_you_mean, status_of
from fixedpoint_nn.cli.progress import configure
from fixedpoint_nn.cli.terminal import fitted
from fixedpoint_nn.files.whole import FULL
from fixedpoint_nn.version import __version__

NAME = "fixedpoint-nn"
SUCCESS, INTERRUPTED, TERMINATED = 0, 130, 143

# Each is a module of this folder with `add(commands)`, and its line in the help.
COMMANDS = {
    "zoo": "list the networks with their sizes and results",
    "import": "say what is in a model of ONNX or TFLite and what would not fit, and save its network",
    "compare": "run a model of ONNX or TFLite here and in its own runtime: equal, or the first tensor that differs",
    "train": "train a network from scratch in NumPy",
    "tune": "search for better training settings; an interrupted search goes on",
    "sweep": "measure a network at many bit widths; an interrupted sweep goes on",
    "emit": "write memory images (.coe, .mem) and golden vectors of a network",
    "verify": "run a pack on the Verilog: equal in every bit, or the first difference",
    "generate": "let a network write, and the Verilog write the same",
    "board": "put a pack on a board: build a bitstream, load images, run the golden vectors, show it on a page",
    "export": "write a pack as a design for others: Verilog behind AXI, IP, FuseSoC, LiteX, tests, drivers",
    "report": "write one self-contained HTML page about every run in a folder",
    "demo": "train, quantise, sweep, emit and verify a network that writes French names",
    "doctor": "say what is installed, where everything lies, and whether the main job works",
    "completion": "print a script that completes commands and options in a shell",
}

MODULES = {"import": "import_model"}  # of commands whose names are Python keywords

# Errors caused by the user, a file, a tool or the disk; any other exception is a defect of this package.
FAULTS = (
    CommandError,
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    ImportError,
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Exit with one sentence that says what is wrong, and where to find an example."""
        tell(f"{message}; `{self.prog} --help` shows an example")
        self.exit(USAGE)


def build_parser(commands: Sequence[str] = tuple(COMMANDS)) -> Parser:
    """The parser with these commands in full, and the others by name only."""
    parser = Parser(
        prog=NAME,
        description="Neural networks from NumPy to silicon, bit for bit.",
        epilog="Each command explains itself: fixedpoint-nn COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    group: Any = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, summary in COMMANDS.items():
        if name in commands:
            import_module(f"fixedpoint_nn.cli.{MODULES.get(name, name)}").add(group)
            add_common(group.choices[name])
        else:
            group.add_parser(name, help=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    It is 0 only on success, 1 for a failure (for `verify` and `generate --rtl`: a difference), 2 for a wrong command
    line, 3 for a missing or broken tool, 130 after Ctrl-C, 143 after `kill`.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # names may have characters that the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if argv is None else list(argv)
    called = next((word for word in given if not word.startswith("-")), "")
    try:
        if called and called not in COMMANDS:
            hint = did_you_mean(called, COMMANDS)
            raise CommandError(f"there is no command {called!r}{hint} (there are {', '.join(COMMANDS)})")
        arguments = build_parser([called]).parse_args(given)
    except CommandError as error:
        tell(str(error))
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    configure(arguments)
    # the output of a command without a result
    otherwise: int = getattr(arguments, "otherwise", FAILURE)
    before = signal.getsignal(signal.SIGTERM)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # messages about fonts
    try:
        if current_thread() is main_thread():  # SIGTERM cleans up as Ctrl-C does
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        tell(f"interrupted; {left_behind(arguments)}")
        return INTERRUPTED
    except BrokenPipeError:  # the reader (`| head`) has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return otherwise
    except FAULTS as error:
        if arguments.verbose or os.environ.get("FIXEDPOINT_NN_DEBUG"):
            traceback.print_exc()
        tell(sentence(error))
        return status_of(error, otherwise)
    finally:
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, before)
    return status


def tell(message: str) -> None:
    """One sentence on stderr, after the program's name."""
    print(fitted(f"{NAME}: {message}", sys.stderr), file=sys.stderr)


def left_behind(arguments: argparse.Namespace) -> str:
    """The command's own message about what an interrupt left, and how to continue."""
    told = getattr(arguments, "interrupted", None)
    try:
        return str(told(arguments)) if told else "nothing half-written was left behind"
    except FAULTS:  # interrupted before there was anything to report
        return "nothing half-written was left behind"


def sentence(error: BaseException) -> str:
    """The error's message on one line; for a KeyError without Python's quotes."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        if error.errno in FULL:
            return f"{error.filename}: {error.strerror}; make room there, or choose another place"
        return f"{error.filename}: {error.strerror}; choose a place that can be read and written"
    if isinstance(error, MemoryError):
        return "the memory is full; use fewer vectors, fewer jobs or a smaller network"
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split()) or f"{type(error).__name__} without a message"
