# SPDX-License-Identifier: MIT
"""A float network whose rounding is chosen by a training method, and the plan that follows from its learned steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from fixedpoint_nn.layers.fields import ACCUMULATOR, CAST, INLINE, PARAMETER, TABLE
from fixedpoint_nn.network.on_arrays import takes_ids
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import TreeLeaf, layers_by_path, parameters, rebuild, transform, walk
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.dataflow import OUTPUT
from fixedpoint_nn.precision.observe import Observations, observe
from fixedpoint_nn.precision.plan import INPUT, Plan, PlanEntry
from fixedpoint_nn.precision.quantize import check, point_table, quantize
from fixedpoint_nn.training.methods.method import Method, Place
from fixedpoint_nn.training.methods.rounder import Rounder
from fixedpoint_nn.training.schedules import Schedule

COUNTED = 0.5  # the share of a stage from which it is counted how often each step is in use
ANY_BIAS = 24  # bits before the point
SETTLED = 0.7  # the share of a stage after which steps are frozen


@dataclass(frozen=True)
class Learning:
    """The network in training: `learned` rounders have trained steps, the `rounded` quantizers do not."""

    net: Any = field(metadata={INLINE: True})
    input: Any
    learned: Mapping[str, Rounder]
    rounded: tuple[tuple[str, Quantizer | ChannelQuantizer], ...]
    biases: Biases | None = None

    def __call__(self, x: Any) -> Any:
        if not takes_ids(self.net):
            x = x.cast(self.input)
        weights = parameters(self.net, trained_only=False)
        rounders = [*self.learned.items(), *self.rounded, *(self.biases(self) if self.biases else ())]
        return rebuild(self.net, {path: weights[path].cast(q) for path, q in rounders})(x)

    def rounders(self) -> dict[str, Rounder]:
        """Every rounder with a learned step, by path."""
        found = dict(self.learned)
        if isinstance(self.input, Rounder):
            found[INPUT] = self.input
        return found | {path: cast for path, cast in _casts(self.net).items() if isinstance(cast, Rounder)}

    def entries(self) -> dict[str, PlanEntry]:
        """The current plan entry of every place with a learned step."""
        return {path: rounder.entry() for path, rounder in self.rounders().items()}

    def settling(self, schedule: Schedule) -> Schedule:
        """The schedule, which also freezes the steps near the end, so that the weights adapt to them."""
        rounders = list(self.rounders().values())

        def watched(passed: float) -> float:
            for rounder in rounders:
                rounder.exponent.needs_gradient = passed < SETTLED
                if passed >= SETTLED:
                    rounder.freeze()
                elif passed >= COUNTED:
                    rounder.count()
            return schedule(passed)

        return watched

    def settled(self) -> Any:
        """The float network whose weights an ordinary quantizer rounds as the rounders do (see `Rounder.settled`)."""
        weights = parameters(self.net, trained_only=False)
        own = {path: Tensor(r.settled(weights[path].data)) for path, r in self.learned.items()}
        return rebuild(_bare(self.net), own)


class Biases:
    """The rounding of biases, which are as fine as the sums that they join: it follows the learned steps.

    With few bits a sum's last bit is coarse, so a network that is trained without this rounding is not the one with it.
    """

    def __init__(self, plan: Plan, seen: Observations, paths: Iterable[str]) -> None:
        self.plan, self.seen, self.paths = plan, seen, tuple(paths)
        self.powers: list[float] = []
        self.found: dict[str, PlanEntry] = {}

    def __call__(self, network: Learning) -> Iterable[tuple[str, Any]]:
        """(path, rounding) of each bias for the steps now in use; nothing is clipped, as the final range holds all."""
        rounders = network.rounders()
        powers = [power for rounder in rounders.values() for power in rounder.powers().flat]
        if powers != self.powers:
            plan = self.seen.with_biases(self.plan.changed(network.entries()))
            self.found, self.powers = {path: _unclipped(plan[path]) for path in self.paths}, powers
        return self.found.items()


def _unclipped(entry: PlanEntry) -> Any:
    """The entry with so many bits before the point that no bias is clipped."""
    if entry is None:
        return None
    if isinstance(entry, ChannelQuantizer):
        return ChannelQuantizer(_unclipped(entry.quantizer), entry.shifts)
    assert isinstance(entry, Quantizer)
    return replace(entry, format=QFormat(ANY_BIAS, entry.format.frac_bits))


def _bare(net: Any) -> Any:
    """The float network without any rounding."""
    kinds = {leaf.path: None for leaf in walk(net) if leaf.kind in (TABLE, ACCUMULATOR)}

    def without(layer: Any) -> Any:
        casts = [place.name for place in fields(layer) if place.metadata.get("kind") == CAST]
        return replace(layer, **dict.fromkeys(casts)) if casts else layer

    return rebuild(transform(net, without), kinds)


def _casts(layer: Any, prefix: str = "") -> dict[str, Any]:
    """The value of every cast point, by path."""
    found = {}
    for path, part in layers_by_path(layer, prefix):
        for place in fields(part):
            if place.metadata.get("kind") == CAST:
                found[f"{path}.{place.name}" if path else place.name] = getattr(part, place.name)
    return found


def places(seen: Observations, net: Any, plan: Plan) -> dict[str, Place]:
    """Every place whose step can be learned: trained weights, and activations that are not table addresses."""
    addresses = {leaf.address for leaf in seen.leaves if leaf.kind == TABLE}
    found: dict[str, Place] = {}
    source = plan[INPUT]
    if isinstance(source, Quantizer) and not seen.vocabulary:
        found[INPUT] = Place(INPUT, source, input=True)
    for leaf in walk(net):
        entry = plan.get(leaf.path)
        if not isinstance(entry, Quantizer | ChannelQuantizer) or leaf.path in addresses:
            continue
        if leaf.kind == PARAMETER and leaf.trained and not seen.flow.addend_of(leaf.path):
            found[leaf.path] = Place(leaf.path, entry, leaf.value.data)
        elif leaf.kind == CAST:
            found[leaf.path] = Place(leaf.path, entry, output=OUTPUT in seen.flow.uses(leaf.path))
    return found


def _learning(seen: Observations, net: Any, plan: Plan, method: Method) -> Learning:
    """The folded network with this method's rounders, sharing the parameters."""
    rounders = {path: method.rounder(place, place.entry) for path, place in places(seen, net, plan).items()}
    moves = any(isinstance(rounder, Rounder) for rounder in rounders.values())
    cast: dict[str, Any] = {}
    learned: dict[str, Rounder] = {}
    rounded: list[tuple[str, Any]] = []
    added: list[str] = []
    for leaf in walk(net):
        rounder = rounders.get(leaf.path, plan.get(leaf.path))
        if leaf.kind == PARAMETER:
            if isinstance(rounder, Rounder):
                learned[leaf.path] = rounder
            elif leaf.value is not None and moves and _is_bias(seen, leaf):
                added.append(leaf.path)
            elif leaf.value is not None:
                rounded.append((leaf.path, rounder))
        elif leaf.kind == TABLE:
            cast[leaf.path] = point_table(leaf, plan)
        elif leaf.kind != ACCUMULATOR:
            cast[leaf.path] = rounder
    source, biases = rounders.get(INPUT, plan[INPUT]), Biases(plan, seen, added) if added else None
    return Learning(rebuild(net, cast), source, learned, tuple(rounded), biases)


