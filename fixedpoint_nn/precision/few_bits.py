# SPDX-License-Identifier: MIT
"""Training of the zoo's networks for four bits and fewer: recipe, plan and teacher of each.

Training starts from the float weights, or from those trained for more bits, with a cosine schedule and learned steps.
The loss is mostly distillation from a float network: the network itself, or a better one of the zoo for the same task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.layers import LSTMCell
from fixedpoint_nn.layers.fields import CAST
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.tree import layers_by_path, rebuild
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.precision.effort import JUDGED, PlannedNetwork
from fixedpoint_nn.precision.equalise import equalised
from fixedpoint_nn.precision.observe import observe
from fixedpoint_nn.precision.plan import Plan, PlanEntry
from fixedpoint_nn.precision.qat import Trained, train_quantized
from fixedpoint_nn.precision.recipe import Recipe
from fixedpoint_nn.training.metrics import outputs
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine

CALIBRATION = 500
PREPARATION = 3000
WIDE = 8  # bits of values that are no operand of a multiplication
ADDED = frozenset({"+", "sum"})
CELL_RANGE = 2  # integer bits of an LSTM's cell at the start, one fewer below four bits
ACTIVATIONS_OF_ONE_BIT_WEIGHTS = 2


@dataclass(frozen=True)
class Course:
    """How a network is trained for one width: epochs, the initial rate of Adam, the method, and what follows.

    `teacher` names the network that is imitated, by default the float network itself. `start` is the width whose
    trained weights are the first ones, by default the float network's. `batch` is its size, by default the recipe's.
    With `prepare` these are rounded by least squares first (see `prepared`).
    """

    epochs: int
    rate: float = 1e-3
    method: str = "lsq+distillation"
    dropout: bool = False
    teacher: str | None = None
    start: int | None = None
    batch: int | None = None
    augment: bool = True
    prepare: bool = False

    def data(self, source: Any) -> Any:
        """The source of batches as this course takes them."""
        changed = {} if self.batch is None else {"size": self.batch}
        return replace(source, **changed) if self.augment else replace(source, **changed, augment=None)

    def way(self, bits: int) -> str:
        """The method's name for this width; one-bit weights add "binary"."""
        return self.method if bits > 1 else f"binary+{self.method}"


# At four bits the plan's steps are nearly optimal, and moving them loses accuracy: only the weights are trained.
# Where each width starts from the one before it, small batches make many steps of few epochs.
GENTLE = Course(15, 5e-4, "distillation", teacher="resnet8")
TAUGHT = Course(10, teacher="resnet8")
FIXED_INPUT = "lsq-fixed-input+distillation"
SHORT = Course(2, method=FIXED_INPUT, teacher="resnet8", batch=64, augment=False)
LONGER = replace(SHORT, epochs=4)
IN_TIME = Course(8, 3e-4, "distillation")
COURSES = {
    "fashion_mlp": {4: GENTLE, 3: TAUGHT, 2: replace(TAUGHT, epochs=20), 1: TAUGHT},
    "lenet": {
        4: Course(6, 1e-3, "distillation", teacher="resnet8"),
        3: replace(LONGER, start=4, augment=True),
        **{bits: replace(LONGER, start=bits + 1) for bits in (2, 1)},
    },
    "resnet8": {
        4: Course(1, 5e-4, "distillation"),
        3: SHORT,
        **{bits: replace(SHORT, start=bits + 1) for bits in (2, 1)},
    },
    "mnist_lstm": {
        4: Course(3, 5e-4, "distillation"),
        3: Course(3, method=FIXED_INPUT),
        2: Course(6, 2e-3, FIXED_INPUT, start=3),
    },
    "names_lstm": {4: IN_TIME, 3: IN_TIME, 2: Course(10)},
}


