# SPDX-License-Identifier: MIT
"""Plots that the report draws from records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fixedpoint_nn.precision.pareto import front
from fixedpoint_nn.report.svg import Picture
from fixedpoint_nn.report.theme import inline
from fixedpoint_nn.training.pictures import COLOURS, INK, SOFT, picture, printable, whole_share


def pareto_front(found: Mapping[str, Any]) -> Picture:
    """The metric over the size of all weights in kilobytes, with the Pareto front as steps."""
    sign = -1 if found["more_is_better"] else 1
    share = found["metric"] == "accuracy"
    scale = 100 if share else 1
    points = [
        (point["weight_bits"] / 8192, scale * point["metric"], printable(point["value"]))
        for point in found["points"]
        if math.isfinite(point["metric"])
    ]
    best = front(points, lambda point: point[0], lambda point: sign * point[1])

    def draw(path: Path) -> None:
        with picture(path, 6.4, 3.8) as figure:
            axes = figure.add_subplot()
            sizes, scores = [point[0] for point in points], [point[1] for point in points]
            axes.scatter(sizes, scores, color=COLOURS[0], s=22, zorder=3, clip_on=False)
            sizes, scores = [point[0] for point in best], [point[1] for point in best]
            axes.plot(sizes, scores, color=INK, linewidth=1, drawstyle="steps-post", label="front")
            for size, score, value in best:
                below = (3, -10 if found["more_is_better"] else 5)
                axes.annotate(value, (size, score), below, textcoords="offset points", color=SOFT, fontsize=8)
            if math.isfinite(found["float_score"]):
                axes.axhline(scale * found["float_score"], color=SOFT, linestyle=":", label="float")
            axes.set_xlabel("kilobytes of weights")
            axes.set_xlim(left=0)
            axes.set_ylabel("accuracy, %" if share else printable(found["metric"]))
            if share:
                whole_share(axes)
            axes.legend()

    return inline(draw, f"Pareto front of {found['metric']} and size")


def latency_bars(milliseconds: Mapping[str, float], samples: str = "one sample") -> Picture:
    """A bar chart of latencies."""

    def draw(path: Path) -> None:
        with picture(path, 6.4, 0.9 + 0.42 * len(milliseconds)) as figure:
            axes = figure.add_subplot()
            bars = axes.barh(
                list(map(printable, milliseconds)), list(milliseconds.values()), color=COLOURS[0], height=0.6
            )
            axes.bar_label(bars, [f"{value:.3g} ms" for value in milliseconds.values()], color=INK, padding=4)
            axes.invert_yaxis()
            axes.set_xlim(0, 1.25 * max(milliseconds.values(), default=1))
            axes.set_xlabel("milliseconds")
            axes.grid(axis="y", visible=False)

    return inline(draw, f"Latency of {samples}")
