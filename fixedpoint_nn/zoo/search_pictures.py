# SPDX-License-Identifier: MIT
"""Plots of a hyperparameter search: the losses of its trials in order, and against each setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fixedpoint_nn.training.pictures import COLOURS, INK, SOFT, picture
from fixedpoint_nn.zoo.search import Found

COLUMNS = 3
WIDE_RANGE = 20.0  # ratios from which the axis is logarithmic


def draw_trials(found: Found, folder: Path, title: str = "") -> tuple[Path, Path]:
    """Write `trials.svg` and `settings.svg` to the folder; returns their paths."""
    trials, settings = folder / "trials.svg", folder / "settings.svg"
    losses_in_order(found, trials, title)
    losses_by_setting(found, settings, title)
    return trials, settings


def losses_in_order(found: Found, path: Path, title: str = "") -> None:
    """Plot each trial's loss, and the best so far."""
    losses = [loss for _, loss in found.trials]
    with picture(path, 6.4, 3.6) as figure:
        axes = figure.add_subplot()
        order = range(1, len(losses) + 1)
        axes.scatter(order, losses, color=SOFT, s=18, label="a trial")
        axes.plot(
            order,
            np.minimum.accumulate(losses),
            color=COLOURS[0],
            drawstyle="steps-post",
            label="the best so far",
        )
        axes.set_xlabel("trial")
        axes.set_ylabel("loss on held-back data")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(title)
        axes.legend()


def losses_by_setting(found: Found, path: Path, title: str = "") -> None:
    """Plot the losses against each setting, one panel each; the best trial is marked."""
    names = list(found.best)
    rows = -(-len(names) // COLUMNS)
    with picture(path, 3.2 * min(len(names), COLUMNS), 2.7 * rows) as figure:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        for place, name in enumerate(names, 1):
            _panel(figure.add_subplot(rows, min(len(names), COLUMNS), place), found, name)


def _panel(axes: Axes, found: Found, name: str) -> None:
    """Plot the loss over one setting, with the best trial marked."""
    values: list[Any] = [settings[name] for settings, _ in found.trials]
    losses = [loss for _, loss in found.trials]
    if any(isinstance(value, str) for value in values):
        options = sorted({str(value) for value in values})
        places = [options.index(str(value)) for value in values]
        axes.set_xticks(range(len(options)), options)
        best: Any = options.index(str(found.best[name]))
    else:
        places, best = values, found.best[name]
        if min(values) > 0 and max(values) > WIDE_RANGE * min(values):
            axes.set_xscale("log")
    axes.scatter(places, losses, color=SOFT, s=16)
    axes.scatter([best], [found.loss], color=INK, s=34, zorder=3)
    axes.set_title(name.replace("_", " "))
