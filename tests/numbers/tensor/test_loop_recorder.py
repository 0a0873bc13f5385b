# SPDX-License-Identifier: MIT
"""Recorded operations run at every time step in their order, those element by element in chains."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numbers.tensor import loop_recorder
from fixedpoint_nn.numbers.tensor.loop_recorder import LoopRecorder


def test_operations_run_in_order_at_each_step_and_neighbours_are_one_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chains: list[int] = []

    class Counted(loop_recorder.ElementwiseChain):
        def __init__(self, steps: list, passing: set[int]) -> None:  # type: ignore[type-arg]
            chains.append(len(steps))
            super().__init__(steps, passing)

    monkeypatch.setattr(loop_recorder, "ElementwiseChain", Counted)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 4, 5), np.float32), rng.standard_normal((5, 5), np.float32)
    bias, out, product = rng.standard_normal(5, np.float32), np.zeros_like(x), np.zeros_like(x)
    seen: list[int] = []
    do = LoopRecorder()
    assert do(np.multiply, x, 0.5, out=out) is out
    do(np.add, out, bias, out=out)
    do(np.matmul, out, w, out=product)
    do(np.subtract, 1, product, out=product)
    do.call(seen.append)
    do(np.negative, product, out=product)
    do.run(range(3)[::-1])
    assert seen == [2, 1, 0] and chains == [2, 1, 1]
    wanted = np.stack([-(1 - (a * np.float32(0.5) + bias) @ w) for a in x])
    assert np.array_equal(product, wanted)


def test_an_array_passes_in_one_row_only_if_nothing_but_a_chain_writes_it() -> None:
    do = LoopRecorder()
    x, inner, other, out = np.ones((4, 2, 3, 5), np.float32)

    def by_steps(array: np.ndarray) -> None:
        do(np.add, x, 1, out=array)
        do(np.multiply, array, array, out=array)

    assert do.passing(inner, by_steps) is inner
    do(np.add, inner, x, out=out)
    do.passing(other, lambda array: do(np.tanh, x, out=array))
    do(np.add, other, out, out=out)
    assert do._passing == {id(inner)}
    do.run(range(2))
    assert np.array_equal(out, np.tanh(x) + 5 * x)
