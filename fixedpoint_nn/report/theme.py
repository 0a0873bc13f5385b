# SPDX-License-Identifier: MIT
"""Pictures for the page: Matplotlib's SVG, inline, in the page's own colours and letters, light or dark."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib
from markupsafe import Markup

from fixedpoint_nn.training.pictures import COLOURS, GRID, INK, SOFT

VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--line"} | {
    colour: f"--colour-{index}" for index, colour in enumerate(COLOURS)
}
PAPER = ("#ffffff", "white")


def inline(draw: Callable[[Path], None], label: str) -> Markup:
    """What `draw` saves as SVG, ready to stand in the page; `label` is what a screen reader says."""
    with tempfile.TemporaryDirectory() as folder, matplotlib.rc_context({"svg.fonttype": "none"}):
        path = Path(folder, "picture.svg")
        draw(path)
        text = path.read_text(encoding="utf-8")
    return Markup(themed(text, label))


def saved(path: Path, label: str) -> list[Markup]:
    """A picture that a command left as SVG; nothing if it did not."""
    return [Markup(themed(path.read_text(encoding="utf-8"), label))] if path.exists() else []


def themed(svg: str, label: str) -> str:
    """The <svg> element alone, with variables for colours and names that are its own in the page."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    if "<image" not in body:  # the colours of a heat map and of its letters belong together
        for colour, variable in VARIABLES.items():
            body = re.sub(re.escape(colour), f"var({variable})", body, flags=re.IGNORECASE)
        for paper in PAPER:
            body = re.sub(rf"(fill|stroke): {paper}\b", r"\1: var(--paper)", body)
    body = re.sub(r"font-family: [^;\"]*", "font-family: inherit", body)
    own = re.sub(r"\W+", "-", label.lower()).strip("-")
    body = re.sub(r'\bid="([^"]+)"', rf'id="{own}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{own}-\1)", body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{own}-\1"', body)
    width = re.search(r'<svg[^>]*\swidth="([\d.]+)pt"', body)
    body = re.sub(r'\s(width|height)="[\d.]+pt"', "", body, count=2)
    limit = f' style="max-width: {float(width[1]) * 4 / 3:.0f}px"' if width else ""
    return body.replace("<svg", f'<svg role="img" aria-label="{label}"{limit}', 1)
