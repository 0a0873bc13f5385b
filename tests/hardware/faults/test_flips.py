# SPDX-License-Identifier: MIT
"""Flipped bits of images: a flip that is followed gives what a run from the start gives; idle bits show nothing."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.faults.dont_care import idle
from fixedpoint_nn.hardware.faults.fault import Flip, every_flip, flipped, flipped_word
from fixedpoint_nn.hardware.faults.fault_simulator import Shown
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.pack.reader import load_pack
from tests.proof.conformance.__main__ import HERE
from tests.support.random_networks import random_network


def shown(name: str, vectors: int = 8) -> Shown:
    pack = load_pack(HERE / name)
    return Shown(pack.config, pack.images, pack.input, pack.output, pack.vectors[:vectors])


def sample(flips: list[Flip], count: int, seed: int = 1) -> list[Flip]:
    rng = np.random.default_rng(seed)
    return [flips[n] for n in rng.choice(len(flips), min(count, len(flips)), replace=False)]


def test_a_flip_changes_one_bit_of_one_word_of_one_image():
    pack = load_pack(HERE / "nplm")
    before = pack.images.words(pack.config)
    for flip in sample(list(every_flip(pack.config, pack.images)), 60):
        if flip.kind == "parameters" and flip.bit >= pack.config.bias_width:
            continue  # some shifts do not exist, and have no words
        after = flipped(pack.images, pack.config, flip).words(pack.config)
        for kind, (_, words) in before.items():
            wrong = [n for n, (a, b) in enumerate(zip(words, after[kind][1], strict=True)) if a != b]
            assert wrong == ([flip.word] if kind == flip.kind else [])
        assert before[flip.kind][1][flip.word] ^ after[flip.kind][1][flip.word] == 1 << flip.bit


@pytest.mark.parametrize("value", range(-8, 8))
@pytest.mark.parametrize("bit", range(4))
def test_a_flipped_word_is_the_twos_complement_of_the_flipped_bits(value, bit):
    assert bit_packing.unsigned([flipped_word(value, bit, 4)], 4) == [
        bit_packing.unsigned([value], 4)[0] ^ 1 << bit
    ]


@pytest.mark.parametrize("name", ["moons", "bigram", "nplm", "fashion_mlp", "names_lstm", "mnist_gru"])
def test_following_a_flip_gives_what_a_run_from_the_start_gives(name):
    subject = shown(name)
    assert subject.followed
    kinds = ("weights", "parameters", "tables", "activations")
    for kind in kinds:
        flips = [f for f in every_flip(subject.config, subject.images) if f.kind == kind]
        if not flips:
            continue
        chosen = sample(flips, 40)
        for flip, seen in zip(chosen, subject.shows(chosen), strict=True):
            again = subject.from_start(flip)
            assert np.array_equal(seen, np.ones(len(seen), bool) if again is None else again), flip


@pytest.mark.parametrize(("kind", "seed"), [("dense", 1), ("image", 2), ("text", 3), ("image", 5)])
def test_flips_of_random_networks_are_followed_rightly(kind, seed):
    case = random_network(kind, seed)
    lowered = lower(case.fixed.net, case.batch.shape[1:], case.batch.format, case.lanes)
    rows = case.batch.ints.reshape(len(case.batch), -1)
    subject = Shown(lowered.config, lowered.images, lowered.input, lowered.output, rows)
    every = [f for f in every_flip(lowered.config, lowered.images) if f.kind != "program"]
    chosen = sample(every, 80)
    for flip, seen in zip(chosen, subject.shows(chosen), strict=True):
        again = subject.from_start(flip)
        assert np.array_equal(seen, np.ones(len(seen), bool) if again is None else again), flip


@pytest.mark.parametrize("name", ["moons", "bigram", "nplm"])
def test_no_idle_bit_shows_in_any_output(name):
    subject = shown(name, 64)
    spare = sorted(idle(subject.config, subject.images))
    assert {flip.kind for flip in spare} == {"program", "weights"}
    assert len(set(spare)) == len(spare)
    assert not subject.shows(sample(spare, 300)).any()


def test_a_bit_that_makes_the_program_slower_shows_everywhere():
    subject = shown("moons")
    assert subject.shows([Flip("program", 6, 4)]).all()  # 16 more steps of the first run