def few_bits_plan(name: str, net: Any, bits: int) -> Plan:
    """The plan in which operands of multiplications have `bits` bits (for 1: weights 1, activations 2), all else 8.

    All else are logits, values that are only added (both sides of a shortcut, the pixels of a mean), and table
    addresses. Weights have a binary point per output channel.
    """
    seen = observe(fold(net), zoo.samples(name, CALIBRATION, "train"))
    values = bits if bits > 1 else ACTIVATIONS_OF_ONE_BIT_WEIGHTS
    recipe = Recipe(max(bits, 2), activation_bits=values, address_bits=WIDE, per_channel=True)
    wide = seen.plan(replace(recipe, word=WIDE, activation_bits=WIDE))
    plan = seen.plan(recipe)
    added = {path: wide[path] for path in plan if seen.flow.uses(path) and seen.flow.uses(path) <= ADDED}
    casts = {leaf.path for leaf in seen.leaves if leaf.kind == CAST}
    plan = plan.changed({path: entry for path, entry in added.items() if path in casts and plan[path]})
    return seen.with_biases(plan.changed(dict(fine_cells(net, plan, wide))))


def prepared(name: str, net: Any, bits: int) -> tuple[Any, Plan]:
    """The network with equalised channels, and its plan: binary points are moved, weights rounded by least squares."""
    exact, samples = fold(net), zoo.samples(name, PREPARATION, "train")
    scaled = equalised(exact, samples[:JUDGED], max(bits, ACTIVATIONS_OF_ONE_BIT_WEIGHTS))
    first = rebuild(exact, {path: Tensor(values) for path, values in scaled.items()})
    planned = PlannedNetwork(first, observe(first, samples[:CALIBRATION]), few_bits_plan(name, first, bits))
    planned.move_points(samples[:JUDGED])
    return first, planned.rounded(samples)


def fine_cells(net: Any, plan: Plan, wide: Plan) -> Iterator[tuple[str, PlanEntry]]:
    """Plan entries that give LSTM cells a smaller range, and their tanh tables 8-bit addresses.

    The least squared error would follow the largest cell values, but tanh is flat beyond 2, and the increments of one
    time step are small: with a step of 1 they would be lost. The cell's step is learned; the table's address is not,
    so it is that of an 8-bit network.
    """
    for path, layer in layers_by_path(net):
        if isinstance(layer, LSTMCell):
            cell = plan[f"{path}.cell"]
            assert isinstance(cell, Quantizer)
            int_bits = CELL_RANGE if cell.format.bits > CELL_RANGE + 1 else CELL_RANGE - 1
            frac_bits = cell.format.bits - int_bits
            if int_bits < cell.format.int_bits:
                yield f"{path}.cell", replace(cell, format=QFormat(int_bits, frac_bits))
            address = f"{path}.cell_tanh.input"
            yield address, wide[address]


def teacher_outputs(name: str, course: Course) -> Array | None:
    """The teacher's logits for each training sample, (n, classes); None without a teacher of its own."""
    if course.teacher is None or "distillation" not in course.method:
        return None
    return np.asarray(outputs(zoo.load(course.teacher), zoo.entry(name).source().x))  # type: ignore[attr-defined]


def train_few_bits(
    name: str,
    bits: int,
    *,
    course: Course | None = None,
    teacher: Array | None = None,
    start: Any = None,
    source: Any = None,
    seed: int = 0,
    score: Callable[[Any], dict[str, float]] | None = None,
    **options: Any,
) -> Trained:
    """Train a network of the zoo for `bits` bits; `options` are those of `training.fit`.

    `teacher` is an earlier result of `teacher_outputs`, and `start` the `net` of an earlier result for the course's
    `start`; both are computed if they are not given. `source` are the training data if not all, from the first on.
    """
    entry, net = zoo.entry(name), zoo.load(name)
    course = course or COURSES[name][bits]
    if teacher is None:
        teacher = teacher_outputs(name, course)
    if start is None and course.start is not None:
        start = train_few_bits(name, course.start, source=source, seed=seed, progress=False).net
    source = source or entry.source()
    first = net if start is None else start
    first, plan = prepared(name, first, bits) if course.prepare else (first, few_bits_plan(name, first, bits))
    return train_quantized(
        first,
        plan,
        course.data(source),
        epochs=course.epochs,
        method=course.way(bits),
        loss=entry.recipe.loss,
        clip=entry.recipe.clip,
        optimiser=Adam(course.rate),
        schedule=cosine(),
        dropout=course.dropout,
        teacher=net if teacher is None else teacher[: len(source.x)],
        seed=seed,
        score=score,
        **options,
    )
