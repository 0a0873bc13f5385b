# SPDX-License-Identifier: MIT
"""Writes docs/reference/errors.md from docs/errors.txt: `python docs/errors.py`. A test compares both with the code.

errors.txt has a heading for each section, and of each message four lines: module, message, cause, cure.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parent
HEAD = """# Errors

A message is one sentence, with the value that offends and the way out. These are the ones that users meet most, each
with its cause and its cure. What stands in braces is filled in. On the command line `-v` shows where an error rises.
"""


class Message(NamedTuple):
    """What a module of the package says, what brings it about, and what helps."""

    module: str
    text: str
    cause: str
    cure: str


def sections() -> dict[str, list[Message]]:
    """The messages by the title under which they stand."""
    found: dict[str, list[Message]] = {}
    for block in (DOCS / "errors.txt").read_text("utf-8").strip().split("\n\n"):
        if block.startswith("# "):
            found[block[2:]] = []
        else:
            found[list(found)[-1]].append(Message(*block.splitlines()))
    return found


def quoted(text: str) -> str:
    """The text as code; between double marks if it has such marks itself."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, messages in sections().items():
        parts.append(f"## {title}\n")
        parts += [f"{quoted(m.text)}\n\n- **Cause**: {m.cause}\n- **Cure**: {m.cure}\n" for m in messages]
    return "\n".join(parts)


if __name__ == "__main__":
    (DOCS / "reference" / "errors.md").write_text(page(), "utf-8")
