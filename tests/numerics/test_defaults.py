# SPDX-License-Identifier: MIT
"""What nobody says of formats, products and kernels: nothing is added, shifted, moved or rounded."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Q, Quantizer
from fixedpoint_nn.numerics import (
    accumulate,
    deferred_product,
    exact_functions,
    matmul_blocked,
    overflow_stats,
    qformat,
    quantizer,
)
from fixedpoint_nn.numerics.native import library, scan, steps
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding

DEFAULTS: dict[Any, dict[str, Any]] = {
    qformat.QFormat: {"signed": True},
    qformat.QFormat.enclosing: {"signed": True},
    quantizer.Quantizer: {"rounding": Rounding.HALF_EVEN, "overflow": Overflow.SATURATE, "name": ""},
    accumulate.AccumulatorMonitor: {"outside": None, "lo": 0, "hi": 0},
    overflow_stats.OverflowCounts: {
        "values": 0, "saturated": 0, "wrapped": 0, "rounded": 0, "first": None, "headroom_bits": 63,
    },
    exact_functions.ExactFunction: {
        "decimal": None, "tail": None, "tail_on_the_right": True, "rising": True, "mirror": None,
        "positive_only": False, "elsewhere": "largest", "far": None,
    },
    deferred_product.DeferredProduct._in_float32: {"shift": 0, "quantizer": None, "fits": True},
    library.Source: {"kernel_rows": 1, "stride": (1, 1), "positions": None},
    library.Epilogue: {"relu": False, "shift": 0, "quantizer": None, "fits": False},
    library.Kernels.product: {"wide": 0},
    library.described_product: {"wide": 0},
    scan.Operations: {"row_bytes": 0},
    steps.fill_product: {"out_zero": 0},
}  # fmt: skip


@pytest.mark.parametrize("made", DEFAULTS, ids=lambda made: made.__qualname__)
def test_what_is_not_said_is_the_plainest(made: Any) -> None:
    parameters = inspect.signature(made).parameters
    assert {name: parameters[name].default for name in DEFAULTS[made]} == DEFAULTS[made]


def test_limits_are_those_of_the_words_that_hold_the_sums() -> None:
    int32 = np.iinfo(np.int32)
    assert library.SUM_LIMIT == matmul_blocked._INT32_EXACT == int32.max
    assert (library.MOST_SHIFT, library.MOST_WIDE_SHIFT) == (30, 62)
    assert library._FULL_WORD == 32
    assert library.LEVELS[library.FASTER_THAN_NUMPY] == "AVX2"


def test_a_format_says_itself_and_a_quantizers_name_is_a_label() -> None:
    assert repr(Q(4, 12)) == "Q(4, 12)"
    said = "Quantizer(Q(4, 12), Rounding.HALF_EVEN, Overflow.SATURATE, name='a')"
    assert repr(Quantizer(Q(4, 12), name="a")) == said
    assert Quantizer(Q(4, 12), name="a") == Quantizer(Q(4, 12), name="b")


def test_functions_know_where_they_rise_and_what_they_mirror() -> None:
    """A table's certificate and its search for a value's interval rest on it."""
    of = exact_functions.EXACT_FUNCTIONS
    assert {name: f.rising for name, f in of.items() if f.rising is not True} == {
        "reciprocal": False, "gelu": None, "inverse": None, "rsqrt": False,
    }  # fmt: skip
    assert {name: f.mirror for name, f in of.items() if f.mirror is not None} == {
        "sigmoid": 1, "tanh": 0, "erf": 0,
    }  # fmt: skip
    assert {name for name, f in of.items() if f.positive_only} == {"reciprocal", "log", "sqrt", "rsqrt"}
    assert {name for name, f in of.items() if not f.tail_on_the_right} == {"exp"}


@pytest.mark.parametrize("name", exact_functions.EXACT_FUNCTIONS)
def test_functions_rise_and_mirror_as_they_say(name: str) -> None:
    f = exact_functions.EXACT_FUNCTIONS[name]
    x = np.linspace(0.125, 4, 32)
    values = np.asarray(f.estimate(x), np.float64)
    if f.rising is not None:
        steps_up = np.diff(values)
        assert (steps_up >= 0).all() if f.rising else (steps_up < 0).all()
    if f.mirror is not None:
        assert np.allclose(values + np.asarray(f.estimate(-x)), f.mirror)
