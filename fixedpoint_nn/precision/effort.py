# SPDX-License-Identifier: MIT
"""`calibrate(effort="best")`: post-training quantisation that minimises output errors by least squares, without labels.

1. The binary points of activations are moved to minimise the error of the network's outputs.
2. Channels between layers are equalised if that lowers this error, with exact weights.
3. Layer by layer, weights are rounded to the integers that minimise the error of that layer's outputs, given the
inputs from the rounded layers before it; the bias corrects the mean.

The plan carries the resulting weights, and `quantize` uses them instead of the network's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.layers.fields import CAST, PARAMETER
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.network.tree import parameters, rebuild, walk
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.equalise import equalised
from fixedpoint_nn.precision.fake import fake_quantize
from fixedpoint_nn.precision.layer_inputs import input_moments
from fixedpoint_nn.precision.observe import Observations, observe
from fixedpoint_nn.precision.plan import INPUT, Plan
from fixedpoint_nn.precision.plan_weights import text_of_array
from fixedpoint_nn.precision.recipe import Recipe
from fixedpoint_nn.precision.rounding_by_layer import mean_shift, round_matrix

JUDGED = 256  # samples for the output error
BLOCK = 128
ONE_STEP = (-1, 1)  # of a binary point


def best_plan(net: Any, samples: Array, recipe: Recipe) -> Plan:
    """The plan, with its weights, for a float network of one input; samples (n, ...)."""
    exact = fold(net)
    recipe = replace(recipe, per_channel=True)
    plain = PlannedNetwork.of(exact, samples, recipe)
    judged = samples[:JUDGED]
    scaled = equalised(exact, judged, recipe.activations - (not recipe.unsigned))
    chosen = plain
    if scaled:
        other = PlannedNetwork.of(rebuild(exact, _tensors(scaled)), samples, recipe)
        wanted = _outputs(exact, judged)
        chosen = min(plain, other, key=lambda candidate: candidate.error(wanted, judged, candidate.plan))
    return chosen.rounded(samples)


def _tensors(values: Mapping[str, Array]) -> dict[str, Tensor]:
    return {path: Tensor(array) for path, array in values.items()}


def _outputs(net: Any, x: Array) -> Array:
    with no_gradient():
        parts = [net(as_input(x[i : i + BLOCK])).data for i in range(0, len(x), BLOCK)]
    return np.concatenate(parts)


class PlannedNetwork:
    """A folded float network, its observations, and its plan so far."""

    def __init__(self, net: Any, seen: Observations, plan: Plan) -> None:
        self.net, self.seen, self.plan = net, seen, plan

    @classmethod
    def of(cls, net: Any, samples: Array, recipe: Recipe) -> PlannedNetwork:
        """The plan of the "fast" effort, with its binary points moved."""
        seen = observe(net, samples)
        found = cls(net, seen, seen.plan(recipe))
        found.move_points(samples[:JUDGED])
        return found

    def error(self, wanted: Array, x: Array, plan: Plan) -> float:
        """The mean squared error of the outputs for x if values between layers are rounded, and weights are not."""
        return _distance(wanted, _outputs(replace(fake_quantize(self.net, plan), rounded=()), x))

    def move_points(self, x: Array) -> None:
        """Move the binary point of one place after the other while that lowers the output error; weights stay exact."""
        wanted = _outputs(self.net, x)
        least = self.error(wanted, x, self.plan)
        for path in self._points():
            for direction in ONE_STEP:
                while True:
                    entry = self.plan[path]
                    assert isinstance(entry, Quantizer)
                    f = entry.format
                    moved = QFormat(f.int_bits + direction, f.frac_bits - direction, f.signed)
                    plan = self.plan.changed({path: replace(entry, format=moved)})
                    now = self.error(wanted, x, plan)
                    if now >= least:
                        break
                    self.plan, least = plan, now
        self.plan = self.seen.with_biases(self.plan)

    def _points(self) -> Iterator[str]:
        """The places whose binary point can move: the input, and activations that are not table addresses."""
        addresses = {leaf.address for leaf in self.seen.leaves}
        if isinstance(self.plan.get(INPUT), Quantizer) and not self.seen.vocabulary:
            yield INPUT
        for leaf in self.seen.leaves:
            if (
                leaf.kind == CAST
                and leaf.path not in addresses
                and isinstance(self.plan[leaf.path], Quantizer)
            ):
                yield leaf.path

    def rounded(self, samples: Array) -> Plan:
        """The plan with every weight matrix rounded by least squares, in the order of the layers."""
        own = {path: Tensor(value.data.copy()) for path, value in parameters(self.net, False).items()}
        net, plan = rebuild(self.net, own), self.plan
        for leaf in walk(self.net):
            entry = plan.get(leaf.path)
            if not self._is_matrix(leaf) or not isinstance(entry, Quantizer | ChannelQuantizer):
                continue
            exact = leaf.value.data.astype(np.float64)
            moments = input_moments(self.net, fake_quantize(net, plan), net, leaf.path, samples)
            values, chosen = round_matrix(exact, entry, moments)
            weight, bias = own[leaf.path], own.get(f"{leaf.path.rpartition('.')[0]}.bias")
            weight.data[...] = values
            if bias is not None and leaf.path.endswith(".weight"):
                bias.data += mean_shift(exact, values, moments).astype(bias.data.dtype)
            plan = self.seen.with_biases(plan.changed({leaf.path: chosen}))
        return replace(plan, weights={path: text_of_array(value.data) for path, value in own.items()})

    def _is_matrix(self, leaf: Any) -> bool:
        return (
            leaf.kind == PARAMETER
            and leaf.value is not None
            and leaf.value.ndim == 2
            and self.seen.flow.is_matrix(leaf.path)
        )


def _distance(wanted: Array, found: Array) -> float:
    """The mean squared difference of outputs, each row without its mean, which softmax and argmax ignore."""
    difference = (found - wanted).astype(np.float64)
    difference -= difference.mean(-1, keepdims=True)
    return float(np.mean(difference**2))
