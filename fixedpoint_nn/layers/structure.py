# SPDX-License-Identifier: MIT
"""Containers of layers, embeddings, dropout, and layers that only reshape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from fixedpoint_nn.layers.fields import INLINE, cast_point, constant, demand_numbers, parameter
from fixedpoint_nn.numbers.number import Number, TrainingNumber
from fixedpoint_nn.numbers.places import inside
from fixedpoint_nn.numerics.quantizer import Quantizer

Layer = Callable[..., Any]
_on_arrays: Callable[..., Any] | None = None


def answer_arrays_with(answer: Callable[..., Any]) -> None:
    """Set the function `answer(network, *arrays)` that a network calls when none of its arguments is a number.

    `network/on_arrays.py` registers it, so that this room need not know any number class.
    """
    global _on_arrays
    _on_arrays = answer


def answered(net: Any, given: Sequence[Any]) -> Any:
    """The result of that function if none of the arguments is a number, else None."""
    if _on_arrays is None or any(hasattr(x, "cast") for x in given):
        return None
    return _on_arrays(net, *given)


@dataclass(frozen=True)
class Parts:
    """Named layers that run one after the other; `net["fc1"]` is the layer of that name."""

    parts: Mapping[str, Layer] = field(metadata={INLINE: True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))
        for name, layer in self.parts.items():
            demand_layer(name, layer)

    def __getstate__(self) -> dict[str, Any]:
        """The fields with a plain dictionary of parts, so that networks can be copied and sent to other processes."""
        return {**self.__dict__, "parts": dict(self.parts)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "parts": MappingProxyType(state["parts"])})

    def __call__(self, x: Number) -> Any:
        answer = answered(self, (x,))
        if answer is not None:
            return answer
        for name, layer in self.parts.items():
            with inside(name):
                x = layer(x)
        return x

    def __getitem__(self, name: str) -> Layer:
        if name not in self.parts:
            raise KeyError(f"there is no part {name!r}; there are {', '.join(self.parts)}")
        return self.parts[name]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.parts.values())

    def __len__(self) -> int:
        return len(self.parts)


def demand_layer(name: str, layer: Any) -> None:
    """Raise TypeError unless `layer` is a layer: an instance of a dataclass that can be called."""
    if isinstance(layer, type):
        raise TypeError(f"the part {name!r} is the class {layer.__name__}; write {layer.__name__}()")
    if not (is_dataclass(layer) and callable(layer)):
        raise TypeError(
            f"the part {name!r} is {_kind(layer)}, which is no layer; make its class a frozen dataclass with a "
            "__call__, whose fields are its parameters"
        )


def _kind(thing: Any) -> str:
    return f"the function {thing.__name__}" if hasattr(thing, "__name__") else f"a {type(thing).__name__}"


class Sequential(Parts):
    """Layers one after the other: by name, in order (named "0", "1", ...), as a list or as a dictionary.

    >>> from fixedpoint_nn import layers
    >>> from fixedpoint_nn.network.initialise import Initialiser
    >>> init = Initialiser(seed=0)
    >>> net = layers.Sequential(fc1=init.dense(784, 32), relu=layers.ReLU(), fc2=init.dense(32, 10))
    >>> net["fc1"].weight.shape
    (784, 32)
    """

    def __init__(
        self,
        *layers: Layer | Sequence[Layer] | Mapping[str, Layer],
        parts: Mapping[str, Layer] | None = None,
        **named: Layer,
    ) -> None:
        if (bool(layers) + bool(named) + (parts is not None)) > 1:
            raise TypeError("Sequential takes layers in order, or layers by name, not both")
        super().__init__(parts or named or _numbered(layers))


def _numbered(layers: tuple[Any, ...]) -> Mapping[str, Layer]:
    """Layers by name, from several layers, or from one list or dictionary of layers."""
    if len(layers) == 1 and isinstance(layers[0], Mapping):
        return layers[0]
    if len(layers) == 1 and isinstance(layers[0], list | tuple):
        layers = tuple(layers[0])
    return {str(i): layer for i, layer in enumerate(layers)}


@dataclass(frozen=True)
class Residual:
    """body(x) + shortcut(x), rounded once; without a shortcut, body(x) + x."""

    body: Layer
    shortcut: Layer | None = None
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        return (self.body(x) + (x if self.shortcut is None else self.shortcut(x))).cast(self.out)


@dataclass(frozen=True)
class Flatten:
    """(batch, ...) -> (batch, features)."""

    def __call__(self, x: Number) -> Any:
        return x.reshape(-1, prod(x.shape[1:]))


@dataclass(frozen=True)
class Reshape:
    """(batch, ...) -> (batch, *shape): the same elements in another shape."""

    shape: tuple[int, ...]

    def __call__(self, x: Number) -> Any:
        return x.reshape(-1, *self.shape)


@dataclass(frozen=True)
class Embedding:
    """Row lookup: token ids (...) -> (..., size), from weight (symbols, size)."""

    weight: Number = parameter()

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, ids: Any) -> Any:
        return self.weight.take(ids, axis=0)


@dataclass(frozen=True)
class OneHot(Embedding):
    """An embedding whose weight is the identity matrix and is not trained: ids (...) -> (..., symbols)."""

    weight: Number = constant()


@dataclass(frozen=True)
class Dropout:
    """In training (`training_mode` sets `rng`) each value is set to zero with probability `rate`; else the identity."""

    rate: float = 0.5
    rng: np.random.Generator | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ValueError(f"Dropout(rate={self.rate}) is not a probability below 1")

    def __call__(self, x: TrainingNumber) -> Any:
        return x if self.rng is None else x.dropped(self.rate, self.rng)
