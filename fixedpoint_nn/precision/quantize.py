# SPDX-License-Identifier: MIT
"""Quantising: a float network and a plan give the bit-accurate network."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from fixedpoint_nn.layers.fields import ACCUMULATOR, PARAMETER, TABLE
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.on_arrays import demand_network
from fixedpoint_nn.network.quantized import ROWS, Quantized
from fixedpoint_nn.network.tree import TreeLeaf, every_layer, parameters, rebuild, walk
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.numerics.table import Table
from fixedpoint_nn.precision.plan import INPUT, Plan, PlanEntry, PlanError, input_paths
from fixedpoint_nn.precision.plan_weights import array_of_text, text_of_array

MOST_ADDRESS_BITS = 16
IMAGES = 64  # samples at a time for a network with windows


def quantize(net: Any, plan: Plan) -> Quantized:
    """The fixed-point network: `net` with batch normalisation folded, and every parameter and cast by the plan.

    Raises PlanError if the plan does not fit the network.

    >>> from fixedpoint_nn import calibrate, quantize, zoo
    >>> net, x = zoo.load("moons"), zoo.samples("moons", 200)
    >>> fixed = quantize(net, calibrate(net, x, word=8))
    >>> fixed(x[:2]).ints.shape
    (2, 1)
    """
    demand_network(net)
    net = with_weights(fold(net), plan)
    leaves = {leaf.path: leaf for leaf in walk(net)}
    paths = input_paths(net)
    check(leaves, plan, paths)
    source, *further = (entry for path in paths if isinstance(entry := plan[path], Quantizer))
    values = {
        path: leaf_value(leaf, plan)
        for path, leaf in leaves.items()
        if path in plan or leaf.kind == ACCUMULATOR
    }
    windows = any(hasattr(layer, "kernel") for layer in every_layer(net))
    rows = IMAGES if windows else ROWS
    return Quantized(rebuild(net, values), source, rows, tuple(further), plan.sample_shape)


def with_weights(net: Any, plan: Plan) -> Any:
    """The folded network, with the weights that the plan carries instead of its own."""
    if not plan.weights:
        return net
    own = parameters(net, trained_only=False)
    given = {path: array_of_text(text) for path, text in plan.weights.items()}
    for path, values in given.items():
        if path not in own or own[path].shape != values.shape:
            shape = own[path].shape if path in own else "no such parameter"
            raise PlanError(
                f"the plan carries weights for {path!r} of shape {values.shape}, and the network has {shape}; "
                "calibrate the network again"
            )
    return rebuild(net, {path: Tensor(values) for path, values in given.items()})


def carrying(net: Any, plan: Plan) -> Plan:
    """The plan with the network's rounded weights in it: networks of this tree then quantise to equal integers."""
    weights = {}
    for path, value in parameters(with_weights(fold(net), plan), trained_only=False).items():
        entry = plan.get(path)
        if isinstance(entry, Quantizer | ChannelQuantizer):
            weights[path] = text_of_array(entry.round_floats(value.data))
    return replace(plan, weights=weights)


def leaf_value(leaf: TreeLeaf, plan: Plan) -> Any:
    """The fixed-point network's value of this leaf: a FixedArray, a table, a quantizer or an accumulator."""
    entry = plan.get(leaf.path)
    if leaf.kind == PARAMETER:
        return None if leaf.value is None else FixedArray.from_float(leaf.value.data, _quantizer(entry))
    return point_table(leaf, plan) if leaf.kind == TABLE else entry


def _quantizer(entry: PlanEntry) -> Quantizer | ChannelQuantizer:
    assert isinstance(entry, Quantizer | ChannelQuantizer)
    return entry


def point_table(leaf: TreeLeaf, plan: Plan) -> Table:
    """The table of a table point; its input format is that of its address's cast point."""
    output, address = plan[leaf.path], plan[leaf.address]
    assert isinstance(output, Quantizer)
    assert isinstance(address, Quantizer)
    return Table(leaf.function, address.format, output)


def check(leaves: dict[str, TreeLeaf], plan: Plan, inputs: tuple[str, ...] = (INPUT,)) -> None:
    """Raise PlanError unless the plan has an entry of the right kind for every place, and no others."""
    needed = [*inputs] + [path for path, leaf in leaves.items() if _needs_an_entry(leaf)]
    missing = [path for path in needed if path not in plan]
    if missing:
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise PlanError(
            f"the plan has no entry for {missing[0]!r}{others}; calibrate the network again or add it"
        )
    known = [*inputs, *leaves]
    for path in plan:
        if path not in known or (
            path in leaves and leaves[path].kind == PARAMETER and leaves[path].value is None
        ):
            near = get_close_matches(path, needed, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "; remove it"
            raise PlanError(f"the plan has an entry for {path!r}, which is no place of this network{hint}")
    for path, entry in plan.items():
        problem = _problem(path, entry, leaves, plan)
        if problem:
            raise PlanError(f"{path!r} of the plan is impossible: {problem}")


def _needs_an_entry(leaf: TreeLeaf) -> bool:
    return leaf.kind != ACCUMULATOR and not (leaf.kind == PARAMETER and leaf.value is None)


def _problem(path: str, entry: PlanEntry, leaves: dict[str, TreeLeaf], plan: Plan) -> str:
    """Why this entry is impossible at this place, as the end of a sentence; empty if it is possible."""
    leaf = leaves.get(path)
    kind = leaf.kind if leaf else INPUT
    if kind == ACCUMULATOR:
        return (
            ""
            if entry is None or isinstance(entry, Accumulator)
            else "an accumulator is written as an accumulator"
        )
    if isinstance(entry, Accumulator):
        return f"an accumulator stands where a quantizer is needed ({kind})"
    if entry is None:
        exact = f"null keeps every bit, and the {kind} needs a format"
        return exact if kind in (INPUT, PARAMETER, TABLE) else ""
    if kind == PARAMETER:
        assert leaf is not None
        return _channels(entry, leaf.value.shape)
    if isinstance(entry, ChannelQuantizer):
        return f"only parameters have a format for each channel, not the {kind}"
    if kind == TABLE:
        assert leaf is not None
        address = plan.format(leaf.address)
        if address is None:
            return f"its table is addressed by {leaf.address!r}, which needs a format"
        if address.bits > MOST_ADDRESS_BITS:
            return (
                f"{leaf.address!r} gives it {address.bits} address bits, "
                f"and a table has at most {MOST_ADDRESS_BITS}"
            )
    return ""


def _channels(entry: Quantizer | ChannelQuantizer, shape: tuple[int, ...]) -> str:
    if isinstance(entry, Quantizer) or (shape and shape[-1] == len(entry.shifts)):
        return ""
    return f"it has {len(entry.shifts)} channels, and the parameter's shape is {shape}"
