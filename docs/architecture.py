# SPDX-License-Identifier: MIT
"""Draws docs/architecture.svg: the rooms in the order in which data passes through them."""

from __future__ import annotations

from pathlib import Path

WIDTH, ROW, GAP = 860, 66, 22
# (title, what happens there, rooms): from top to bottom, as a network goes.
ROWS = (
    ("samples", "real data sets, checked and split", ("data",)),
    (
        "float network",
        "formulas over verbs; losses, optimisers, loop; the shipped networks",
        ("layers", "training", "zoo"),
    ),
    (
        "quantised network",
        "a format for every cast, integers for every weight; accuracy over bits",
        ("precision", "interchange", "network"),
    ),
    (
        "exact integers",
        "FixedArray, Tensor, Traced over formats, roundings, exact products",
        ("numbers", "numerics"),
    ),
    ("program", "trace, lower, flatten, barriers, allocate, encode", ("hardware/compiler", "hardware/isa")),
    ("pack", "images and vectors that reach the corners", ("hardware/vectors", "hardware/pack", "files")),
    (
        "Verilog",
        "the engine in a simulator, and its twin in Python",
        ("hardware/sim", "hardware/emulator", "reference_rtl"),
    ),
    (
        "board",
        "over a serial line, simulated or real; synthesis, placing, routing",
        ("board", "reference_rtl/board"),
    ),
    (
        "verdict",
        "every word compared, or the first difference; a page about it",
        ("hardware/verify", "report", "cli"),
    ),
)


def svg() -> str:
    height = len(ROWS) * (ROW + GAP) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" role="img"'
        ' aria-label="The rooms of the package, in the order in which data passes through them">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (title, text, rooms) in enumerate(ROWS):
        y = 10 + number * (ROW + GAP)
        lines += [
            f'<rect x="10" y="{y}" width="500" height="{ROW}" rx="8" fill="#eef3fb" stroke="#3b6cb7"/>',
            f'<text x="26" y="{y + 27}" font-size="17" font-weight="bold" fill="#17335f">{title}</text>',
            f'<text x="26" y="{y + 49}" font-size="13" fill="#222222">{text}</text>',
        ]
        for place, room in enumerate(rooms):
            top = y + 4 + place * (ROW - 6) // len(rooms)
            size = (ROW - 6) // len(rooms) - 3
            lines += [
                f'<rect x="530" y="{top}" width="320" height="{size}" rx="5" fill="#f7f0dd" stroke="#a87f1d"/>',
                f'<text x="544" y="{top + size / 2 + 4.5:g}" font-size="13" font-family="monospace" fill="#4a3708">'
                f"{room}/</text>",
            ]
        if number + 1 < len(ROWS):
            x, top = 260, y + ROW
            lines.append(
                f'<path d="M{x} {top + 2} V{top + GAP - 8} M{x - 6} {top + GAP - 9} h12 l-6 8 z" stroke="#3b6cb7"'
                ' stroke-width="2" fill="#3b6cb7"/>'
            )
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(svg(), "utf-8")
