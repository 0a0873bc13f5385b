# SPDX-License-Identifier: MIT
"""The report's pictures, from the rows that a record holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from fixedpoint_nn.report.theme import inline
from fixedpoint_nn.training.pictures import COLOURS, INK, SOFT, picture

Point = Mapping[str, Any]


def accuracy_against_bits(found: Mapping[str, Any]) -> Markup:
    """The metric with its interval over the word length; the float network is the dotted line."""

    def draw(path: Path) -> None:
        with picture(path, 5.2, 3.2) as figure:
            axes = figure.add_subplot()
            for colour, (label, points) in zip(COLOURS, _by_kind(found["points"]).items(), strict=False):
                places, names = _places(points)
                middle = np.array([point["metric"] for point in points])
                errors = [
                    middle - [point["low"] for point in points],
                    [point["high"] for point in points] - middle,
                ]
                axes.errorbar(
                    places, middle, errors, color=colour, label=label, marker="o", markersize=4, capsize=3
                )
                if names:
                    axes.set_xticks(places, names, rotation=30, ha="right")
            axes.axhline(found["float_score"], color=SOFT, linestyle=":", label="float")
            axes.set_xlabel("bits in a word")
            axes.set_ylabel(found["metric"])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()

    return inline(draw, f"{found['metric']} against bits")


def pareto_front(found: Mapping[str, Any]) -> Markup:
    """The metric over the bits of all weights; a step joins the points that no other one beats."""

    def draw(path: Path) -> None:
        points: Sequence[Point] = found["points"]
        with picture(path, 5.2, 3.2) as figure:
            axes = figure.add_subplot()
            for colour, (label, some) in zip(COLOURS, _by_kind(points).items(), strict=False):
                axes.scatter(
                    [point["weight_bits"] / 8192 for point in some],
                    [point["metric"] for point in some],
                    color=colour,
                    label=label,
                    s=22,
                )
            front = best(points, found["more_is_better"])
            axes.plot(
                [point["weight_bits"] / 8192 for point in front],
                [point["metric"] for point in front],
                color=INK,
                linewidth=1,
                drawstyle="steps-post",
                label="front",
            )
            for point in front:
                axes.annotate(
                    str(point["value"]),
                    (point["weight_bits"] / 8192, point["metric"]),
                    color=SOFT,
                    fontsize=8,
                    xytext=(3, -9 if found["more_is_better"] else 4),
                    textcoords="offset points",
                )
            axes.axhline(found["float_score"], color=SOFT, linestyle=":", label="float")
            axes.set_xlabel("kilobytes of weights")
            axes.set_ylabel(found["metric"])
            axes.legend()

    return inline(draw, f"Pareto front of {found['metric']} and size")


def best(points: Sequence[Point], more_is_better: bool) -> list[Point]:
    """The points that no other one beats in both metric and weight bits, the smallest first."""
    sign = -1 if more_is_better else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point["weight_bits"], sign * point["metric"])):
        if not front or sign * point["metric"] < sign * front[-1]["metric"]:
            front.append(point)
    return front


def saturation_map(found: Mapping[str, Any]) -> list[Markup]:
    """Cast points by words: the share of values that did not fit. Nothing if all of them fitted."""
    points: Sequence[Point] = found["points"]
    paths = list(dict.fromkeys(path for point in points for path in point["values_at"]))
    share = np.array([[_outside(point, path) for point in points] for path in paths])
    if not share.size or not share.any():
        return []

    def draw(path: Path) -> None:
        with picture(path, 5.2, 1.2 + 0.2 * len(paths)) as figure:
            axes = figure.add_subplot()
            axes.grid(False)
            ramp = LinearSegmentedColormap.from_list("ramp", [COLOURS[0], COLOURS[1]])
            columns, rows = np.meshgrid(np.arange(len(points)), np.arange(len(paths)))
            shown = share > 0
            decades = np.clip(np.log10(np.where(shown, share, 1e-6)) / 6 + 1, 0.05, 1)
            axes.scatter(
                columns[shown], rows[shown], s=110 * decades[shown], c=decades[shown], cmap=ramp, marker="s"
            )
            axes.set_xlim(-0.6, len(points) - 0.4)
            axes.set_ylim(len(paths) - 0.4, -0.6)
            axes.set_xticks(range(len(points)), [str(point["value"]) for point in points])
            axes.set_yticks(range(len(paths)), paths, fontsize=8)
            axes.set_xlabel("bits in a word; a larger square is a larger share")

    return [inline(draw, "Where values overflow")]


def latency_bars(milliseconds: Mapping[str, float]) -> Markup:
    """One bar each, on a logarithmic scale."""

    def draw(path: Path) -> None:
        with picture(path, 5.2, 0.9 + 0.42 * len(milliseconds)) as figure:
            axes = figure.add_subplot()
            bars = axes.barh(list(milliseconds), list(milliseconds.values()), color=COLOURS[0], height=0.6)
            axes.bar_label(bars, [f" {value:.3g} ms" for value in milliseconds.values()], color=INK)
            axes.invert_yaxis()
            axes.set_xscale("log")
            axes.margins(x=0.25)
            axes.grid(axis="y", visible=False)

    return inline(draw, "Latency of one sample")


def _by_kind(points: Sequence[Point]) -> dict[str, list[Point]]:
    kinds: dict[str, list[Point]] = {}
    for point in points:
        kinds.setdefault(f"{point['axis']}, {point['method']}", []).append(point)
    return kinds


def _places(points: Sequence[Point]) -> tuple[list[int], list[str]]:
    """Where the points stand: at their number of bits, or one after the other under their names."""
    try:
        return [int(point["value"]) for point in points], []
    except ValueError:
        return list(range(len(points))), [str(point["value"]) for point in points]


def _outside(point: Point, path: str) -> float:
    values = point["values_at"].get(path, 0)
    lost = point["saturated_at"].get(path, 0) + point["wrapped_at"].get(path, 0)
    return float(lost / values) if values else 0.0
