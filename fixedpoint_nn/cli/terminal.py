# SPDX-License-Identifier: MIT
"""Text that fits the terminal it is printed to; files and pipes get every line as it is."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TextIO

TO_COPY = re.compile(r"(?:^|: )fixedpoint-nn [a-z]+ ")


def columns(stream: TextIO) -> int | None:
    """The terminal's width; None where the stream is no terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def fitted(text: str, stream: TextIO) -> str:
    """The text with long sentences broken between words; tables, and commands that one may copy, stay whole."""
    width = columns(stream)
    return text if width is None else "\n".join(_broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    if len(line) <= width or line.startswith(" ") or "  " in line.rstrip() or TO_COPY.search(line):
        return line
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
