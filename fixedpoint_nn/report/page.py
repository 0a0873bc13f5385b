# SPDX-License-Identifier: MIT
"""The page as data, and the template that makes one HTML file of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files as resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from fixedpoint_nn.files.whole import write_whole

Cell = str | int | float | None


@dataclass(frozen=True)
class Grid:
    """A table: numbers stand right, text left; None is shown as a dash."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers, which stand right."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return bool(cells) and all(
            isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells
        )


@dataclass(frozen=True)
class Section:
    """One subject: a sentence or two, pictures, tables, and the command that gives the same again."""

    title: str
    text: str
    pictures: Sequence[Markup] = ()
    grids: Sequence[Grid] = ()
    quotation: str = ""
    line: str = ""

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Verdict:
    """What stands on top, in green or red."""

    passed: bool
    text: str


@dataclass(frozen=True)
class Page:
    title: str
    subtitle: str
    verdicts: Sequence[Verdict]
    sections: Sequence[Section]
    footer: Sequence[str] = field(default_factory=tuple)

    def html(self) -> str:
        environment = Environment(
            loader=PackageLoader("fixedpoint_nn.report", "."),
            undefined=StrictUndefined,
            autoescape=select_autoescape(default=True),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["cell"] = text_of
        style = resources("fixedpoint_nn.report").joinpath("page.css").read_text(encoding="utf-8")
        return environment.get_template("page.html.jinja").render(page=self, style=Markup(style))

    def save(self, path: str | os.PathLike[str]) -> None:
        """The whole page or nothing."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, self.html())


def text_of(cell: Cell) -> str:
    """A number as a reader wants it: thousands apart, four significant digits after the point."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:#.4g}"
    return cell
