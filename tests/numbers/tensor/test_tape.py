# SPDX-License-Identifier: MIT
"""What the tape records, in which order it is walked, and what it keeps."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

from fixedpoint_nn import Tensor
from fixedpoint_nn.numbers.tensor.tape import is_recording, next_rank, no_gradient


def test_without_a_gradient_nothing_is_remembered() -> None:
    a = Tensor(np.ones((2, 2)))
    with no_gradient():
        result = (a @ a).relu()
    assert result.parents == ()


def test_the_tape_is_freed_without_the_garbage_collector() -> None:
    class Marked(Tensor):
        __slots__ = ("__weakref__",)

    gc.disable()
    try:
        middle = Marked(np.ones(3))
        watch = weakref.ref(middle)
        result = (middle * 2).tanh().sum()
        result.backward()
        del middle, result
        assert watch() is None
    finally:
        gc.enable()


def test_recording_goes_on_after_the_block_and_after_an_error_in_it() -> None:
    with no_gradient():
        with no_gradient():
            assert not is_recording()
        assert not is_recording()
    assert is_recording()
    with pytest.raises(KeyError), no_gradient():
        raise KeyError
    assert is_recording()


def test_a_thread_that_evaluates_does_not_stop_the_recording_of_another() -> None:
    seen: list[bool] = []
    with no_gradient():
        thread = threading.Thread(target=lambda: seen.append(is_recording()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_ranks_rise() -> None:
    assert next_rank() < next_rank()


def test_results_on_the_way_keep_their_gradients_only_if_asked() -> None:
    for keep in (False, True):
        leaf = Tensor(2.0)
        middle = leaf * 3
        end = middle * middle
        end.backward(keep=keep)
        assert leaf.grad is not None and leaf.grad == 36
        assert end.grad is not None and end.grad == 1
        assert (middle.grad is not None) == keep
        if keep:
            assert middle.grad == 12


def test_a_long_chain_is_walked_without_recursion() -> None:
    leaf = Tensor(1.0)
    end = leaf
    for _ in range(5000):
        end = end + 1
    end.backward()
    assert leaf.grad == 1
