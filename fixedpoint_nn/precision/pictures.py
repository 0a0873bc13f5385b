# SPDX-License-Identifier: MIT
"""Plots of precision: metric against bits, Pareto fronts, noise by layer, histograms of weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from fixedpoint_nn.layers.fields import PARAMETER
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.network.tree import walk
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.metric import Metric
from fixedpoint_nn.precision.mixed import Mixed
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.precision.sweep import Point, Sweep
from fixedpoint_nn.training.pictures import (
    CELL,
    COLOURS,
    INK,
    SOFT,
    picture,
    plain_numbers,
    printable,
    whole_share,
)

PathLike = str | os.PathLike[str]
NAMES = {"ptq": "rounded after training", "qat": "trained for it"}
TITLES = {
    "word": "word length",
    "weights": "weight bits",
    "activations": "activation bits",
    "addresses": "table address bits",
    "accumulator": "accumulator",
    "integer": "integer bits",
    "fraction": "fraction bits",
}


def accuracy_against_bits(found: Sweep, path: PathLike, axis: str = "word", title: str = "") -> None:
    """Plot the metric along an axis with its 95 % intervals, and the float network's as a line."""
    with picture(path, 6.4, 3.8) as figure:
        axes = figure.add_subplot()
        for colour, method in zip(COLOURS, NAMES, strict=False):
            points = found.on(axis, method)
            if points:
                _with_intervals(axes, points, found.metric, colour, NAMES[method])
        scale = found.metric.axis_scale
        score = f"{scale * found.float_score:.2f} %" if scale > 1 else f"{found.float_score:.4f}"
        axes.axhline(
            scale * found.float_score, color=INK, linewidth=1, linestyle="--", label=f"float: {score}"
        )
        axes.set_xlabel("word length, bits" if axis == "word" else TITLES.get(axis, axis))
        axes.set_ylabel(found.metric.axis_label)
        if found.metric.in_points:
            whole_share(axes)
        axes.set_title(printable(title))
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)


