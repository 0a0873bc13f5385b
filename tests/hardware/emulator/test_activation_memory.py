# SPDX-License-Identifier: MIT
"""What the activation memory refuses: words that are not there, not written, or not written yet."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn.hardware.emulator.activation_memory import ActivationMemory
from fixedpoint_nn.hardware.emulator.result import EmulationError


@pytest.fixture
def memory() -> ActivationMemory:
    memory = ActivationMemory(16)
    memory.write(2, np.array([7, -7, 9]))
    memory.scatter(
        np.array([[8, 9], [11, 10]]), np.array([[1, 2], [3, 4]]), np.array([[30, 31], [32, 33]]), 5
    )
    return memory


def test_words_are_gathered_in_the_shape_of_their_addresses(memory: ActivationMemory) -> None:
    assert memory.gather(np.array([[2, 11], [3, 8]]), 0).tolist() == [[7, 3], [-7, 1]]
    assert memory.read(8, 4).tolist() == [1, 2, 4, 3]


def test_a_word_can_be_read_from_its_cycle_on(memory: ActivationMemory) -> None:
    addresses = np.array([2, 8, 9])
    assert memory.gather(addresses, 0, np.array([0, 30, 31])).tolist() == [7, 1, 2]
    sentence = "word 40 reads activation 9 before it is written; it needs a barrier"
    with pytest.raises(EmulationError, match=f"^{re.escape(sentence)}$"):
        memory.gather(addresses, 40, np.array([0, 30, 30]))


@pytest.mark.parametrize(
    ("addresses", "sentence"),
    [
        ([2, 16], "word 3 reads activation 16; there are 16"),
        ([2, 5, 6], "word 3 reads activation 5, which nothing has written"),
    ],
)
def test_words_that_are_not_there_are_refused(
    addresses: list[int], sentence: str, memory: ActivationMemory
) -> None:
    for cycles in (None, np.full(len(addresses), 99)):
        with pytest.raises(EmulationError, match=f"^{re.escape(sentence)}$"):
            memory.gather(np.array(addresses), 3, cycles)


def test_a_write_behind_the_end_is_refused_and_changes_nothing(memory: ActivationMemory) -> None:
    before = memory.words.copy()
    with pytest.raises(EmulationError, match=r"^word 6 writes activation 16; there are 16$"):
        memory.scatter(np.array([1, 16]), np.array([5, 5]), np.array([1, 1]), 6)
    assert np.array_equal(memory.words, before)
    assert not memory.defined[1]
