# SPDX-License-Identifier: MIT
"""Subnormal floats are found and flushed; everything else keeps its bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import Tensor, layers, zoo
from fixedpoint_nn.network import serialization, tree
from fixedpoint_nn.numerics.subnormals import (
    count_subnormals,
    flush_negligible,
    flush_subnormals,
    flushed,
    negligible,
)
from fixedpoint_nn.training import SGD, Adam
from fixedpoint_nn.training.optimisers import FLUSH_INTERVAL, AdamW


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_subnormals_are_what_lies_between_zero_and_the_smallest_normal_number(dtype: type) -> None:
    tiny = np.finfo(dtype).tiny
    values = np.array(
        [0, tiny, -tiny, np.nextafter(tiny, dtype(0)), -tiny / 4, np.finfo(dtype).smallest_subnormal], dtype
    )
    assert count_subnormals(values) == 3
    flush_subnormals(values)
    assert np.array_equal(values, np.array([0, tiny, -tiny, 0, 0, 0], dtype))
    assert count_subnormals(np.arange(3)) == 0


def test_negligible_floats_become_zero_and_all_others_keep_their_bits() -> None:
    limit = np.float32(negligible(np.dtype(np.float32)))
    assert 1e-30 < limit < 2e-30
    values = np.array(
        [1, -1e-20, limit, -limit, np.nextafter(limit, np.float32(0)), -1e-35, 1e-40], np.float32
    )
    copy = flushed(values)
    assert np.array_equal(copy, np.array([1, -1e-20, limit, -limit, 0, 0, 0], np.float32))
    assert count_subnormals(values) == 1, "the argument is left alone"
    flush_negligible(values)
    assert np.array_equal(values, copy)


def test_an_array_without_negligible_floats_is_not_copied() -> None:
    for values in (np.array([0, 1, -2], np.float32), np.arange(3)):
        assert flushed(values) is values


def test_a_saved_network_holds_no_subnormal(tmp_path: Path) -> None:
    weight = np.array([[1e-40, 0.5], [-1e-33, -2.0]], np.float32)
    net = layers.Dense(Tensor(weight.copy()), Tensor(np.zeros(2, np.float32)))
    serialization.save(net, tmp_path / "net.safetensors")
    loaded = serialization.load(tmp_path / "net.safetensors")
    assert np.array_equal(loaded.weight.data, np.array([[0, 0.5], [0, -2]], np.float32))
    assert np.array_equal(net.weight.data, weight), "saving does not change the network"


@pytest.mark.parametrize(
    "make", [lambda: SGD(0.1, l2=0.5), lambda: Adam(1e-3, l2=0.5), lambda: AdamW(0.1, decay=0.5)]
)
def test_weights_that_only_decay_end_at_zero_and_no_moment_is_subnormal(make) -> None:
    w = Tensor(np.full((2, 2), 1e-29, np.float32))
    optimiser = make()
    for _ in range(4 * FLUSH_INTERVAL):
        w.grad = np.zeros((2, 2), np.float32)
        optimiser.step({"w": w})
    assert (w.data == 0).all() or np.abs(w.data).min() >= negligible(w.data.dtype)
    assert all(
        count_subnormals(moment) == 0 for state in optimiser.state.values() for moment in state.values()
    )
    if not isinstance(optimiser, Adam) or isinstance(optimiser, AdamW):
        assert (w.data == 0).all()


def test_without_decay_no_weight_is_touched() -> None:
    w = Tensor(np.full((2, 2), 1e-35, np.float32))
    optimiser = SGD(0.1)
    for _ in range(FLUSH_INTERVAL):
        w.grad = np.zeros((2, 2), np.float32)
        optimiser.step({"w": w})
    assert (w.data == np.float32(1e-35)).all()


@pytest.mark.parametrize("name", [name for name in zoo.names() if name != "resnet50"])
def test_no_shipped_weight_is_subnormal(name: str) -> None:
    parameters = tree.parameters(zoo.load(name), trained_only=False)
    assert {path: count for path, p in parameters.items() if (count := count_subnormals(p.data))} == {}
