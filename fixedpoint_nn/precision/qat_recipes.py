# SPDX-License-Identifier: MIT
"""Settings for quantisation-aware training of each network of the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixedpoint_nn.precision.problem import Training

if TYPE_CHECKING:
    from fixedpoint_nn.zoo.entry import Entry

# (epochs, rate); a large network needs few epochs, and one is enough for most.
SHORT_RUNS = {
    "fashion_mlp": (5, 5e-4),
    "lenet": (1, 5e-4),
    "resnet8": (1, 1e-3),
    "detector": (1, 5e-4),
    "resnet50": (1, 1e-4),
    "mnist_lstm": (1, 5e-4),
    "mnist_gru": (1, 5e-4),
    "mnist_rnn": (1, 5e-4),
    "names_lstm": (2, 3e-4),
    "makemore_lstm": (2, 3e-4),
}
USUAL = (3, 5e-4)


def training_for(entry: Entry) -> Training:
    """Training with the batches, loss and clipping of the float network's recipe, for a few epochs."""
    epochs, rate = SHORT_RUNS.get(entry.name, USUAL)
    return Training(entry.source(), epochs, rate, entry.recipe.loss, entry.recipe.clip)
