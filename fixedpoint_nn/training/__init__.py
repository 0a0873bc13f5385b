# SPDX-License-Identifier: MIT
"""Training: losses, optimisers, schedules, batches and the loop that brings them together."""

from fixedpoint_nn.training.batches import Samples, TextWindows, WordBatches
from fixedpoint_nn.training.history import History
from fixedpoint_nn.training.loop import Diverged, fit
from fixedpoint_nn.training.losses import binary_cross_entropy, cross_entropy, hinge, mean_squared_error
from fixedpoint_nn.training.optimisers import SGD, Adam, AdamW, Momentum, Nesterov, RMSProp

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Diverged",
    "History",
    "Momentum",
    "Nesterov",
    "RMSProp",
    "Samples",
    "TextWindows",
    "WordBatches",
    "binary_cross_entropy",
    "cross_entropy",
    "fit",
    "hinge",
    "mean_squared_error",
]
