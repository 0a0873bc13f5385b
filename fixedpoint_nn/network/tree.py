# SPDX-License-Identifier: MIT
"""A network as a tree of layers; a path such as `lstm.cells.0.sigmoid.table` names each of its leaves.

Plans, files, statistics and listings use these paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar

import numpy as np

from fixedpoint_nn.layers.fields import INLINE, PARAMETER
from fixedpoint_nn.layers.normalization import BatchNorm
from fixedpoint_nn.layers.structure import Dropout

Net = TypeVar("Net")


@dataclass(frozen=True)
class TreeLeaf:
    """One field of one layer: a parameter, a cast point, a table point or an accumulator point.

    Of a table point `function` is the function's name, and `address` the path of the cast point of its input.
    """

    path: str
    kind: str
    value: Any
    trained: bool = True
    function: str = ""
    address: str = ""


def is_layer(value: object) -> bool:
    """Whether the value is a layer: an instance of a dataclass that can be called."""
    return is_dataclass(value) and not isinstance(value, type) and callable(value)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _children(layer: Any, field: Field[Any], prefix: str) -> dict[str, Any]:
    """The layers in one field of a layer, by path."""
    value = getattr(layer, field.name)
    base = prefix if field.metadata.get(INLINE) else _join(prefix, field.name)
    if isinstance(value, Mapping):
        return {_join(base, key): child for key, child in value.items()}
    if isinstance(value, tuple) and value and all(is_layer(child) for child in value):
        return {_join(base, str(index)): child for index, child in enumerate(value)}
    return {base: value} if is_layer(value) else {}


def every_layer(net: Any) -> Iterator[Any]:
    """The network and all layers inside it."""
    yield net
    for field in fields(net):
        for child in _children(net, field, "").values():
            yield from every_layer(child)


def layers_by_path(net: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, layer) of the network and all layers inside it, in their order."""
    yield prefix, net
    for field in fields(net):
        for path, child in _children(net, field, prefix).items():
            yield from layers_by_path(child, path)


def walk(net: Any, prefix: str = "") -> Iterator[TreeLeaf]:
    """Every leaf of the network, in the order of its layers."""
    for field in fields(net):
        children = _children(net, field, prefix)
        for path, child in children.items():
            yield from walk(child, path)
        kind = field.metadata.get("kind")
        if kind and not children:
            about = field.metadata
            address = _join(prefix, about["address"]) if "address" in about else ""
            yield TreeLeaf(
                _join(prefix, field.name),
                kind,
                getattr(net, field.name),
                about.get("trained", True),
                about.get("function", ""),
                address,
            )


def parameters(net: Any, trained_only: bool = True) -> dict[str, Any]:
    """The numbers of the network by path: the trained ones, or with `trained_only=False` also the constants."""
    return {
        leaf.path: leaf.value
        for leaf in walk(net)
        if leaf.kind == PARAMETER and leaf.value is not None and (leaf.trained or not trained_only)
    }


def rebuild(net: Net, values: Mapping[str, Any]) -> Net:
    """The network with the leaves at these paths replaced; an unknown path raises KeyError."""
    known = [leaf.path for leaf in walk(net)]
    for path in values:
        if path not in known:
            near = get_close_matches(path, known, 1)
            raise KeyError(
                f"{path!r} names nothing in this network" + (f"; did you mean {near[0]!r}?" if near else "")
            )
    return _rebuild(net, values, "")  # type: ignore[no-any-return]


def _rebuild(net: Any, values: Mapping[str, Any], prefix: str) -> Any:
    """The network with these values in place of its own, by path."""
    changed: dict[str, Any] = {}
    for field in fields(net):
        children = _children(net, field, prefix)
        if children:
            new = [_rebuild(child, values, path) for path, child in children.items()]
            old = getattr(net, field.name)
            if isinstance(old, Mapping):
                changed[field.name] = dict(zip(old, new, strict=True))
            else:
                changed[field.name] = tuple(new) if isinstance(old, tuple) else new[0]
        elif field.metadata.get("kind") and _join(prefix, field.name) in values:
            changed[field.name] = values[_join(prefix, field.name)]
    return replace(net, **changed) if changed else net


def transform(net: Any, change: Callable[[Any], Any]) -> Any:
    """The network with `change` applied to every layer, children first."""
    changed: dict[str, Any] = {}
    for field in fields(net):
        children = _children(net, field, "")
        if children:
            new = [transform(child, change) for child in children.values()]
            old = getattr(net, field.name)
            if isinstance(old, Mapping):
                changed[field.name] = dict(zip(old, new, strict=True))
            else:
                changed[field.name] = tuple(new) if isinstance(old, tuple) else new[0]
    return change(replace(net, **changed) if changed else net)


def training_mode(net: Net, rng: np.random.Generator) -> Net:
    """The network in training mode, with the same parameters: dropout uses `rng`, batch normalisation each batch.

    Any other layer that differs in training has a method `in_training(rng)` that returns its training version.
    """

    def change(layer: Any) -> Any:
        if isinstance(layer, Dropout):
            return replace(layer, rng=rng)
        if hasattr(layer, "in_training"):
            return layer.in_training(rng)
        return replace(layer, training=True) if isinstance(layer, BatchNorm) else layer

    return transform(net, change)  # type: ignore[no-any-return]
