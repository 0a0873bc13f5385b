# SPDX-License-Identifier: MIT
"""Memory is lent again only when no array refers to it, and training in it gives the same weights."""

from __future__ import annotations

import gc
import threading
from contextlib import nullcontext

import numpy as np
import pytest

from fixedpoint_nn import Tensor
from fixedpoint_nn.layers import Flatten, MaxPool2D, ReLU, Sequential
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numbers import reused_memory
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training import SGD, cross_entropy

LARGE = reused_memory.SMALLEST_BYTES // 4


def place(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def test_a_block_is_lent_again_when_the_last_view_of_it_is_gone() -> None:
    with reused_memory.reused_memory():
        first = reused_memory.empty((2, LARGE), np.float32)
        at, view = place(first), first.reshape(-1)[3:].reshape(1, -1)
        del first
        second = reused_memory.empty((LARGE, 2), np.float32)
        assert place(second) != at
        del view
        third = reused_memory.empty((LARGE,), np.float64)
        assert place(third) == at and third.shape == (LARGE,) and third.dtype == np.float64
        fourth = reused_memory.empty((2, LARGE), np.float32)
        assert place(fourth) not in (at, place(second))


def test_small_arrays_and_those_outside_of_the_context_are_ordinary() -> None:
    with reused_memory.reused_memory():
        assert reused_memory.empty((LARGE,), np.float32).base is not None
        assert reused_memory.empty((LARGE - 1,), np.float32).base is None
        with reused_memory.reused_memory():
            pass
        assert reused_memory.empty((LARGE,), np.float32).base is not None
    assert reused_memory.empty((LARGE,), np.float32).base is None


def test_another_thread_has_no_part_in_it() -> None:
    with reused_memory.reused_memory():
        found: list[Array] = []
        other = threading.Thread(target=lambda: found.append(reused_memory.empty((LARGE,), np.float32)))
        other.start()
        other.join()
        assert found[0].base is None


def test_what_a_step_did_not_need_is_given_back() -> None:
    with reused_memory.reused_memory():
        pool = reused_memory._thread.pool
        assert pool is not None
        kept = [reused_memory.empty((LARGE,), np.float32) for _ in range(3)]
        gone = reused_memory.empty((LARGE + 1,), np.float32)
        reused_memory.after_a_step()
        assert {size: len(blocks) for size, blocks in pool.blocks.items()} == {4 * LARGE: 3, 4 * LARGE + 4: 1}
        del kept, gone
        reused_memory.empty((LARGE,), np.float32)
        reused_memory.after_a_step()
        assert {size: len(blocks) for size, blocks in pool.blocks.items()} == {4 * LARGE: 1}
    reused_memory.after_a_step()


def test_arrays_that_are_not_alike_are_computed_as_ever() -> None:
    with reused_memory.reused_memory():
        a, b = np.full((2, LARGE), 3, np.float32), np.full((2, LARGE), 4, np.float32)
        assert np.array_equal(reused_memory.computed(np.add, a, b), np.full((2, LARGE), 7))
        assert reused_memory.computed(np.add, a, b).base is not None
        for other in (b[:1], b.astype(np.float64)):
            result = reused_memory.computed(np.multiply, a, other)
            assert result.base is None and result.dtype == np.result_type(a, other) and (result == 12).all()


def nets() -> dict[str, Sequential]:
    init = Initialiser(0)
    images = Sequential(
        conv1=init.conv(1, 8, 3, 2), norm=init.batch_norm(8), relu1=ReLU(), pool=MaxPool2D(),
        conv2=init.conv(8, 16, 3), relu2=ReLU(), flatten=Flatten(), head=init.dense(16 * 49, 5),
    )  # fmt: skip
    return {"images": images, "steps": Sequential(cells=init.lstm(28, 40, last=True), head=init.dense(40, 5))}


@pytest.mark.parametrize("name", ["images", "steps"])
def test_a_step_leaves_no_memory_behind_and_trains_the_same_weights(name: str) -> None:
    rng = np.random.default_rng(0)
    shape = (40, 28, 28, 1) if name == "images" else (40, 28, 28)
    x, y = rng.standard_normal(shape, np.float32), rng.integers(0, 5, 40)
    trained = []
    for reuse in (False, True):
        net = nets()[name]
        moving, active, optimiser = tree.parameters(net), tree.training_mode(net, rng), SGD(0.1)
        context = reused_memory.reused_memory() if reuse else nullcontext()
        gc.disable()
        try:
            with context:
                for _ in range(3):
                    loss = cross_entropy(active(Tensor(x, needs_gradient=False)), y)
                    loss.backward()
                    optimiser.step(moving)
                    del loss
                pool = reused_memory._thread.pool
                if pool is not None:
                    before = {size: len(blocks) for size, blocks in pool.blocks.items()}
                    free = [pool.lend(size) for size, count in before.items() for _ in range(count)]
                    assert free and {size: len(blocks) for size, blocks in pool.blocks.items()} == before
        finally:
            gc.enable()
        trained.append({path: p.data.copy() for path, p in tree.parameters(net, trained_only=False).items()})
    assert all(np.array_equal(trained[0][path], trained[1][path]) for path in trained[0])
