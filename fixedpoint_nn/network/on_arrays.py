# SPDX-License-Identifier: MIT
"""Float networks on NumPy arrays: `net(x)` returns an array; arguments that are no samples raise."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.layers import Embedding
from fixedpoint_nn.layers.structure import Parts, answer_arrays_with
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import is_layer, parameters
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array


def as_input(x: Array) -> Tensor:
    """Samples as a `Tensor` without a gradient; token ids become whole floats, as `Embedding` takes them."""
    return Tensor(x, needs_gradient=False)


def on_arrays(net: Any, *xs: Any) -> Any:
    """The float network's outputs for one array of samples per input, computed without a tape."""
    for x in xs:
        if not isinstance(x, np.ndarray):
            raise TypeError(
                f"a network takes an array with one row for each sample, not a {type(x).__name__}; "
                "write np.asarray(x, np.float32)"
            )
    if any(not isinstance(value, Tensor) for value in parameters(net, trained_only=False).values()):
        raise TypeError(
            "the layers of a quantised network take integers; call the Quantized that holds them, which takes floats"
        )
    for x in xs:
        demand_samples(net, x)
    with no_gradient():
        outputs = net(*map(as_input, xs))
    return tuple(y.to_float() for y in outputs) if isinstance(outputs, tuple) else outputs.to_float()


def demand_samples(net: Any, x: Array) -> None:
    """Raise for samples of a wrong type, and for pixels from 0 to 255 that were not scaled."""
    if x.ndim == 0 or x.dtype.kind not in "iuf":
        raise ValueError(f"a network takes a batch of numbers, not {x.dtype} of shape {x.shape}")
    if x.dtype == np.uint8 and not takes_ids(net):
        raise ValueError(
            f"a network takes the samples that it was trained with, and this is uint8 of shape {x.shape}; scale it "
            "in the same way, such as x.astype(np.float32) / 255"
        )


def takes_ids(net: Any) -> bool:
    """Whether the first layer is an embedding, so that the input is token ids."""
    while isinstance(net, Parts) and len(net):
        net = next(iter(net))
    return isinstance(net, Embedding)


def demand_network(net: Any) -> None:
    """Raise TypeError unless `net` is a float network made of layers."""
    if isinstance(net, Quantized):
        raise TypeError("the network is quantised already; give the float network that it was made from")
    if isinstance(net, type):
        raise TypeError(
            f"{net.__name__} is a class, and a network is an object of one; write {net.__name__}(...)"
        )
    if not is_layer(net):
        raise TypeError(
            f"a {type(net).__name__} is no network; build one of layers, such as Sequential(fc1=..., relu=ReLU()), "
            "or make its class a frozen dataclass whose fields are its layers"
        )


answer_arrays_with(on_arrays)
