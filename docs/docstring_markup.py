# SPDX-License-Identifier: MIT
"""An extension of Griffe: docstrings are plain text, and become Markdown that shows them as they were written.

Examples (`>>> ...` and what follows them) become blocks of code; a `*` is a product, never an emphasis, and `[0 0]`
is no link.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)


def markdown(text: str) -> str:
    """The docstring's text as Markdown."""
    fenced = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text.replace("  # doctest: +SKIP", ""))
    parts = CODE.split(fenced)
    parts[::2] = [re.sub(r"([*_\[])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


class PlainDocstrings(Extension):
    """Marks up the docstring of everything that is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called once for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
