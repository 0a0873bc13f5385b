# SPDX-License-Identifier: MIT
"""Plots of trainings: learning curves, comparisons, confusion matrices, first-layer weights."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from fixedpoint_nn.files.whole import whole
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.history import History

PathLike = str | os.PathLike[str]

INK, SOFT, GRID = "#22303c", "#6b7a88", "#e3e8ec"
COLOURS = ("#1f6fb2", "#e4772e", "#2a9d6f", "#b8405e", "#7b5ea7", "#8a6d3b", "#3fa7c4", "#5c6670")
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.dpi": 130,
    "svg.hashsalt": "fixedpoint_nn",
    "text.parse_math": False,  # a dollar in a name is no formula
}
CELL = "cell"  # prefix of the ids of text on a heat map, whose colour is not that of the theme


@contextmanager
def picture(path: PathLike, width: float = 7.0, height: float = 4.0) -> Iterator[Figure]:
    """A context with a figure in the project's style, written to `path` (PNG or SVG, reproducible) at its end."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        dated = {"Date": None} if Path(path).suffix == ".svg" else {"Software": None}
        with whole(path) as beside:
            figure.savefig(beside, metadata=dated)


def printable(text: object) -> str:
    """A name safe for a plot or page: control and bidirectional characters are replaced."""
    return "".join(
        "\ufffd" if unicodedata.category(letter)[0] == "C" and letter not in "\n\t" else letter
        for letter in str(text)
    )


def plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers, such as 100 and 0.01."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def whole_share(axes: Axes) -> None:
    """Set the vertical axis to percentages, 0 to 100."""
    axes.set_ylim(0, 100)


def _readable(name: str) -> str:
    return printable(name).replace("_", " ")


def learning_curves(history: History, path: PathLike, title: str = "") -> None:
    """Plot the losses in one panel and every other metric in its own; the kept epoch is marked."""
    losses = [name for name in history.curves if name.endswith("loss")]
    others = [name for name in history.curves if name not in losses]
    panels: list[list[str]] = ([losses] if losses else []) + [[name] for name in others]
    with picture(path, 4.6 * max(len(panels), 1), 3.4) as figure:
        figure.suptitle(printable(title), x=0.01, ha="left", fontweight="bold")
        for place, names in enumerate(panels, 1):
            axes = figure.add_subplot(1, len(panels), place)
            for colour, name in zip(COLOURS, names, strict=False):
                values = history.curves[name]
                label = {"loss": "held out", "train_loss": "training"}.get(name, _readable(name))
                axes.plot(range(1, len(values) + 1), values, color=colour, label=label, marker=_dot(values))
            if history.best_epoch is not None:
                axes.axvline(history.best_epoch + 1, color=SOFT, linewidth=1, linestyle=":")
            axes.set_title("loss" if names is losses else _readable(names[0]))
            axes.set_xlabel("epoch")
            whole_epochs(axes, len(history))
            if names is losses and len(names) > 1:
                axes.legend()


