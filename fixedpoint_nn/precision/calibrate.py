# SPDX-License-Identifier: MIT
"""Calibration: a format for every cast point of a float network, chosen from samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.precision.effort import best_plan
from fixedpoint_nn.precision.observe import Samples, observe
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.recipe import Recipe

FAST, BEST = "fast", "best"


def calibrate(net: Any, samples: Samples, word: int = 8, *, effort: str = FAST, **options: Any) -> Plan:
    """A plan: a quantizer for every parameter, cast point and table of a float network, from samples (n, ...).

    `word` is the word length in bits; `options` are the other fields of `Recipe`, such as weight_bits and per_channel.
    The effort "fast" chooses formats in one pass over the samples: a second or less for the zoo's networks. "best"
    also moves binary points, equalises channels and rounds every weight matrix by least squares (see
    `precision.effort`): 5 to 25 seconds of one core for 3,000 samples, without labels; its plan carries the weights.

    >>> from fixedpoint_nn import calibrate, quantize, zoo
    >>> net = zoo.load("moons")
    >>> plan = calibrate(net, zoo.samples("moons", 200), word=8)
    >>> plan.format("input")
    Q(3, 5)
    >>> quantize(net, plan)(zoo.samples("moons", 3)).shape
    (3, 1)
    """
    if effort not in (FAST, BEST):
        raise ValueError(f"effort {effort!r} is not known; use 'fast' or 'best'")
    recipe = Recipe(word, **options)
    seen = observe(net, samples)
    if effort == FAST:
        return seen.plan(recipe)
    if isinstance(samples, tuple) and len(seen.inputs) > 1:
        raise ValueError("effort 'best' is for networks of one input; use 'fast' for this one")
    return best_plan(net, np.asarray(samples), recipe)
