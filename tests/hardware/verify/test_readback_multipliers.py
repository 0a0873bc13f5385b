# SPDX-License-Identifier: MIT
"""Parameter words with a multiplier are read back: equal to the image, and a bit that differs is seen or listed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.verify.readback_multipliers import MODES, results, telling_sums
from fixedpoint_nn.hardware.verify.readback_program import Readback, readback_program
from fixedpoint_nn.hardware.verify.readback_section import ReadbackSection

CONFIG = EngineConfig(
    lanes=4, activation_width=9, weight_width=8, accumulator_width=26, bias_width=16, multiplier_width=32,
    activation_depth=4096,
)  # fmt: skip


def images(seed: int, count: int = 10) -> Images:
    """Parameters as of a network of 8-bit codes: multipliers of 31 bits, and shifts of one or of two roundings."""
    rng = np.random.default_rng(seed)
    columns = (
        rng.integers(28, 41, count),
        rng.integers(-3000, 3000, count),
        rng.integers(1 << 30, 1 << 31, count),
    )
    return Images([0], rng.integers(-128, 128, (5, 4)), np.stack(columns, 1), np.arange(16))


def parameters_of(readback: Readback) -> ReadbackSection:
    (section,) = (section for section in readback.sections if section.memory == "parameters")
    return section


def read(readback: Readback, section: ReadbackSection, number: int, held: Images) -> np.ndarray:
    """What the engine's twin reads back from other images."""
    twin = Twin(readback.config, held, section.input, section.vectors[number])
    twin.run()
    return twin.memory[section.output.addresses()]


def flipped(section: ReadbackSection, word: int, bit: int) -> Images:
    """The section's images with one bit of a parameter word changed: of {multiplier, shift, bias}."""
    parameters = section.images.parameters.copy()
    shift, bias, multiplier = parameters[word].tolist()
    if bit < 16:
        bias = (bias ^ 1 << bit) + 0x8000 & 0xFFFF
        bias -= 0x8000
    elif bit < 22:
        shift ^= 1 << bit - 16
    else:
        multiplier = (multiplier ^ 1 << bit - 22) + (1 << 31) & 0xFFFFFFFF
        multiplier -= 1 << 31
    parameters[word] = shift, bias, multiplier
    return replace(section.images, parameters=parameters)


def test_what_is_read_back_is_the_image() -> None:
    readback = readback_program(CONFIG, images(1))
    for section in readback.sections:
        for number in range(len(section.vectors)):
            assert np.array_equal(read(readback, section, number, section.images), section.expected[number])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), word=st.integers(0, 9), bit=st.integers(0, 53))
def test_a_bit_that_differs_is_seen(seed: int, word: int, bit: int) -> None:
    readback = readback_program(CONFIG, images(seed))
    section = parameters_of(readback)
    held = flipped(section, word, bit)
    seen = any(
        not np.array_equal(read(readback, section, number, held), section.expected[number])
        for number in range(len(section.vectors))
    )
    assert seen or word in readback.in_part


def test_what_is_listed_as_seen_in_part_are_the_lowest_bits_of_multipliers() -> None:
    """No sum that the accumulator holds floors or rounds to another word: found by trying them all."""
    small = replace(CONFIG, accumulator_width=18, bias_width=10)
    words = images(3, 12).parameters % [64, 512, 1 << 31]
    reach = (1 << 17) - 1
    sums, whole = telling_sums(small, words, reach)
    assert 0 < whole.count(False) < len(whole)
    every = np.arange(-reach, reach + 1)
    for word, chosen, seen in zip(words, sums, whole, strict=True):
        others = np.array([word, *(word ^ [0, 0, 1 << bit] for bit in range(30))])
        shown = np.zeros(30, bool)
        possible = np.zeros(30, bool)
        for one, mode in zip(chosen, MODES, strict=True):
            got = results(9, np.array([one]), others, mode)
            shown |= got[0, 1:] != got[0, 0]
        for mode in dict.fromkeys(MODES):
            got = results(9, every, others, mode)
            possible |= (got[:, 1:] != got[:, :1]).any(axis=0)
        assert np.array_equal(shown, possible)
        assert seen == bool(shown.all())
