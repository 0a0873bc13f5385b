# SPDX-License-Identifier: MIT
"""The contents of the engine's memories."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import SHIFT_BITS, EngineConfig
from fixedpoint_nn.hardware.isa.instructions import AssemblyError
from fixedpoint_nn.numerics.arrays import Ints


def _empty() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Images:
    """The contents of the five memories before a start, as signed integers (program words are bit patterns)."""

    program: list[int]
    weights: Ints = field(default_factory=lambda: np.zeros((0, 1), np.int64))  # (rows, lanes)
    # (channels, 2): shift, bias; or (channels, 3) with a multiplier, which is 1 if omitted
    parameters: Ints = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    tables: Ints = field(default_factory=_empty)
    activations: Ints = field(default_factory=_empty)  # from address 0 on
    # (rows, lanes): the weights that are streamed from outside during a sample, in order of use
    stream: Ints = field(default_factory=lambda: np.zeros((0, 1), np.int64))

    def words(self, config: EngineConfig) -> dict[str, tuple[int, list[int]]]:
        """For each memory (bits of a word, words as bit patterns), in the layout of docs/engine.md."""
        lanes = config.lanes
        padded = np.zeros(-(-len(self.activations) // lanes) * lanes, np.int64)
        padded[: len(self.activations)] = self.activations
        drain, parameters = config.drain, self._parameters(config)
        parameters += [0] * (-len(parameters) % drain)
        images = {
            "program": (32, list(self.program)),
            "weights": (
                lanes * config.weight_width,
                bit_packing.pack(self.weights.tolist(), config.weight_width),
            ),
            "parameters": (
                config.parameter_width,
                bit_packing.joined(
                    [parameters[n : n + drain] for n in range(0, len(parameters), drain)],
                    config.channel_width,
                ),
            ),
            "tables": (
                config.activation_width,
                bit_packing.unsigned(self.tables.tolist(), config.activation_width),
            ),
            "activations": (
                lanes * config.activation_width,
                bit_packing.pack(padded.reshape(-1, lanes).tolist(), config.activation_width),
            ),
        }
        if config.weight_window:
            rows = bit_packing.pack(self.stream.tolist(), config.weight_width)
            images["stream"] = lanes * config.weight_width, rows
        return images

    def with_multipliers(self) -> Ints:
        """The parameters as (channels, 3): shift, bias, multiplier."""
        if self.parameters.shape[1] > 2:
            return self.parameters
        return np.column_stack([self.parameters, np.ones(len(self.parameters), np.int64)])

    def _parameters(self, config: EngineConfig) -> list[int]:
        """{multiplier, shift, bias} of each channel as a bit pattern, without multiplier if the engine has none."""
        shifts, multipliers = self.parameters[:, 0].tolist(), self.with_multipliers()[:, 2].tolist()
        if shifts and not 0 <= min(shifts) <= max(shifts) < 1 << SHIFT_BITS:
            raise AssemblyError(
                f"a shift of {min(shifts) if min(shifts) < 0 else max(shifts)} does not exist; use 0 to 63"
            )
        words = bit_packing.unsigned(self.parameters[:, 1].tolist(), config.bias_width)
        words = [shift << config.bias_width | bias for shift, bias in zip(shifts, words, strict=True)]
        if not config.multiplier_width:
            other = next((multiplier for multiplier in multipliers if multiplier != 1), None)
            if other is not None:
                raise AssemblyError(f"a multiplier of {other} needs an engine with multiplier_width above 0")
            return words
        patterns = bit_packing.unsigned(multipliers, config.multiplier_width)
        low = config.bias_width + SHIFT_BITS
        return [pattern << low | word for pattern, word in zip(patterns, words, strict=True)]
