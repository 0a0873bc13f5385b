# SPDX-License-Identifier: MIT
"""`FixedArray.scan` by a plan: the step is traced once per layer, then executed without a call per verb.

Only steps of layers are planned, because a layer's formula is the same at every time; any other function may have side
effects, and runs verb by verb.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from types import MethodType
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.loops.native_loop import NativeLoop, native_loop
from fixedpoint_nn.numbers.loops.numpy_loop import NumpyLoop
from fixedpoint_nn.numbers.loops.plan import LoopPlan
from fixedpoint_nn.numbers.loops.planner import plan_of
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.remembered import Remembered
from fixedpoint_nn.numbers.traced.traced import Traced
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT32_EXACT, FLOAT64, BoundedInts, CompactInts
from fixedpoint_nn.numerics.native.library import chosen

Step = Callable[..., Any]


@dataclass(frozen=True)
class _Loops:
    """A plan with its executors, which are made on first use."""

    plan: LoopPlan
    by_numpy: NumpyLoop
    by_kernels: dict[str, NativeLoop | None]

    def loop(self) -> NumpyLoop | NativeLoop:
        """The compiled executor, if the kernels are in use and support the plan; else NumPy's."""
        kernels = chosen().kernels
        if kernels is None:
            return self.by_numpy
        if kernels.name not in self.by_kernels:
            self.by_kernels[kernels.name] = native_loop(self.plan, kernels)
        return self.by_kernels[kernels.name] or self.by_numpy


_known: Remembered[_Loops | None] = Remembered()


def _loops(
    layer: Any, x: FixedArray, step: Step, states: Sequence[FixedArray], each: Step | None
) -> _Loops | None:
    """The cached executors of this layer's step for these formats and shapes; None without a plan."""
    key = (
        step.__name__,
        each.__name__ if each is not None else "",
        x.shape[2],
        x.format,
        *((state.shape[1], state.format) for state in states),
    )
    plans = _known.of(layer)
    if plans is None:
        return None
    if key not in plans:
        plans[key] = _planned(x, step, states, each)
    return plans[key]


def _planned(x: FixedArray, step: Step, states: Sequence[FixedArray], each: Step | None) -> _Loops | None:
    body = Program()
    now = Traced.argument(body, (1, x.shape[2]), x.format)
    inside = [Traced.argument(body, (1, state.shape[1]), state.format) for state in states]
    try:
        y, *after = step(now if each is None else each(now), *inside)
    except (TypeError, ValueError):  # running verb by verb raises the right error
        return None
    formats = [(state.shape[1], state.format) for state in states]
    traced = all(isinstance(value, Traced) for value in (y, *after))
    if not traced or [(value.shape[-1], value.format) for value in after] != formats:
        return None
    body.outputs = [y.place, *(value.place for value in after)]
    plan = plan_of(body)
    if plan is None:
        return None
    dtype = FLOAT32 if max(plan.bound, plan.sum_bound) <= FLOAT32_EXACT else FLOAT64
    return _Loops(plan, NumpyLoop(plan, dtype), {})


def fused_scan(
    x: FixedArray, step: Step, states: Sequence[FixedArray], each: Step | None
) -> tuple[FixedArray, ...] | None:
    """(outputs of all steps, *final states), or None without a plan."""
    if overflow_stats.active() is not None or x.ndim != 3 or not isinstance(step, MethodType):
        return None
    layer = step.__self__
    if not is_dataclass(layer) or (each is not None and getattr(each, "__self__", None) is not layer):
        return None
    if any(not isinstance(state, FixedArray) or state.ndim != 2 for state in states):
        return None
    loops = _loops(layer, x, step, states, each)
    if loops is None:
        return None
    batch = x.shape[0]
    if any(state.shape[0] not in (1, batch) for state in states):
        return None
    starts = [np.broadcast_to(state._bounded.array, (batch, state.shape[1])) for state in states]
    ys, finals = loops.loop().run(x._bounded, starts)
    y = loops.plan.y
    kind = BoundedInts if ys.dtype.kind == "f" else CompactInts
    results = [FixedArray._of(kind(ys, y.bound, y.signed), y.format)]
    for array, state in zip(finals, states, strict=True):
        format = state.format
        results.append(FixedArray._of(BoundedInts(array, format.magnitude, format.signed), format))
    return tuple(results)
