# SPDX-License-Identifier: MIT
"""The plots of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from fixedpoint_nn.cli.target import NetworkTarget
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision import Sweep, pictures
from fixedpoint_nn.precision.axes import PTQ
from fixedpoint_nn.precision.sweep import Point

SMALL_LOSS = 0.5  # points of accuracy, or percent of the likelihood
SHOWN = 500  # samples whose outputs are compared


def draw_sweep(
    found: Sweep, chosen: NetworkTarget, x: Array, out: Path, axes: Sequence[str], methods: Sequence[str]
) -> None:
    """Plot metric and noise along each axis, and weights and outputs of the cheapest point with a small loss.

    The files of the first axis are accuracy.svg and noise.svg, of another one accuracy-AXIS.svg and noise-AXIS.svg.
    """
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        for axis in axes:
            ending = ".svg" if axis == axes[0] else f"-{axis}.svg"
            pictures.accuracy_against_bits(found, out / f"accuracy{ending}", axis, chosen.name)
            pictures.noise_by_layer(found, out / f"noise{ending}", axis, methods[0], chosen.name)
        point = compromise(found.on(axes[0], PTQ))
        if point is not None:
            title = f"{chosen.name}, {pictures.TITLES.get(point.axis, point.axis)} {point.value}"
            pictures.weight_histograms(chosen.net, point.plan, out / "weights.svg", title)
            pictures.float_against_fixed(chosen.net, point.plan, x[:SHOWN], out / "scatter.svg", title)


def compromise(points: Sequence[Point]) -> Point | None:
    """The cheapest point with a small loss; the best point if there is none."""
    good = [point for point in points if point.loss <= SMALL_LOSS]
    if good:
        return min(good, key=lambda point: (point.cost.bit_operations, point.cost.weight_bits, point.loss))
    return min(points, key=lambda point: point.loss, default=None)