def whole_epochs(axes: Axes, count: int) -> None:
    """Set ticks at whole epochs only."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if count <= 1:
        axes.set_xlim(0.5, 1.5)
        axes.set_xticks([1])


def _dot(values: Sequence[float]) -> str:
    return "o" if len(values) == 1 else ""


def comparison(histories: Mapping[str, History], path: PathLike, figure_name: str = "train_loss") -> None:
    """Plot one curve of each of several trainings, such as one network with each optimiser."""
    with picture(path, 7, 4) as figure:
        axes = figure.add_subplot()
        for index, (label, history) in enumerate(histories.items()):
            values = history.curves[figure_name]
            axes.plot(
                range(1, len(values) + 1),
                values,
                color=COLOURS[index % len(COLOURS)],
                linestyle=("-", "--")[index // len(COLOURS) % 2],
                label=printable(label),
                marker=_dot(values),
            )
        if all(value > 0 for history in histories.values() for value in history.curves[figure_name]):
            axes.set_yscale("log")
            plain_numbers(axes.yaxis)
        axes.set_title(_readable(figure_name))
        axes.set_xlabel("epoch")
        whole_epochs(axes, max(map(len, histories.values()), default=1))
        axes.legend()


def confusion(matrix: Array, path: PathLike, labels: Sequence[str] | None = None, title: str = "") -> None:
    """Plot a confusion matrix: the number is the count, the colour its share of the label's row."""
    classes = len(matrix)
    names = [printable(label) for label in labels or range(classes)]
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 1.8 + 0.5 * classes
    with picture(path, side + 0.4, side) as figure:
        axes = figure.add_subplot()
        axes.grid(False)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row in range(classes):
            for column in range(classes):
                if matrix[row, column]:
                    colour = "white" if share[row, column] > 0.5 else INK
                    text = f"{matrix[row, column]}"
                    axes.text(
                        column,
                        row,
                        text,
                        ha="center",
                        va="center",
                        color=colour,
                        fontsize=8,
                        gid=f"{CELL}-{row}-{column}",
                    )
        slanted: Any = {"rotation": 45, "ha": "right"} if labels else {}
        axes.set_xticks(range(classes), names, **slanted)
        axes.set_yticks(range(classes), names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("label")
        axes.set_title(printable(title) or f"{np.trace(matrix) / max(matrix.sum(), 1):.2%} on the diagonal")


def first_layer(
    weight: Array, path: PathLike, shape: tuple[int, int] = (28, 28), count: int = 32, title: str = ""
) -> None:
    """Plot columns of a dense layer's weight as images, those of the largest norm first; red is positive."""
    strongest = np.argsort(-np.linalg.norm(weight, axis=0), kind="stable")[:count]
    columns = min(8, len(strongest))
    rows = -(-len(strongest) // columns)
    with picture(path, columns * 1.1, rows * 1.1 + 0.4) as figure:
        figure.suptitle(
            printable(title) or "what the first layer looks for", x=0.01, ha="left", fontweight="bold"
        )
        for place, unit in enumerate(strongest, 1):
            axes = figure.add_subplot(rows, columns, place)
            image = weight[:, unit].reshape(shape)
            limit = np.abs(image).max() or 1
            axes.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set_axis_off()


def decision_boundary(net: Any, x: Array, labels: Array, path: PathLike, title: str = "") -> None:
    """Plot two classes of points x (n, 2), and the line where the network's score changes its sign."""
    from fixedpoint_nn.training.metrics import outputs

    low, high = x.min(0) - 0.5, x.max(0) + 0.5
    horizontal, vertical = np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 160))
    points = np.stack([horizontal.ravel(), vertical.ravel()], 1).astype(x.dtype)
    scores = outputs(net, points, 4096).reshape(horizontal.shape)
    limit = float(np.abs(scores).max())
    with picture(path, 5.6, 4.2) as figure:
        axes = figure.add_subplot()
        axes.grid(False)
        axes.contourf(horizontal, vertical, scores, 20, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.55)
        axes.contour(horizontal, vertical, scores, [0.0], colors=INK, linewidths=1.5)
        for value, colour in zip(np.unique(labels), COLOURS, strict=False):  # 0 and 1, or -1 and 1
            chosen = labels.reshape(-1) == value
            axes.scatter(
                x[chosen, 0],
                x[chosen, 1],
                s=16,
                color=colour,
                edgecolors="white",
                linewidths=0.5,
                label=f"class {int(value)}",
            )
        axes.set_title(printable(title))
        axes.legend(loc="upper right")


def boxes_on(
    axes: Axes,
    image: Array,
    told: Iterable[tuple[Array, int, float]] = (),
    names: Sequence[str] = (),
    truth: Array | None = None,
    title: str = "",
) -> None:
    """Plot an image with the detections `told`, each (box, class, score); the boxes of `truth` are dotted."""
    height, width = image.shape[:2]
    axes.grid(False)
    axes.imshow(image.reshape(height, width), cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
    for left, top, right, bottom, label in [] if truth is None else truth:
        if label >= 0:
            axes.add_patch(
                Rectangle((left, top), right - left, bottom - top, fill=False, color="white", linestyle=":")
            )
    for (left, top, right, bottom), label, score in told:
        colour = COLOURS[label % len(COLOURS)]
        axes.add_patch(
            Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, linewidth=1.5)
        )
        name = printable(names[label]) if names else label
        axes.text(
            max(left, 0),
            max(top, 4),
            f"{name} {score:.0%}",
            fontsize=7,
            color="white",
            va="bottom",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6},
            clip_on=True,
        )
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_title(printable(title), fontsize=9)
    axes.set_axis_off()
