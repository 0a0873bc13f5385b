# SPDX-License-Identifier: MIT
"""A run waits exactly where the engine, at its quickest, would read a word before it is written."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.barriers import MOST_EARLY, place_barriers
from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Flat,
    JumpIfEqual,
    Label,
    LoadRegister,
    Repeat,
    SetRegister,
    StoreArgmax,
)
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.strided_view import ZERO_REGISTER, Atom, Buffer, Register, View
from fixedpoint_nn.hardware.isa.config import LATENCY
from fixedpoint_nn.hardware.isa.timing import HANDOVER
from tests.support.kernels import WORD, kernel, row

LANES = 4
SHARED, OTHER = Buffer("shared", 400), Buffer("other", 400)


def written(producer: Kernel, drain: int, latency: int) -> dict[int, int]:
    """The cycle from which each word can be read, counted from the last step of the run."""
    pixels = int(np.prod([atom.size for atom in producer.pixels], dtype=int))
    tiles = [
        range(start, min(start + LANES, producer.channels)) for start in range(0, producer.channels, LANES)
    ]
    ends, before = [], 0
    for _, tile in product(range(pixels), tiles):
        ends.append(ends[-1] + max(producer.tile_steps, before) if ends else 0)
        before = -(-len(tile) // drain)
    ready = {}
    for (pixel, tile), end in zip(product(range(pixels), tiles), ends, strict=True):
        for lane, channel in enumerate(tile):
            place = producer.target.offset + pixel * producer.target.stride + channel
            ready[place] = (
                end - ends[-1] + latency + lane // drain + 1
            )  # a step of that cycle reads the old word
    return ready


def first_step(consumer: Kernel, producer: Kernel, drain: int, latency: int) -> int:
    """The cycle of the first step from which no word is read too early, if each step follows at once.

    The last step of the first tile comes when every word is there, and so do those behind it.
    """
    ready = written(producer, drain, latency)
    operands = [consumer.operands, consumer.factors] if consumer.factors else [consumer.operands]
    terms, pairs = Atom(len(consumer.operands), 0), Atom(len(operands), 0)
    loops = [*consumer.pixels, Atom(consumer.tiles, consumer.tile_stride), terms, *consumer.taps, pairs]
    term_at, first = len(consumer.pixels) + 1, HANDOVER
    for step, indices in enumerate(product(*(range(atom.size) for atom in loops))):
        if step == consumer.tile_steps - 1:
            break
        view = operands[indices[-1]][indices[term_at]]
        word = view.offset + sum(i * atom.stride for i, atom in zip(indices, loops, strict=True))
        words = [word // LANES * LANES + lane for lane in range(LANES)] if consumer.vector else [word]
        if view.buffer is SHARED:
            first = max([first, *(ready[word] - step for word in words if word in ready)])
    return first


def random_pair(rng: np.random.Generator) -> tuple[Kernel, Kernel]:
    """A run that writes to `SHARED`, and one that reads it, often words that are written last."""

    def size(high: int) -> int:
        return int(rng.integers(1, high + 1))

    channels = size(10)
    gap = int(rng.integers(0, 4))
    at = LANES * int(rng.integers(0, 3))
    pixels = [Atom(size(3), 8), Atom(size(3), 1)][: int(rng.integers(0, 3))]
    count = int(np.prod([atom.size for atom in pixels], dtype=int))
    stride = channels + gap if count > 1 else int(rng.integers(0, 3))
    producer = kernel(
        row(OTHER, 8), Target(SHARED, at, stride), channels,
        taps=[Atom(size(4), 1)], pixels=pixels,
    )  # fmt: skip
    vector = bool(rng.integers(2))
    reach = at + (count - 1) * stride + channels
    start = int(rng.integers(0, reach + 4))
    consumer = kernel(
        row(SHARED, 4, start), Target(OTHER, 200, 8), size(10),
        taps=[Atom(size(12), int(rng.choice([1, 2, -1, 4])) * (LANES if vector else 1))],
        pixels=[Atom(size(3), LANES)][: int(rng.integers(0, 2))],
        vector=vector, tile_stride=LANES if vector else 0,
    )  # fmt: skip

    def elsewhere() -> View:
        return row(SHARED if rng.integers(2) else OTHER, 4, int(rng.integers(0, reach + 4)))

    if rng.integers(2):
        consumer = replace(consumer, operands=[*consumer.operands, elsewhere()])
    if rng.integers(2):
        consumer = replace(consumer, factors=[elsewhere() for _ in consumer.operands])
    return producer, consumer


def waits(*items: Flat, **engine: Any) -> list[bool]:
    """Of each kernel, whether it has a barrier."""
    return [item.barrier for item in place_barriers(items, **engine) if isinstance(item, Kernel)]


@pytest.mark.parametrize("seed", range(8))
def test_a_run_waits_where_a_word_would_be_read_too_early_and_nowhere_else(seed: int) -> None:
    rng, seen = np.random.default_rng(seed), []
    for _ in range(50):
        producer, consumer = random_pair(rng)
        drain, latency = int(rng.choice([1, 2, 4])), LATENCY + int(rng.integers(0, 6))
        first = first_step(consumer, producer, drain, latency)
        expected = first > HANDOVER
        assert waits(producer, consumer, drain=drain, latency=latency) == [False, expected]
        seen.append(expected)
        all_there = max(written(producer, drain, latency).values())
        for words in (1, 2, 4):
            _, placed = place_barriers((producer, consumer), drain, latency, words)
            assert isinstance(placed, Kernel)
            assert placed.may_be_short is (words > 1)
            early = all_there - first if expected and words > 1 else 0
            assert placed.early == min(early, MOST_EARLY), "as early as the last word that it needs allows"
    assert 5 < sum(seen) < 45, "both cases are drawn often"


@pytest.mark.parametrize("gap", range(17))
def test_one_word_is_waited_for_while_the_engine_has_not_written_it(gap: int) -> None:
    """A dot over `gap` words of before, then the word, then one more: the step that reads it is number `gap`."""
    first = kernel(row(OTHER, 1), Target(SHARED, 20, 1), 1)
    then = kernel(row(SHARED, 1, 20 - gap), Target(OTHER, 9, 1), 1, taps=[Atom(gap + 2, 1)])
    assert waits(first, then) == [False, HANDOVER + gap < LATENCY + 1]
    assert waits(first, then, latency=LATENCY + 5) == [False, HANDOVER + gap < LATENCY + 6]
    last = replace(then, taps=[Atom(gap + 1, 1)])
    assert waits(first, last) == [False, False], "the last step of a tile waits by itself"


@pytest.mark.parametrize(("lane", "drains"), [(0, ()), (1, (1,)), (2, (1, 2)), (3, (1, 2))])
def test_the_words_of_a_tile_come_drain_by_drain(lane: int, drains: tuple[int, ...]) -> None:
    """The word of lane 0 is there exactly when it is read; `drains` are those for which this one comes later."""
    first = kernel(row(OTHER, 1), Target(SHARED, 0, 4), 4)
    steps = LATENCY + 1 - HANDOVER
    taps = [Atom(steps + 2, 10)]
    then = kernel(row(SHARED, 1, lane - 10 * steps), Target(OTHER, 9, 1), 1, taps=taps)
    for drain in (1, 2, 4):
        assert waits(first, then, drain=drain) == [False, drain in drains]
    assert waits(first, then) == waits(first, then, drain=1)


def test_a_run_that_reads_other_words_does_not_wait() -> None:
    first = kernel(row(OTHER, 1), Target(SHARED, 0, 4), 4)
    assert waits(first, kernel(row(SHARED, 4, 4), Target(OTHER, 9, 4))) == [False, False]
    assert waits(first, kernel(row(Buffer("third", 4), 4), Target(OTHER, 9, 4))) == [False, False]


def test_of_two_operands_each_is_waited_for_and_one_that_moves_otherwise_wherever_it_reads() -> None:
    moving = Buffer("moving", 400, SHARED, 0, Register(8))
    first = kernel(row(OTHER, 1), Target(SHARED, 0, 4), 4)
    late = kernel(row(SHARED, 1, -40), Target(OTHER, 9, 1), 1, taps=[Atom(60, 1)])
    assert waits(first, late) == [False, False]
    elsewhere = row(OTHER, 1, 300)
    two = replace(late, operands=[late.operands[0], elsewhere])
    assert waits(first, two) == [False, False]
    assert waits(first, replace(two, operands=[row(SHARED, 1), elsewhere])) == [False, True]
    assert waits(first, replace(late, factors=[elsewhere])) == [False, False]
    assert waits(first, replace(late, operands=[elsewhere], factors=[row(SHARED, 1)])) == [False, True]
    moved = replace(late, operands=[View(moving, -40, late.operands[0].axes, WORD)])
    assert waits(first, moved) == [False, True]


def test_a_word_that_moves_with_a_loop_is_waited_for_in_its_own_round() -> None:
    here = Buffer("here", 400, SHARED, 0, Register(8))
    first = kernel(row(OTHER, 1), Target(here, 20, 1), 1)
    for read, waited in ((19, False), (20, True), (21, False)):
        then = kernel(row(here, 1, read), Target(OTHER, 9, 1), 1, taps=[Atom(2, 40)])
        assert waits(first, then) == [False, waited], read


def test_a_run_that_writes_nothing_is_not_waited_for() -> None:
    silent = kernel(row(OTHER, 1), Target(SHARED, 0, 4), 4, write=False)
    assert waits(silent, kernel(row(SHARED, 4), Target(OTHER, 9, 4))) == [False, False]


def test_a_search_always_waits() -> None:
    assert waits(kernel(row(SHARED, 4), Target(OTHER, 0, 4), argmax=True)) == [True]


def test_the_first_run_of_a_loop_waits_for_the_last_one_if_it_reads_its_words() -> None:
    begin, moving = Label("begin"), Register(8)
    one = kernel(row(OTHER, 1, 100), Target(OTHER, 200, 1), 1)
    back = [Advance(moving), Repeat(ZERO_REGISTER, begin)]

    def body(read: int) -> list[bool]:
        here = Buffer("here", 400, SHARED, 0, moving)
        reads = kernel(row(here, 1, read), Target(OTHER, 0, 1), 1, taps=[Atom(2, 1)])
        then = kernel(row(OTHER, 1, 8), Target(here, 20, 1), 1)
        return waits(one, begin, reads, then, *back)

    assert body(12) == [False, True, False], "20 is 12 of the next round"
    for other in (10, 13, 20):
        assert body(other) == [False, False, False], other


def test_the_first_run_behind_a_label_that_is_jumped_to_on_a_condition_waits_and_no_other() -> None:
    begin, other = Label("begin"), Label("other")
    apart = [kernel(row(SHARED, 1, 8 * n), Target(OTHER, 8 * n, 1), 1) for n in range(3)]
    back = JumpIfEqual(ZERO_REGISTER, 0, begin)
    assert waits(apart[0], begin, apart[1], apart[2], back) == [False, True, False]
    assert waits(apart[0], begin, SetRegister(Register(), 1), apart[1], apart[2], back) == [
        False,
        True,
        False,
    ]
    assert waits(apart[0], other, apart[1], begin, back) == [False, False], "nothing jumps to `other`"


@pytest.mark.parametrize(
    "item", [StoreArgmax(row(OTHER, 1, 99), ()), LoadRegister(Register(), row(OTHER, 1, 99), 0)]
)
def test_what_waits_for_all_results_itself_leaves_nothing_to_wait_for(item: Flat) -> None:
    first = kernel(row(OTHER, 1), Target(SHARED, 0, 4), 4)
    then = kernel(row(SHARED, 4), Target(OTHER, 9, 4), taps=[Atom(2, 1)])
    begin = Label("begin")
    assert waits(first, then) == [False, True]
    assert waits(first, item, then) == [False, False]
    assert waits(begin, item, then, Repeat(ZERO_REGISTER, begin)) == [False]


def test_everything_else_stays_in_its_place() -> None:
    items = (Label("a"), kernel(row(OTHER, 1), Target(SHARED, 0, 4)), SetRegister(Register(), 1))
    placed = place_barriers(items)
    assert (placed[0], placed[2]) == (items[0], items[2])
    assert [type(item) for item in placed] == [type(item) for item in items]
