# SPDX-License-Identifier: MIT
"""The page as data, and the template that makes one HTML file of it."""

from __future__ import annotations

import math
import os
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files as resources
from itertools import chain, count
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.report.svg import Picture
from fixedpoint_nn.training.pictures import printable

Cell = str | int | float | None
# Nothing is loaded and nothing runs: one style sheet, known by its hash, and pictures inside of the page.
POLICY = "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Grid:
    """A table: numbers stand right, text left; None is shown as a dash."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    aligned: bool = True  # the numbers of a column are of one kind, and have equally many decimals

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers, which stand right."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return bool(cells) and all(
            isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells
        )

    def decimals(self, column: int) -> int | None:
        """How many digits after the point all numbers of a column have; None where each has its own."""
        if not self.aligned:
            return None
        numbers = [abs(row[column]) for row in self.rows if isinstance(row[column], float)]  # type: ignore[arg-type]
        largest = max(filter(math.isfinite, numbers), default=0.0)
        return max(4 - len(f"{largest:.0f}"), 1) if 1 <= largest < 1000 else None


@dataclass(frozen=True)
class Section:
    """One subject: a sentence or two, pictures, tables, and the command that gives the same again."""

    title: str
    text: str
    pictures: Sequence[Picture] = ()
    grids: Sequence[Grid] = ()
    quotation: str = ""
    line: str = ""

    @property
    def anchor(self) -> str:
        """The name that links point to."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Verdict:
    """What stands on top, in green or red."""

    passed: bool
    text: str


@dataclass(frozen=True)
class Part:
    """What the page says of one network."""

    title: str
    note: str
    sections: Sequence[Section]


@dataclass(frozen=True)
class Page:
    """The whole page."""

    title: str
    subtitle: str
    notice: str  # which network, or that there are several
    verdicts: Sequence[Verdict]
    parts: Sequence[Part]
    closing: Section
    footer: Sequence[str] = field(default_factory=tuple)

    @property
    def sections(self) -> list[Section]:
        """Every section in its order."""
        return [*(section for part in self.parts for section in part.sections), self.closing]

    def anchors(self) -> list[str]:
        """The identity of each section; no two are the same."""
        given: list[str] = []
        for section in self.sections:
            further = (f"{section.anchor}-{number}" for number in count(2))
            given.append(next(name for name in chain([section.anchor], further) if name not in given))
        return given

    def html(self) -> str:
        """The page as one self-contained file."""
        environment = Environment(
            loader=PackageLoader("fixedpoint_nn.report", "."),
            undefined=StrictUndefined,
            autoescape=True,
            finalize=_finalized,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        numbers = count(1)
        environment.filters["cell"] = text_of
        environment.filters["inline"] = lambda picture: picture.markup(f"picture{next(numbers)}_")
        style = "\n" + resources("fixedpoint_nn.report").joinpath("page.css").read_text(encoding="utf-8")
        return environment.get_template("page.html.jinja").render(
            page=self,
            parts=self._with_anchors(),
            style=Markup(style),
            policy=POLICY.format(hash=b64encode(sha256(style.encode()).digest()).decode()),
        )

    def _with_anchors(self) -> list[tuple[Part, list[tuple[str, Section]]]]:
        """The parts, the closing section as one without a title; each section beside its identity."""
        anchors = iter(self.anchors())
        parts = [*self.parts, Part("", "", [self.closing])]
        return [(part, [(next(anchors), section) for section in part.sections]) for part in parts]

    def save(self, path: str | os.PathLike[str]) -> None:
        """The whole page or nothing."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, self.html())


def _finalized(value: Any) -> Any:
    """What stands in the page: markup as it is, all else as text without controls, which Jinja escapes."""
    return value if isinstance(value, Markup) else printable(value)


def text_of(cell: Cell, decimals: int | None = None) -> str:
    """A number as a reader wants it: thousands apart; so many decimals, or four significant digits."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float) and decimals is not None and math.isfinite(cell):
        return f"{round(cell, decimals) + 0.0:,.{decimals}f}"  # + 0.0: there is no -0.00
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:#.4g}"
    return str(cell)
