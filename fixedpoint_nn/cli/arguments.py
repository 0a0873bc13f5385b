# SPDX-License-Identifier: MIT
"""Argument types with their error messages, and options that commands share."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fixedpoint_nn.files.replace import heal
from fixedpoint_nn.precision.recipe import LONGEST_WORD

LSTM_WORD, OTHER_WORD = 16, 25  # the longest words with which the engine runs the networks of the zoo
ENGINE_WORDS = (
    f"2 to {LONGEST_WORD}, of which the engine takes up to {LSTM_WORD} with an LSTM and up to {OTHER_WORD} in the "
    "zoo's other networks (a sum has 63 bits at most)"
)

Commands = Any  # argparse gives its collection of sub-parsers no public name


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps a sentence at the terminal's width; a text of several lines (an example) stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        form = argparse.RawDescriptionHelpFormatter if "\n" in text else argparse.HelpFormatter
        return form._fill_text(self, text, width, indent)


def command(
    commands: Commands, name: str, summary: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add the parser of a command, whose help ends with an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that all commands have: verbosity, and the format of results."""
    known = parser._option_string_actions
    if "-q" not in known:
        parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but results and errors")
    if "-v" not in known:
        parser.add_argument(
            "-v", "--verbose", action="store_true", help="say more, and show where errors rise"
        )
    if "--json" not in known:
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object and nothing else on stdout"
        )


def command_line(name: str, given: Sequence[object]) -> str:
    """A command as it would be typed, with quoting."""
    return shlex.join(["fixedpoint-nn", name, *map(str, given)])


def positive(text: str) -> int:
    """An integer of at least 1."""
    value = _integer(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return value


def natural(text: str) -> int:
    """An integer of at least 0."""
    value = _integer(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return value


def not_negative(text: str) -> float:
    """A number of at least 0."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


def above_zero(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def share(text: str) -> float:
    """A number from 0 to below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a probability of 0 to below 1")
    return value


def layer_sizes(text: str) -> tuple[int, ...]:
    """Layer sizes: '128', or '256,128'."""
    return tuple(positive(part) for part in text.split(","))


def word(text: str) -> int:
    """A word length in bits."""
    value = _integer(text)
    if not 2 <= value <= LONGEST_WORD:
        raise argparse.ArgumentTypeError(f"{text!r} is not a word length of 2 to {LONGEST_WORD} bits")
    return value


def words(text: str) -> tuple[int, ...]:
    """Word lengths in bits: '8', '4,6,8' or '2:16' (both ends included), in ascending order."""
    found: set[int] = set()
    for part in text.split(","):
        first, colon, last = part.partition(":")
        low = word(first)
        high = word(last) if colon else low
        if low > high:
            raise argparse.ArgumentTypeError(
                f"the range {part!r} is empty; write the smaller word first, like 2:16"
            )
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def existing_folder(text: str) -> Path:
    """An existing folder."""
    path = Path(text)
    heal(path)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text!r}")
    return path


def _number(text: str) -> float:
    """The number in a text; NaN, which no range accepts, for other text."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