def _with_intervals(axes: Axes, points: Sequence[Point], metric: Metric, colour: str, label: str) -> None:
    """Plot the points of an axis, and their 95 % intervals as a band or as bars."""
    scale = metric.axis_scale
    numeric = all(point.value.isdigit() for point in points)
    x = [int(point.value) if numeric else i for i, point in enumerate(points)]
    y = scale * np.array([point.metric for point in points])
    low, high = (scale * np.array([getattr(point, side) for point in points]) for side in ("low", "high"))
    if numeric:
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(
            x, y, color=colour, marker="o", markersize=4, clip_on=False, label=f"{label}, 95 % interval"
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        axes.errorbar(
            x,
            y,
            [y - low, high - y],
            color=colour,
            marker="o",
            linestyle="",
            capsize=3,
            label=f"{label}, 95 % interval",
        )
        axes.set_xticks(x, [point.value.replace("_", " ") for point in points], rotation=30, ha="right")


def pareto_front(
    found: Mixed,
    path: PathLike,
    title: str = "",
    metric: Metric = Metric.ACCURACY,
    learned: tuple[Sequence[Any], float] | None = None,
) -> None:
    """Plot loss against bit operations of mixed and uniform plans; also of a `learned` front with its hypervolume."""
    with picture(path, 6.4, 3.8) as figure:
        axes = figure.add_subplot()
        kinds: list[tuple[str, Sequence[Any], float]] = [
            ("one word length", found.uniform, found.uniform_hypervolume),
            ("mixed", found.front, found.hypervolume),
            *([("learned", *learned)] if learned else []),
        ]
        colours = (SOFT, COLOURS[0], COLOURS[1])[: len(kinds)]
        for colour, (name, candidates, volume) in zip(colours, kinds, strict=True):
            x = [candidate.price for candidate in candidates]
            y = [candidate.loss for candidate in candidates]
            axes.plot(
                x,
                y,
                color=colour,
                marker="o",
                markersize=3.5,
                drawstyle="steps-post",
                label=f"{name} (hypervolume {volume:.3f})",
            )
        for candidate in found.uniform:
            bits = candidate.plan.format("input")
            axes.annotate(
                f"{bits.bits if bits else ''} bits",
                (candidate.price, candidate.loss),
                (4, 4),
                textcoords="offset points",
                fontsize=8,
                color=SOFT,
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_yscale("symlog", linthresh=1)
        axes.margins(x=0.08, y=0.12)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("bit operations per sample")
        unit = f"points of {metric.name}" if metric.in_points else "% of the float network's"
        axes.set_ylabel(f"{unit} lost")
        axes.set_title(printable(title))
        axes.legend()


def noise_by_layer(
    found: Sweep, path: PathLike, axis: str = "word", method: str = "ptq", title: str = ""
) -> None:
    """Plot two heat maps, cast points by word length: SNR in dB, and the share of saturated values."""
    points = found.on(axis, method)
    places = [place for place in points[0].plan if any(place in point.snr_db for point in points)]
    noise = np.array([[point.snr_db.get(place, np.nan) for point in points] for place in places])
    saturated = np.array(
        [
            [
                100 * (p.saturated.get(place, 0) + p.wrapped.get(place, 0)) / max(p.values.get(place, 0), 1)
                for p in points
            ]
            for place in places
        ]
    )
    with picture(path, 3.4 + 0.62 * len(points), 1.7 + 0.3 * len(places)) as figure:
        figure.suptitle(printable(title), x=0.01, ha="left", fontweight="bold")
        panels = (
            ("signal to noise, dB", noise, "viridis", 0, 90),
            ("saturated or wrapped, %", saturated, "magma_r", 0, 5),
        )
        for index, (name, values, colours, low, high) in enumerate(panels, 1):
            axes = figure.add_subplot(1, 2, index)
            axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
            axes.grid(visible=False)
            axes.set_title(name)
            names = [point.value.replace("_", " ") for point in points]
            turned = max(map(len, names)) > 3
            axes.set_xticks(
                range(len(points)), names, rotation=45 if turned else 0, ha="right" if turned else "center"
            )
            axes.set_yticks(
                range(len(places)),
                [shortened(printable(place)) if index == 1 else "" for place in places],
                fontsize=8,
            )
            axes.set_xlabel(TITLES.get(axis, axis))
            for (row, column), value in np.ndenumerate(values):
                dark = (value < 0.6 * high) if colours == "viridis" else (value > 0.35 * high)
                text = _decibels(value) if index == 1 else _share(value)
                axes.text(
                    column,
                    row,
                    text,
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color="white" if dark else INK,
                    gid=f"{CELL}{index}-{row}-{column}",
                )


def shortened(path: str, most: int = 44) -> str:
    """A path of at most `most` characters; a longer one loses its middle."""
    return path if len(path) <= most else f"{path[: most // 2 - 1]}...{path[-(most // 2 - 2) :]}"


def _decibels(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.0f}"


def _share(value: float) -> str:
    """A percentage; a small one is not shown as 0."""
    return "0" if not value else "<0.1" if value < 0.1 else f"{value:.1f}"


def weight_histograms(net: Any, plan: Plan, path: PathLike, title: str = "", most: int = 9) -> None:
    """Plot a histogram of each parameter with the range of its format, and the share outside of it."""
    parameters = [
        (leaf.path, leaf.value.data)
        for leaf in walk(fold(net))
        if leaf.kind == PARAMETER and leaf.value is not None and leaf.value.data.size > 1
    ]
    largest = sorted(parameters, key=lambda p: -p[1].size)[:most]
    shown = [pair for pair in parameters if any(pair[0] == other for other, _ in largest)]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    with picture(path, 3.4 * columns, 2.3 * rows + 0.4) as figure:
        figure.suptitle(printable(title), x=0.01, ha="left", fontweight="bold")
        for place, (name, values) in enumerate(shown, 1):
            axes = figure.add_subplot(rows, columns, place)
            _histogram(axes, name, values, plan)


def _histogram(axes: Axes, name: str, values: Array, plan: Plan) -> None:
    """Plot the values of one place over the range of its format, with the share outside of it."""
    entry = plan[name]
    assert isinstance(entry, Quantizer | ChannelQuantizer)
    format = (entry.quantizer if isinstance(entry, ChannelQuantizer) else entry).format
    outside = float(np.mean((values < format.min) | (values > format.max)))
    axes.hist(values.reshape(-1), bins=60, color=COLOURS[0], log=True)
    axes.axvspan(format.min, format.max, color=COLOURS[2], alpha=0.15, linewidth=0)
    for edge in (format.min, format.max):
        axes.axvline(edge, color=COLOURS[2], linewidth=1)
    axes.set_title(shortened(printable(name)), fontsize=9)
    axes.set_ylabel("values", fontsize=8)
    plain_numbers(axes.yaxis)
    per_channel = " per channel" if isinstance(entry, ChannelQuantizer) else ""
    axes.text(
        0.02,
        0.97,
        f"{format}{per_channel} (green)\n{100 * outside:.2g} % outside",
        transform=axes.transAxes,
        va="top",
        fontsize=7.5,
        color=INK,
        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.5},
    )


def float_against_fixed(
    net: Any, plan: Plan, x: Array, path: PathLike, title: str = "", most: int = 5000
) -> None:
    """Plot each output of the fixed-point network over that of the float network."""
    with no_gradient():
        exact = net(as_input(x)).data.reshape(-1)
    fixed = quantize(net, plan)(x).to_float().reshape(-1)
    step = max(exact.size // most, 1)
    correlation = float(np.corrcoef(exact, fixed)[0, 1]) if np.std(fixed) else 0.0
    worst = float(np.abs(exact - fixed).max())
    with picture(path, 4.6, 4.4) as figure:
        axes = figure.add_subplot()
        ends = [float(min(exact.min(), fixed.min())), float(max(exact.max(), fixed.max()))]
        axes.plot(ends, ends, color=SOFT, linewidth=1)
        axes.scatter(exact[::step], fixed[::step], s=4, color=COLOURS[0], alpha=0.35, linewidths=0)
        axes.set_xlabel("float")
        axes.set_ylabel("fixed")
        axes.set_title(printable(title))
        axes.text(
            0.03,
            0.97,
            f"correlation {correlation:.5f}\nlargest difference {worst:.3g}",
            transform=axes.transAxes,
            va="top",
            fontsize=8,
        )
