# SPDX-License-Identifier: MIT
"""What nobody says: an engine that reads one word and drains one sum a clock, a run that waits and writes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from fixedpoint_nn.hardware.compiler import (
    barriers,
    builder,
    expression,
    ir,
    kernel,
    kernel_selection,
    lower,
    pipeline,
    rescaling,
    scan_layout,
)
from fixedpoint_nn.hardware.compiler.strided_view import ALL_PADDING, Buffer, Register, Window

DEFAULTS: dict[Any, dict[str, Any]] = {
    pipeline.lower: {"lanes": 8, "drain": 1, "multiplier": 32, "words": 1, "window": 0},
    pipeline.lower_program: {"lanes": 8, "drain": 1, "multiplier": 32, "latency": 0, "words": 1, "window": 0},
    pipeline.finish: {"latency": 0, "window": 0},
    lower.lowered: {"drain": 1, "multiplier": 0, "words": 1},
    kernel_selection.build: {"drain": 1, "words": 1},
    barriers.place_barriers: {"drain": 1, "words": 1},
    builder.Builder: {"multiplier": 0, "words": 1, "multiply_everywhere": False, "multiplied": False},
    ir.EngineProgram: {"drain": 1, "words": 1},
    ir.Compute: {"declares": False, "search": False, "write": True, "noise": None},
    kernel.Kernel: {
        "window": None, "argmax": False, "noise": False, "write": True, "barrier": True, "early": 0,
        "may_be_short": False, "groups": 0, "joined": False, "unused": 0, "skip": False, "spread": False,
        "streamed": False, "lanes": 8,
    },
    kernel.Target: {"row": 0},
    expression.Expression: {"bias": None, "bias_frac": 0, "relu_before": False, "relu_after": False, "leak": 0},
    expression.Multiplier: {"twice": False},
    Register: {"stride": 0, "span": 0},
    Buffer: {"parent": None, "offset": 0, "keep": False, "used": 0},
}  # fmt: skip


@pytest.mark.parametrize("made", DEFAULTS, ids=lambda made: made.__name__)
def test_what_is_not_said_is_the_plainest(made: Any) -> None:
    parameters = inspect.signature(made).parameters
    assert {name: parameters[name].default for name in DEFAULTS[made]} == DEFAULTS[made]


def test_what_is_compared_and_shown_is_what_tells_things_apart() -> None:
    """Values of a program are themselves, not their contents; a network is not its stages."""
    for made in (
        ir.Declare, ir.Compute, ir.WriteBack, ir.Label, ir.SetRegister, ir.Advance, ir.LoadRegister, ir.StoreArgmax,
        ir.JumpIfEqual, ir.LoopItem, ir.EngineProgram, expression.Dot, expression.Scale, expression.Product,
        expression.Expression, Register, Buffer, rescaling.Rescaling, scan_layout.Rows,
    ):  # fmt: skip
        assert made.__eq__ is object.__eq__, made.__name__
    hidden = {name for name, of in kernel.Kernel.__dataclass_fields__.items() if not of.repr}
    assert hidden == {"lanes", "ways", "taps_by_channels"}
    stages = pipeline.CompiledNetwork.__dataclass_fields__["stages"]
    assert not stages.repr and not stages.compare


def test_a_window_over_nothing_is_outside_everywhere() -> None:
    assert Window(0, 0, 1, 1, 0, 0, lowest=False) == ALL_PADDING


def test_fields_of_instructions_are_as_long_as_the_engines() -> None:
    assert barriers.MOST_EARLY == (1 << 6) - 1
    assert pipeline.MULTIPLIER_BITS == 32
