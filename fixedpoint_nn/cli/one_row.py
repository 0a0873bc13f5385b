# SPDX-License-Identifier: MIT
"""A network of several inputs or outputs with its samples, as one of one row in and one row out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fixedpoint_nn.cli import samples_file
from fixedpoint_nn.cli.target import NetworkTarget
from fixedpoint_nn.interchange.load import kind_of
from fixedpoint_nn.interchange.tflite.streaming import streamed
from fixedpoint_nn.network.one_port import one_port, several, shapes_of
from fixedpoint_nn.network.quantized import Quantized

MOST_ROWS = 500  # samples of all inputs that become rows


def joined(chosen: NetworkTarget, fixed: Quantized) -> tuple[NetworkTarget, bool]:
    """The quantised network with one row of all inputs and one of all outputs, and whether that was needed.

    A model that keeps variables is run over all samples, consecutive in time, for what they hold before each.
    """
    if not several(fixed):
        return chosen, False
    xs = chosen.xs
    if kind_of(chosen.source) == "tflite":
        outside = xs or (() if chosen.given is None else (chosen.given.x,))
        xs = streamed(chosen.source, fixed, *(x[:MOST_ROWS] for x in outside))
    elif not xs:
        xs = (chosen.samples(MOST_ROWS),)
    xs = tuple(x[:MOST_ROWS] for x in xs)
    port = one_port(fixed, shapes_of(xs))
    rows = port.row(xs).to_float()
    given = samples_file.SamplesFile(Path(chosen.source), rows)
    return replace(chosen, net=port.fixed, given=given, xs=(), identity=chosen.weights), True
