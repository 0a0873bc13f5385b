# SPDX-License-Identifier: MIT
"""Observation of a float network on samples, from which a plan's formats are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.layers.fields import ACCUMULATOR, CAST, PARAMETER, TABLE
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.on_arrays import demand_network, demand_samples
from fixedpoint_nn.network.tree import TreeLeaf, rebuild, walk
from fixedpoint_nn.numbers.functions import FUNCTIONS
from fixedpoint_nn.numbers.tensor.tape import no_gradient, operation_by_operation
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import MAX_BITS, QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.dataflow import OUTPUT, Dataflow
from fixedpoint_nn.precision.plan import Plan, PlanEntry, input_paths
from fixedpoint_nn.precision.recipe import Recipe
from fixedpoint_nn.precision.value_ranges import RangeMethod, RangeObserver, ValueRange, choose, int_bits_for

BATCH = 128
STRUCTURE = 2  # samples of the pass whose tape is read
MOST_TABLE_BITS = 15  # of an unsigned table output
FEWEST_SHIFTS = -4  # a channel's weights are at most 2**4 times finer than the coarsest channel's


Samples = ArrayLike | tuple[ArrayLike, ...]  # one array, or for a graph of several inputs a tuple of them


def observe(net: Any, samples: Samples) -> Observations:
    """Run the float network on samples (n, ...), and record the range of values at each place."""
    demand_network(net)
    net = fold(net)
    paths = input_paths(net)
    given = _arrays(samples, paths)
    for x in given:
        demand_samples(net, x)
    leaves = tuple(walk(net))
    observers = {leaf.path: RangeObserver(leaf.path) for leaf in leaves if leaf.kind == CAST}
    bare = {leaf.path: None for leaf in leaves if leaf.kind in (TABLE, ACCUMULATOR)}
    watched = rebuild(net, {**observers, **bare})
    seen = {path: RangeObserver(path) for path in paths}
    with no_gradient():
        for start in range(0, len(given[0]), BATCH):
            batch = [x[start : start + BATCH] for x in given]
            for path, x in zip(paths, batch, strict=True):
                seen[path].observe(x)
            watched(*map(Tensor, batch))
    ranges = {path: observer.value_range() for path, observer in observers.items() if observer.parts}

    parameters = {
        leaf.path: leaf.value for leaf in leaves if leaf.kind == PARAMETER and leaf.value is not None
    }
    first = [Tensor(x[:STRUCTURE]) for x in given]  # with gradients, so that there is a tape
    names = {id(value): path for path, value in parameters.items()}
    names |= {id(x): path for path, x in zip(paths, first, strict=True)}
    with operation_by_operation():
        flow = Dataflow.read(watched(*first), names, observers)
    inputs = {path: observer.value_range() for path, observer in seen.items()}
    ids = [path for path, x in zip(paths, given, strict=True) if len(paths) == 1 or x.dtype.kind in "iu"]
    shape = given[0].shape[1:] if len(given) == 1 else None
    return Observations(leaves, inputs, ranges, flow, flow.rows_of_a_take(parameters), frozenset(ids), shape)


def _arrays(samples: Samples, paths: tuple[str, ...]) -> list[Any]:
    given = list(samples) if len(paths) > 1 and isinstance(samples, tuple) else [samples]
    if len(given) != len(paths):
        raise ValueError(f"the network has {len(paths)} inputs; give a tuple of as many arrays of samples")
    arrays = [np.asarray(x) for x in given]
    for x in arrays:
        if x.size == 0:
            raise ValueError(f"calibration needs samples, and there are none in an array of shape {x.shape}")
        if len(x) != len(arrays[0]):
            raise ValueError(f"the inputs have {len(arrays[0])} and {len(x)} samples; give equally many")
    return arrays


@dataclass(frozen=True)
class Observations:
    """The ranges and the data flow of a network on samples, from which its plans are made."""

    leaves: tuple[TreeLeaf, ...]
    inputs: Mapping[str, ValueRange]
    ranges: Mapping[str, ValueRange]
    flow: Dataflow
    vocabulary: int
    ids: frozenset[str]  # inputs that may be token ids, if there is a vocabulary
    sample_shape: tuple[int, ...] | None = None

    @cached_property
    def parameters(self) -> dict[str, ValueRange]:
        """The range of every parameter, by path."""
        return {
            leaf.path: ValueRange.of(leaf.value.data)
            for leaf in self.leaves
            if leaf.kind == PARAMETER and leaf.value is not None
        }

    def plan(self, recipe: Recipe, words: Mapping[str, int] | None = None) -> Plan:
        """The plan by this recipe; `words` overrides the word length, in bits, of single places."""
        return _FormatChooser(self, recipe, words or {}).plan()

    def with_biases(self, plan: Plan) -> Plan:
        """The plan with biases as fine as the sums they are added to; needed after changes of other formats."""
        planner = _FormatChooser(self, Recipe(), {})
        added = {path for path, _ in planner.parameters(added=True)}
        for path, entry in plan.items():
            if path not in added and not isinstance(entry, Accumulator):
                planner.known(path, None)
                planner.fractions[path] = _fraction_bits(entry) if entry is not None else None
        for address, leaf in planner.addresses.items():
            planner.fractions[f"table of {address}"] = _fraction_bits(plan[leaf.path])
        planner.biases()
        return plan.changed({path: planner.entries[path] for path in added if path in plan})


class _FormatChooser:
    """Chooses formats in the order of their dependence: activations, tables, weights, biases, accumulators."""

    def __init__(self, seen: Observations, recipe: Recipe, words: Mapping[str, int]) -> None:
        self.seen, self.recipe, self.words, self.flow = seen, recipe, words, seen.flow
        self.entries: dict[str, PlanEntry] = {}
        self.fractions: dict[str, Any] = {}
        self.addresses = {leaf.address: leaf for leaf in seen.leaves if leaf.kind == TABLE}

    def plan(self) -> Plan:
        for path, value_range in self.seen.inputs.items():
            self.known(path, self.input(path, value_range))
        for kind in (self.casts, self.tables, self.weights, self.biases, self.accumulators):
            kind()
        order = [*self.seen.inputs, *(leaf.path for leaf in self.seen.leaves)]
        entries = {path: self.entries[path] for path in order if path in self.entries}
        return Plan(entries, self.seen.sample_shape)

    def known(self, path: str, entry: PlanEntry) -> None:
        self.entries[path] = entry
        if entry is not None:
            self.fractions[path] = entry.format.frac_bits

    def quantizer(
        self, path: str, value_range: ValueRange, bits: int, signed: bool, whole: bool = False
    ) -> Quantizer:
        """The quantizer of a place with these values: integer bits by the recipe, or by its method."""
        r = self.recipe
        method = r.weight_method if whole else r.method
        bits = self.words.get(path, bits)
        int_bits = r.integer_bits(signed)
        if int_bits is not None:
            return Quantizer(QFormat(int_bits, bits - int_bits, signed), r.rounding, r.overflow)
        if r.frac_bits is not None:
            int_bits = int_bits_for(value_range.low, value_range.high, r.word, signed, whole)
            bits = max(int_bits + r.frac_bits, 1)
            return Quantizer(QFormat(bits - r.frac_bits, r.frac_bits, signed), r.rounding, r.overflow)
        return choose(value_range, bits, signed, method, whole, r.rounding, r.overflow, r.percentile)

    def signed(self, value_range: ValueRange) -> bool:
        return value_range.low < 0 or not self.recipe.unsigned

    def input(self, path: str, value_range: ValueRange) -> Quantizer:
        if self.seen.vocabulary and path in self.seen.ids:
            return Quantizer(QFormat((self.seen.vocabulary - 1).bit_length() or 1, 0, signed=False))
        return self.quantizer(path, value_range, self.recipe.activations, self.signed(value_range))

    # ---- cast points ----------------------------------------------------------------------

    def casts(self) -> None:
        """Choose a format for every cast point; table addresses last, because they are no finer than their inputs."""
        for path in sorted(self.seen.ranges, key=self.addresses.__contains__):
            value_range = self.seen.ranges[path]
            if self.kept_whole(path):
                self.known(path, None)
            elif path in self.addresses:
                self.known(path, self.address(path, value_range))
            else:
                self.known(path, self.data(path, value_range))
        for leaf in self.seen.leaves:
            if leaf.kind == CAST and leaf.path not in self.entries:  # such as one of the other GRU
                self.known(leaf.path, None)

    def kept_whole(self, path: str) -> bool:
        """Whether this cast keeps every bit, because the cast after a following ReLU or table rounds."""
        if path.rpartition(".")[2] == "out" and self.rounded_later(path):
            return True
        before = self.flow.came_from(path)
        return path not in self.addresses and bool(before) and not self.rounded_later(before)

    def rounded_later(self, path: str) -> bool:
        uses = self.flow.uses(path)
        return bool(uses) and (
            uses <= set(self.addresses)
            or uses == {"maximum", "scaled"}
            or self.flow.only_a_relu_before_a_cast(path)
        )

    def data(self, path: str, value_range: ValueRange) -> Quantizer:
        saturates = self.recipe.overflow is not Overflow.WRAP
        if saturates and self.recipe.unsigned and self.flow.followed_by_relu(path):
            value_range = value_range.clipped(0, np.inf)
        bits = self.recipe.outputs if OUTPUT in self.flow.uses(path) else self.recipe.activations
        return self.quantizer(path, value_range, bits, self.signed(value_range))

    def address(self, path: str, value_range: ValueRange) -> Quantizer:
        """The quantizer of a table's address: it covers the inputs where the function changes.

        It is no finer than the value that arrives.
        """
        function, bits = self.addresses[path].function, self.recipe.addresses
        edge = (self.recipe.activations + 1) * log(2)
        limits = {
            "sigmoid": (-edge, edge),
            "tanh": (-edge / 2, edge / 2),
            "exp": (-edge, np.inf),
            "softplus": (-edge, np.inf),
            "erf": (-sqrt(edge), sqrt(edge)),
            "gelu": (-sqrt(2 * edge), np.inf),
        }
        value_range = value_range.clipped(*limits.get(function, (-np.inf, np.inf)))
        bits = self.words.get(path, bits)
        signed = value_range.low < 0 or function in ("sigmoid", "tanh")
        r = self.recipe
        saturating = Overflow.SATURATE if r.overflow is Overflow.WRAP else r.overflow
        chosen = choose(value_range, bits, signed, r.method, False, r.rounding, saturating, r.percentile)
        arrives = self.fractions.get(self.flow.came_from(path))
        if arrives is None or arrives >= chosen.format.frac_bits:
            return chosen
        int_bits = chosen.format.int_bits
        frac_bits = max(int(arrives), 1 - int_bits)
        return Quantizer(QFormat(int_bits, frac_bits, signed), r.rounding, saturating)

    def tables(self) -> None:
        """Choose the formats of table outputs, in words like those of other activations.

        Unsigned ones have at most 15 bits, so that they fit a signed 16-bit word of the engine; wider ones would make
        the products of gates too wide for its accumulator.
        """
        r = self.recipe
        for address, leaf in self.addresses.items():
            if leaf.function in ("sigmoid", "tanh"):
                value_range = ValueRange(-1.0 if leaf.function == "tanh" else 0.0, 1.0, np.zeros(1))
            else:
                value_range = self.seen.ranges[address].through(FUNCTIONS[leaf.function].value)
            signed = self.signed(value_range)
            usual = r.activations if signed else min(r.activations, MOST_TABLE_BITS)
            bits = self.words.get(leaf.path, usual)
            chosen = choose(value_range, bits, signed, RangeMethod.MAX)
            self.known(leaf.path, chosen)
            self.fractions[f"table of {address}"] = chosen.format.frac_bits

    # ---- parameters -----------------------------------------------------------------------

    def parameters(self, added: bool) -> list[tuple[str, Any]]:
        return [
            (leaf.path, leaf.value.data)
            for leaf in self.seen.leaves
            if leaf.kind == PARAMETER
            and leaf.value is not None
            and bool(self.flow.addend_of(leaf.path)) == added
        ]

    def weights(self) -> None:
        for path, values in self.parameters(added=False):
            value_range = self.seen.parameters[path]
            chosen: PlanEntry = self.quantizer(
                path, value_range, self.recipe.weights, signed=True, whole=True
            )
            if self.recipe.per_channel and values.ndim == 2 and self.flow.is_matrix(path):
                chosen = self.by_channel(path, values)
            self.entries[path] = chosen
            self.fractions[path] = _fraction_bits(chosen)

    def by_channel(self, path: str, values: Any) -> ChannelQuantizer:
        columns = [
            self.quantizer(path, ValueRange.of(column), self.recipe.weights, signed=True, whole=True)
            for column in values.T
        ]
        int_bits = [q.format.int_bits for q in columns]
        base = columns[int(np.argmax(int_bits))]
        return ChannelQuantizer(base, tuple(max(n - base.format.int_bits, FEWEST_SHIFTS) for n in int_bits))

    def biases(self) -> None:
        """Choose formats of biases: as fine as the sum that the bias is added to, so that no shift is needed.

        The finest of all time steps counts: in the first one, a state of zeros has no fraction bits.
        """
        for path, values in self.parameters(added=True):
            places = [self.flow.fraction_bits(place, self.fractions) for place in self.flow.addend_of(path)]
            given = [place for place in places if place is not None]
            if not given or path in self.words:
                bits = self.recipe.weights
                self.known(path, self.quantizer(path, ValueRange.of(values), bits, signed=True, whole=True))
                continue
            channels = np.broadcast_to(np.max(np.stack(np.broadcast_arrays(*given)), axis=0), values.shape)
            self.known(path, self.bias(values, channels))

    def bias(self, values: Any, fractions: Any) -> PlanEntry:
        finest = int(np.max(fractions))
        low, high = float(values.min()), float(values.max())
        int_bits = max(int_bits_for(low, high, MAX_BITS // 2, True, whole=True), 2 - finest)
        base = Quantizer(
            QFormat(int_bits, min(finest, MAX_BITS - 1 - int_bits)), self.recipe.rounding, Overflow.SATURATE
        )
        shifts = tuple(int(finest - bits) for bits in np.ravel(fractions))
        return ChannelQuantizer(base, shifts) if any(shifts) else base

    def accumulators(self) -> None:
        """Choose the formats of modelled accumulators: fraction bits are those of their products."""
        r = self.recipe
        for leaf in self.seen.leaves:
            factors = (
                self.flow.factors_below(leaf.path.rpartition(".")[0]) if leaf.kind == ACCUMULATOR else []
            )
            if r.accumulator is None or not factors:
                continue
            sums = [
                self.flow.fraction_bits(x, self.fractions) + self.flow.fraction_bits(w, self.fractions)
                for x, w in factors
                if self.flow.fraction_bits(x, self.fractions) is not None
            ]
            frac_bits = int(max(np.max(bits) for bits in sums))
            self.entries[leaf.path] = Accumulator(
                QFormat(r.accumulator - frac_bits, frac_bits), r.accumulator_overflow
            )


def _fraction_bits(entry: PlanEntry) -> Any:
    """The fraction bits of an entry: one number, or one for each channel."""
    if isinstance(entry, ChannelQuantizer):
        return np.array([channel.format.frac_bits for channel in entry.channels])
    assert entry is not None
    return entry.format.frac_bits
