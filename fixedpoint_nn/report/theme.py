# SPDX-License-Identifier: MIT
"""Pictures for the page: Matplotlib's SVG, sanitised, with the page's fonts and light or dark colours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib

from fixedpoint_nn.report.svg import Element, Picture, SvgError
from fixedpoint_nn.training.pictures import CELL, COLOURS, GRID, INK, SOFT

VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--line"} | {
    colour: f"--colour-{index}" for index, colour in enumerate(COLOURS)
}
PAPER = {"#ffffff": "--paper", "white": "--paper"}


def inline(draw: Callable[[Path], None], label: str) -> Picture:
    """The SVG that `draw` saves, ready for the page; `label` is for screen readers."""
    with tempfile.TemporaryDirectory() as folder, matplotlib.rc_context({"svg.fonttype": "none"}):
        path = Path(folder, "picture.svg")
        draw(path)
        return themed(Picture.of(path.read_bytes(), label))


def saved(path: Path, label: str) -> list[Picture]:
    """The picture in an SVG file, as a list; empty if the file is missing."""
    if not path.is_file():
        return []
    try:
        return [themed(Picture.of(path.read_bytes(), label))]
    except SvgError as error:
        raise ValueError(
            f"{path} is not a picture that a command wrote: {error}; delete it or run it again"
        ) from None


def themed(picture: Picture) -> Picture:
    """The picture with CSS variables for colours, except for heat maps and the text on them."""
    marked = any(_on_a_cell(element) for element in picture.root)
    painted = any(element.tag == "image" for element in picture.root)
    return picture if painted and not marked else picture.changed(_painted)


def _on_a_cell(element: Element) -> bool:
    return element.attributes.get("id", "").startswith(CELL)


def _painted(element: Element) -> Mapping[str, str] | None:
    if _on_a_cell(element):
        return None
    known = VARIABLES if element.tag == "text" else VARIABLES | PAPER
    return {
        name: f"var({known[value.lower()]})" if value.lower() in known else value
        for name, value in element.attributes.items()
    }
