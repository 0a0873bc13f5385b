# SPDX-License-Identifier: MIT
"""The options of `train` that override a recipe."""

from __future__ import annotations

import argparse
from dataclasses import fields

from fixedpoint_nn.cli.arguments import above_zero, layer_sizes, not_negative, positive, share
from fixedpoint_nn.training.optimisers import OPTIMISERS
from fixedpoint_nn.training.schedules import SCHEDULES
from fixedpoint_nn.zoo import Settings


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add one option for each setting; the default is the recipe's value."""
    group = parser.add_argument_group("instead of the recipe's")
    group.add_argument("--learning-rate", type=above_zero, metavar="R", help="of the optimiser")
    group.add_argument("--batch", type=positive, metavar="N", help="samples in a step")
    group.add_argument(
        "--hidden", type=layer_sizes, metavar="N,...", help="units of each hidden layer, such as 256,128"
    )
    group.add_argument("--l2", type=not_negative, metavar="L", help="how much matrices shrink")
    group.add_argument("--dropout", type=share, metavar="P", help="probability of each value to be dropped")
    group.add_argument(
        "--optimiser",
        choices=tuple(OPTIMISERS),
        metavar="NAME",
        help=f"{', '.join(OPTIMISERS)}; with its usual rate, unless --learning-rate is given",
    )
    group.add_argument("--schedule", choices=tuple(SCHEDULES), help="of the learning rate")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings in the options."""
    return Settings(**{field.name: getattr(arguments, field.name) for field in fields(Settings)})
