# SPDX-License-Identifier: MIT
"""What nobody says of an array: the last axis, no axis kept, the first rows; windows without padding or dilation."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from fixedpoint_nn.numbers import sliding_windows
from fixedpoint_nn.numbers.fixed import windows
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.networks import plan
from fixedpoint_nn.numbers.tensor import recorded_step, tensor
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numbers.traced.traced import Traced

NUMBERS = FixedArray, Tensor, Traced
LAST, KEPT = {"axis": -1}, {"keepdims": False}
DEFAULTS: dict[Any, dict[str, Any]] = {
    **{getattr(number, verb): LAST for number in NUMBERS for verb in ("concat", "split", "argmax")},
    **{number.take: {"axis": 0} for number in NUMBERS},
    **{number.sum: {"axis": None, **KEPT} for number in NUMBERS},
    Tensor.mean: {"axis": None, **KEPT},
    Tensor.max: KEPT,
    recorded_step.RecordedRows.split: LAST,
    windows.WindowedInts: {"fill": 0, "flat": False},
    tensor.Windows: {"lowest": False, "flat": False},
    sliding_windows.windows: {"groups": 1, "fill": 0, "dilation": (1, 1)},
    plan.Finish: {"relu": False, "shift": 0, "quantizer": None, "fits": True},
    plan.ImageSum: {"a_shift": 0, "b": None, "b_shift": 0},
}  # fmt: skip


@pytest.mark.parametrize("made", DEFAULTS, ids=lambda made: f"{made.__module__}.{made.__qualname__}")
def test_what_is_not_said_is_the_plainest(made: Any) -> None:
    parameters = inspect.signature(made).parameters
    assert {name: parameters[name].default for name in DEFAULTS[made]} == DEFAULTS[made]