def _is_bias(seen: Observations, leaf: TreeLeaf) -> bool:
    """Whether the parameter is added; formats of biases follow the steps."""
    return bool(seen.flow.addend_of(leaf.path))


@dataclass(frozen=True)
class LearningState:
    """The state of a training for few bits: master weights, plan so far, method, observations."""

    master: Any
    plan: Plan
    method: Method
    seen: Observations
    widened: frozenset[str]  # places with more bits in the early stages

    @classmethod
    def of(cls, master: Any, plan: Plan, method: Method, samples: Array) -> LearningState:
        """The initial state; the method may replace formats of the plan."""
        check({leaf.path: leaf for leaf in walk(master)}, plan)
        seen = observe(master, samples)
        found = places(seen, master, plan)
        wanted = {path: method.entry(place) for path, place in found.items()}
        changed = {path: entry for path, entry in wanted.items() if entry != plan[path]}
        kept = frozenset(path for path in found if path not in changed and not found[path].output)
        plan = seen.with_biases(plan.changed(changed)) if changed else plan
        return cls(master, plan, method, seen, kept)

    def network(self, extra: int) -> Learning:
        """The network to train, with `extra` more bits than the plan."""
        return _learning(self.seen, self.master, self._wide(self.plan, extra), self.method)

    def learned(self, network: Learning, extra: int) -> Plan:
        """The plan with the network's current steps, and biases that fit them."""
        entries = network.entries()
        wide = self._wide(self.plan, extra)
        return self.seen.with_biases(wide.changed(entries)) if entries else wide

    def figures(
        self, score: Callable[[Quantized], Mapping[str, float]], network: Learning, extra: int, _: Any = None
    ) -> Mapping[str, float]:
        """The result of `score` for the fixed-point network with the current weights and steps."""
        return score(quantize(network.settled(), self.learned(network, extra)))

    def after(self, network: Learning, extra: int) -> LearningState:
        """The state after a stage with `extra` more bits."""
        return replace(self, plan=self._wide(self.learned(network, extra), -extra))

    def _wide(self, plan: Plan, extra: int) -> Plan:
        if not extra:
            return plan
        return self.seen.with_biases(with_extra_bits(plan, self.widened, extra))


def with_extra_bits(plan: Plan, paths: Iterable[str], extra: int) -> Plan:
    """The plan with `extra` more (or fewer) fraction bits at these paths."""

    def finer(entry: Quantizer | ChannelQuantizer) -> Quantizer | ChannelQuantizer:
        if isinstance(entry, ChannelQuantizer):
            base = finer(entry.quantizer)
            assert isinstance(base, Quantizer)
            return ChannelQuantizer(base, entry.shifts)
        f = entry.format
        return replace(entry, format=QFormat(f.int_bits, f.frac_bits + extra, f.signed))

    entries = {path: plan[path] for path in paths}
    return plan.changed(
        {
            path: finer(entry)
            for path, entry in entries.items()
            if isinstance(entry, Quantizer | ChannelQuantizer)
        }
    )
