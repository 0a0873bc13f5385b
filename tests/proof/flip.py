# SPDX-License-Identifier: MIT
"""Single bits of an engine's memory images, and the images with one of them flipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fixedpoint_nn.hardware.isa.config import SHIFT_BITS, EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.numerics.arrays import Ints


@dataclass(frozen=True, order=True)
class Flip:
    """One bit of one word of one image."""

    kind: str
    word: int
    bit: int

    def __str__(self) -> str:
        return f"{self.kind}[{self.word}].{self.bit}"


def flipped(images: Images, config: EngineConfig, flip: Flip) -> Images:
    """The images with that bit changed."""
    if flip.kind == "program":
        program = list(images.program)
        program[flip.word] ^= 1 << flip.bit
        return replace(images, program=program)
    if flip.kind == "parameters":
        parameters = np.pad(images.parameters, ((0, -len(images.parameters) % config.drain), (0, 0)))
        channel, bit = divmod(flip.bit, config.channel_width)
        channel += flip.word * config.drain
        parameters[channel] = flipped_parameter(parameters[channel], bit, config)
        return replace(images, parameters=parameters)
    width = config.weight_width if flip.kind == "weights" else config.activation_width
    lane, bit = divmod(flip.bit, width)
    array = getattr(images, flip.kind).copy()
    if flip.kind == "activations":  # the image ends with a whole row
        array = np.concatenate([array, np.zeros(-len(array) % config.lanes, np.int64)])
    place = {"weights": (flip.word, lane), "tables": (flip.word,)}.get(
        flip.kind, (flip.word * config.lanes + lane,)
    )
    array[place] = flipped_word(int(array[place]), bit, width)
    return replace(images, **{flip.kind: array})


def flipped_word(value: int, bit: int, width: int) -> int:
    """A signed word of so many bits with one of them changed."""
    word = (value ^ 1 << bit) & ((1 << width) - 1)
    return word - (1 << width) if word >> width - 1 else word


def flipped_parameter(word: Ints, bit: int, config: EngineConfig) -> tuple[int, ...]:
    """{shift, bias}, and a multiplier if there is one, with one bit changed."""
    shift, bias, *multiplier = (int(part) for part in word)
    above = bit - config.bias_width
    if above < 0:
        return shift, flipped_word(bias, bit, config.bias_width), *multiplier
    if above < SHIFT_BITS:
        return shift ^ 1 << above, bias, *multiplier
    return shift, bias, flipped_word(multiplier[0], above - SHIFT_BITS, config.multiplier_width)


def every_flip(config: EngineConfig, images: Images) -> Iterator[Flip]:
    """All bits of all images."""
    for kind, (bits, words) in images.words(config).items():
        for word in range(len(words)):
            for bit in range(bits):
                yield Flip(kind, word, bit)
