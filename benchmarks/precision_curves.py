# SPDX-License-Identifier: MIT
"""The curves and the table of training for few bits, for docs/precision.md, from benchmarks/precision.json.

`python -m benchmarks precision --page` writes both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.precision_cells import figure_of, loss_of
from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.precision.few_bits import COURSES, Course
from fixedpoint_nn.training.pictures import COLOURS, SOFT, picture, whole_epochs

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURE = DOCS / "precision.md", DOCS / "few-bits.svg"
HEAD = (
    "| network | bits | course | seeds | rounded alone | lost | aim |",
    "|---|---|---|---|---|---|---|",
)
COLUMNS = 3  # panels beside each other
BITS = {1: "1, values of 2"}
COLOUR = {bits: COLOURS[place] for place, bits in enumerate((4, 3, 2, 1))}


def of_the_courses(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the courses' own methods, in the order of the networks and with fewer bits last."""
    found = [row for row in rows if row["method"] == COURSES[row["network"]][row["bits"]].method]
    order = list(COURSES)
    return sorted(found, key=lambda row: (order.index(row["network"]), -row["bits"]))


def course_of(row: dict[str, Any]) -> Course:
    """The course by which the row was measured."""
    return Course(**{place.name: row[place.name] for place in fields(Course) if place.name in row})


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table of Markdown."""
    return "\n".join([*HEAD, *map(_line, of_the_courses(rows))])


def _line(row: dict[str, Any]) -> str:
    unit = "" if figure_of(row["network"]) == "accuracy" else " %"
    bits = row["bits"]
    spread = "" if row["spread"] is None else f" ± {row['spread']:.2f}"
    verdict = "reached" if row["reached"] else "missed"
    alone = _signed(row["rounded"], unit) if bits > 1 else ""
    return (
        f"| `{row['network']}` | {BITS.get(bits, bits)} | {_course(row)} | {row['seeds']} | {alone} | "
        f"{_signed(row['lost'], unit)}{spread} | {row['aim']:g}{unit}, {verdict} |"
    )


def _signed(lost: float, unit: str) -> str:
    """What is lost with its sign: minus for a loss, plus for a gain."""
    return f"{'+' if round(lost, 2) < 0 else '−'}{abs(lost):.2f}{unit}"


def _course(row: dict[str, Any]) -> str:
    course = course_of(row)
    epochs = f"{course.epochs} epoch{'s' * (course.epochs > 1)} at {course.rate:g}"
    parts = [f"`{course.way(row['bits'])}`", epochs]
    if course.batch is not None:
        parts.append(f"batches of {course.batch}")
    if not course.augment:
        parts.append("images as they are")
    if course.prepare:
        parts.append("from weights rounded by least squares")
    if course.teacher is not None and "distillation" in course.method:
        parts.append(f"taught by `{course.teacher}`")
    if course.start is not None:
        parts.append(f"from {course.start} bits")
    return ", ".join(parts)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """One panel for each network: what is lost after each epoch, for each width and seed, with the aims dotted."""
    found = of_the_courses(rows)
    networks = list(dict.fromkeys(row["network"] for row in found))
    across = min(len(networks), COLUMNS)
    down = ceil(len(networks) / across)
    with picture(path, 3.4 * across, 3.2 * down) as figure:
        for place, network in enumerate(networks, 1):
            axes = figure.add_subplot(down, across, place)
            shown = [row for row in found if row["network"] == network]
            for row in shown:
                colour = COLOUR[row["bits"]]
                for seed, curve in enumerate(row["curves"]):
                    lost = [_lost(row, value) for value in curve]
                    label = None if seed else f"{row['bits']} bit{'s' * (row['bits'] > 1)}"
                    axes.plot(
                        range(1, len(lost) + 1), lost, color=colour, linewidth=1.2, label=label, marker="."
                    )
                axes.axhline(row["aim"], color=colour, linewidth=1, linestyle=":")
            axes.axhline(0, color=SOFT, linewidth=0.8)
            axes.set_title(network)
            axes.set_xlabel("epoch")
            whole_epochs(axes, max(len(row["curves"][0]) for row in shown))
            axes.set_ylabel("points lost" if figure_of(network) == "accuracy" else "percent lost")
            axes.legend(fontsize=8)


def _lost(row: dict[str, Any], value: float) -> float:
    """What is lost at this value of the curve; the float network's figure follows from the last one."""
    last, lost = row["curves"][0][-1], row["each"][0]
    if figure_of(row["network"]) == "accuracy":
        return lost + 100 * (last - value)
    return loss_of(row["network"], {"loss": value}, {"loss": last / (1 + lost / 100)})


def with_table(page: str, rows: Sequence[dict[str, Any]]) -> str:
    """The page with the table of these rows in the place of its own."""
    before, head, rest = page.partition(HEAD[0])
    if not head:
        raise ValueError(
            f"the page has no table that begins with {HEAD[0]!r}; write its first line where it belongs"
        )
    return before + table(rows) + rest[rest.index("\n\n") :]


def write(table_file: Path) -> None:
    """Write the table into the page, and the picture."""
    rows = json.loads(table_file.read_text("utf-8"))
    write_whole(PAGE, with_table(PAGE.read_text("utf-8"), rows))
    draw(rows, PICTURE)
