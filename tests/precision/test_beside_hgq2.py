# SPDX-License-Identifier: MIT
"""What HGQ2 is told of a network is that network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.precision_hgq import described, lines, row
from fixedpoint_nn import Tensor, layers, zoo
from fixedpoint_nn.network.on_arrays import as_input


def as_told(kind: str, weight: Any, bias: Any) -> Any:
    """The layer that Keras would build."""
    if kind == "conv":
        return layers.Conv2D(
            Tensor(weight.reshape(-1, weight.shape[-1])), Tensor(bias), kernel=weight.shape[:2]
        )
    if kind == "dense":
        return layers.Dense(Tensor(weight), Tensor(bias))
    reciprocal = Tensor(np.float32(0.25))
    others = {"relu": layers.ReLU(), "flatten": layers.Flatten(), "max": layers.MaxPool2D()}
    return others.get(kind) or layers.AvgPool2D(reciprocal)


@pytest.mark.parametrize("name", ["fashion_mlp", "lenet"])
def test_the_layers_that_hgq2_is_told_compute_what_the_network_does(name: str) -> None:
    net = zoo.build(name, seed=3)
    x = np.random.default_rng(0).random((2, 28, 28, 1)).astype(np.float32)
    y = as_input(x)
    for kind, weight, bias in described(net):
        y = as_told(kind, weight, bias)(y)
    assert np.array_equal(y.data, net(as_input(x)).data)


def test_a_network_that_hgq2_is_not_told_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^conv \(Conv2D\) is no layer that both train$"):
        list(described(zoo.build("resnet8", seed=0)))


def test_both_fronts_are_printed_with_their_hypervolumes() -> None:
    ours, theirs = row([(1e6, 5.0), (2e6, 7.0)], 10.0, 4e6), row([], 12.0, 4e6)
    assert ours["front"] == [(1e6, 5.0)]
    assert lines({"network": "lenet", "ours": ours, "HGQ2": theirs}) == [
        "lenet ours  hypervolume 0.600 (10 s of the processor)   1.00M:+5.00",
        "lenet HGQ2  hypervolume 0.000 (12 s of the processor)   ",
    ]
