# SPDX-License-Identifier: MIT
"""The page as data, and its rendering as one HTML file."""

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
# Nothing is loaded or executed: one style sheet, identified by its hash, and inline pictures.
POLICY = "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class ReportTable:
    """A table: numbers are right-aligned, text left-aligned; None is shown as a dash."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    aligned: bool = True  # the numbers of a column have equally many decimals

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return bool(cells) and all(
            isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells
        )

    def decimals(self, column: int) -> int | None:
        """The decimals of a column; None if its numbers differ in kind."""
        if not self.aligned:
            return None
        numbers = [abs(row[column]) for row in self.rows if isinstance(row[column], float)]  # type: ignore[arg-type]
        largest = max(filter(math.isfinite, numbers), default=0.0)
        return max(4 - len(f"{largest:.0f}"), 1) if 1 <= largest < 1000 else None


@dataclass(frozen=True)
class ReportSection:
    """One subject: text, pictures, tables, and the command that reproduces them."""

    title: str
    text: str
    pictures: Sequence[Picture] = ()
    grids: Sequence[ReportTable] = ()
    quotation: str = ""
    line: str = ""

    @property
    def anchor(self) -> str:
        """The anchor for links."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class ReportVerdict:
    """The verdict at the top, in green or red."""

    passed: bool
    text: str


@dataclass(frozen=True)
class NetworkPart:
    """The part of the page about one network."""

    title: str
    note: str
    sections: Sequence[ReportSection]


@dataclass(frozen=True)
class Page:
    """The whole page."""

    title: str
    subtitle: str
    notice: str  # the network, or that there are several
    verdicts: Sequence[ReportVerdict]
    parts: Sequence[NetworkPart]
    closing: ReportSection
    footer: Sequence[str] = field(default_factory=tuple)

    @property
    def sections(self) -> list[ReportSection]:
        """All sections in order."""
        return [*(section for part in self.parts for section in part.sections), self.closing]

    def anchors(self) -> list[str]:
        """The unique id of each section."""
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

    def _with_anchors(self) -> list[tuple[NetworkPart, list[tuple[str, ReportSection]]]]:
        """The parts, with the closing section as one without a title, and each section with its id."""
        anchors = iter(self.anchors())
        parts = [*self.parts, NetworkPart("", "", [self.closing])]
        return [(part, [(next(anchors), section) for section in part.sections]) for part in parts]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, atomically."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, self.html())


def _finalized(value: Any) -> Any:
    """A value for the template: markup unchanged, all else as text without control characters, which Jinja escapes."""
    return value if isinstance(value, Markup) else printable(value)


def text_of(cell: Cell, decimals: int | None = None) -> str:
    """A cell as text: numbers with thousands separators and `decimals` decimals, or four significant digits."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float) and decimals is not None and math.isfinite(cell):
        return f"{round(cell, decimals) + 0.0:,.{decimals}f}"  # + 0.0 avoids -0.00
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:#.4g}"
    return str(cell)
