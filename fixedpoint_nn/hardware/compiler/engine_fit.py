# SPDX-License-Identifier: MIT
"""Whether a network fits a given engine; if not, the error names the layer, its need, and what would fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.isa.config import EngineConfig

WORDS = {
    "activation_depth": "words of activation memory",
    "weight_depth": "rows of weights",
    "parameter_depth": "parameter words",
    "table_depth": "table words",
    "program_depth": "program words",
    "activation_width": "bits for an activation",
    "weight_width": "bits for a weight",
    "bias_width": "bits for a bias",
    "multiplier_width": "bits for a multiplier",
    "accumulator_width": "bits for a sum",
}


def fitted(needed: EngineConfig, engine: EngineConfig, kernels: Sequence[Kernel]) -> EngineConfig:
    """The given engine, with the network's modelled accumulator; raises LoweringError if it is too small."""
    for name, words in WORDS.items():
        need, there = getattr(needed, name), getattr(engine, name)
        if need > there:
            layer = _largest_consumer(name, kernels)
            raise LoweringError(
                f"Layer {layer!r} does not fit the engine: the network needs {need} {words} "
                f"and there are {there}; "
                f"an engine with {name}={need} would fit{_smaller(name)}."
            )
    if needed.host_writes > engine.host_writes:
        raise LoweringError(
            "The next input is to be written while the engine computes, and this engine's host waits; "
            "give it host_writes=1."
        )
    model = {
        f.name: getattr(needed, f.name) for f in fields(needed) if f.name.startswith(("model", "product"))
    }
    return replace(engine, **model)


def _largest_consumer(name: str, kernels: Sequence[Kernel]) -> str:
    """The layer with the largest need of a parameter."""
    measures = {
        "activation_depth": lambda k: k.target.buffer.root.words,
        "weight_depth": lambda k: 0 if k.weights is None else len(k.weights),
        "parameter_depth": lambda k: len(k.parameters),
        "table_depth": lambda k: 0 if k.table is None else len(k.table.ints),
        "program_depth": lambda k: 1,
        "activation_width": lambda k: k.quantizer.format.bits + (not k.quantizer.format.signed),
        "weight_width": lambda k: 0 if k.weights is None else int(np.abs(k.weights).max()),
        "bias_width": lambda k: int(np.abs(k.parameters[:, 1]).max()),
        "multiplier_width": lambda k: int(np.abs(k.parameters[:, 2]).max()),
        "accumulator_width": lambda k: max(-k.bound[0], k.bound[1]),
    }
    return max(kernels, key=measures[name]).name


def _smaller(name: str) -> str:
    """What to reduce so that the network fits the engine."""
    if name in ("activation_width", "weight_width", "bias_width", "accumulator_width"):
        return ", or a plan with narrower formats"
    if name == "table_depth":
        return ", or a table with fewer input bits"
    return ", or a layer with fewer channels"
