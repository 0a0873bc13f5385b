# SPDX-License-Identifier: MIT
"""Execution of a network by a plan: it is traced once per shape of samples, then run without a call per verb.

Networks without a plan run verb by verb, and so do all while an `OverflowStats` counts more than totals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.networks.native_network import NativeNetwork, native_network
from fixedpoint_nn.numbers.networks.numpy_network import NumpyNetwork, numpy_network
from fixedpoint_nn.numbers.networks.plan import NetworkPlan
from fixedpoint_nn.numbers.networks.planner import plan_of
from fixedpoint_nn.numbers.threads import by_threads, rows_of_part, threads
from fixedpoint_nn.numbers.traced.remembered import Remembered
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, BoundedInts, CompactInts
from fixedpoint_nn.numerics.native.library import Kernels, chosen
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.overflow_stats import OverflowTotals
from fixedpoint_nn.numerics.quantizer import Quantizer

_CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
_MOST_FRACTION = 100  # bits by which floats are scaled: well within their exponents


@dataclass
class _Planned:
    """A plan with its executors, which are made on first use."""

    plan: NetworkPlan
    input: Quantizer
    by_kernels: dict[str, NativeNetwork | None] = field(default_factory=dict)

    @cached_property
    def by_numpy(self) -> NumpyNetwork | None:
        """NumPy's executor, if float32 holds the plan's sums."""
        return numpy_network(self.plan)

    def native(self, kernels: Kernels) -> NativeNetwork | None:
        """The executor of these kernels, if they support the plan."""
        if kernels.name not in self.by_kernels:
            self.by_kernels[kernels.name] = native_network(self.plan, kernels, self.input)
        return self.by_kernels[kernels.name]


_known: Remembered[_Planned | None] = Remembered()


def planned_result(
    net: Callable[..., Any], input: Quantizer, x: FixedArray | Array, rounded: Callable[[Any], FixedArray]
) -> FixedArray | None:
    """The network's result for a batch x, or None without a plan.

    x is a FixedArray in the input's format, or an array that `rounded` converts if the kernels do not.
    """
    stats = overflow_stats.active()
    if stats is not None and not isinstance(stats, OverflowTotals):
        return None
    kernels = chosen().kernels
    if kernels is None and stats is not None:  # NumPy's plans do not count
        return None
    planned = _planned(net, input, x.shape[1:])
    if planned is None:
        return None
    result: Array | None = None
    if kernels is None:
        if planned.by_numpy is None:
            return None
        result = planned.by_numpy.run(_words(x, rounded))
    else:
        native = planned.native(kernels)
        if native is None or (stats is not None and native.casts is None):
            return None
        if not isinstance(x, FixedArray) and _enters(x, input):
            result = _by_threads(native, x, True, stats)
        if (
            result is None
        ):  # integers, floats of another dtype, or a non-finite one, for which `rounded` raises
            result = _by_threads(native, _words(x, rounded), False, stats)
        assert result is not None
    plan = planned.plan
    return FixedArray._of(BoundedInts(result, max(-plan.low, plan.high), plan.low < 0), plan.format)


def _words(x: Any, rounded: Callable[[Any], FixedArray]) -> Array:
    """The samples' integers, in their words or in float32."""
    bounded = (x if isinstance(x, FixedArray) else rounded(x))._bounded
    return bounded.words if isinstance(bounded, CompactInts) else bounded.to(FLOAT32)


def _enters(x: Array, input: Quantizer) -> bool:
    """Whether the kernels can round these floats."""
    f = input.format
    return x.dtype == FLOAT32 and 0 <= f.frac_bits <= _MOST_FRACTION and input.overflow in _CLIPS


def _planned(net: Callable[..., Any], input: Quantizer, shape: tuple[int, ...]) -> _Planned | None:
    plans = _known.of(net)
    if plans is None:
        return None
    key = (shape, input)
    if key not in plans:
        plans[key] = _made(net, input, shape)
    return plans[key]


def _made(net: Callable[..., Any], input: Quantizer, shape: tuple[int, ...]) -> _Planned | None:
    try:
        with overflow_stats.none_open():
            program = trace(net, shape, input.format)
    except (TypeError, ValueError):  # running verb by verb raises the right error
        return None
    plan = plan_of(program)
    return None if plan is None else _Planned(plan, input)


# ---- threads ---------------------------------------------------------------------------------------------------------


def _by_threads(native: NativeNetwork, x: Array, floats: bool, totals: OverflowTotals | None) -> Array | None:
    """Run the samples in parts of whole blocks, shared among the threads."""
    count = threads() if totals is None else 1
    if count == 1:
        return native.run(x, floats, totals)
    rows = rows_of_part(len(x), count, native.block)
    parts = [x[start : start + rows] for start in range(0, len(x), rows)]
    results = by_threads(count, lambda part: native.run(part, floats), parts)
    return None if any(result is None for result in results) else np.concatenate(results)  # type: ignore[arg-type]
