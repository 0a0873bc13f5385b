# SPDX-License-Identifier: MIT
"""Bits that are proven silent: no input shows any of them, and what can arrive holds all that does arrive."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.faults.fault import Flip, every_flip
from fixedpoint_nn.hardware.faults.fault_simulator import Shown
from fixedpoint_nn.hardware.faults.untestable import Silent
from fixedpoint_nn.hardware.pack.reader import load_pack
from tests.hardware.faults.test_exposure import network
from tests.proof.conformance.__main__ import HERE
from tests.support.random_networks import random_network


def of_pack(name: str) -> tuple[Silent, Shown]:
    pack = load_pack(HERE / name)
    format = pack.input.format
    tokens = format.frac_bits == 0
    allowed = range(int(pack.vectors.max()) + 1) if tokens else range(format.int_min, format.int_max + 1)
    ports = pack.input, pack.output
    return Silent(pack.config, pack.images, *ports, allowed), Shown(
        pack.config, pack.images, *ports, pack.vectors[:16]
    )


def test_no_input_at_all_shows_a_bit_that_is_proven_silent():
    fixed = network()
    lowered = lower(fixed.net, (2,), fixed.input.format)
    every = np.array(list(product(range(-8, 8), repeat=2)))
    flips = list(every_flip(lowered.config, lowered.images))
    silent = Silent(lowered.config, lowered.images, lowered.input, lowered.output, range(-8, 8))
    proven = silent.proven(flips)
    assert len(proven) > 100
    shown = Shown(lowered.config, lowered.images, lowered.input, lowered.output, every)
    assert not shown.shows(proven).any()


@pytest.mark.parametrize("name", ["moons", "bigram", "fashion_mlp", "lenet", "names_lstm", "mnist_gru"])
def test_no_golden_vector_shows_a_bit_that_is_proven_silent(name):
    silent, shown = of_pack(name)
    flips = list(every_flip(shown.config, shown.images))
    rng = np.random.default_rng(5)
    chosen = [flips[n] for n in np.sort(rng.choice(len(flips), min(len(flips), 6000), replace=False))]
    chosen = [flip for flip in chosen if flip.kind != "program"][:3000]
    chosen += [flip for flip in flips if flip.kind == "program"][:: 40 if len(shown.steps) < 32 else 80]
    proven = silent.proven(chosen)
    assert proven
    assert not shown.shows(proven).any()


@pytest.mark.parametrize("name", ["moons", "nplm", "fashion_mlp", "lenet", "names_lstm", "mnist_gru"])
def test_what_can_arrive_holds_every_sum_and_word_that_does(name):
    silent, shown = of_pack(name)
    for here, step in zip(silent.ranges.runs, shown.steps, strict=True):
        for met, range_ in ((step.sums, here.sums), (step.words, here.words)):
            assert (met >= range_.low).all() and (met <= range_.high).all()


@pytest.mark.parametrize(
    ("kind", "seed"), [("dense", 2), ("image", 2), ("text", 3), ("image", 5), ("dense", 7)]
)
def test_bits_of_random_networks_that_are_proven_silent_show_in_no_sample(kind, seed):
    case = random_network(kind, seed)
    lowered = lower(case.fixed.net, case.batch.shape[1:], case.batch.format, case.lanes)
    format, rows = case.batch.format, case.batch.ints.reshape(len(case.batch), -1)
    allowed = range(int(rows.max()) + 1) if kind == "text" else range(format.int_min, format.int_max + 1)
    silent = Silent(lowered.config, lowered.images, lowered.input, lowered.output, allowed)
    flips = list(every_flip(lowered.config, lowered.images))
    rng = np.random.default_rng(seed)
    chosen = [flips[n] for n in rng.choice(len(flips), min(len(flips), 1500), replace=False)]
    shown = Shown(lowered.config, lowered.images, lowered.input, lowered.output, rows)
    proven = silent.proven(chosen)
    assert proven and not shown.shows(proven).any()


def test_a_unit_that_is_always_cut_off_is_proven_silent_and_one_that_is_not_is_not():
    silent, shown = of_pack("fashion_mlp")
    never = shown.steps[0].words.max(axis=(0, 1)) == 0
    high = silent.ranges.runs[0].words.high[0]
    dead, alive = int(np.flatnonzero(high == 0)[0]), int(np.flatnonzero(~never)[0])
    assert never[dead]
    assert silent.proven([Flip("parameters", dead, 0)]) == [Flip("parameters", dead, 0)]
    assert silent.proven([Flip("parameters", alive, 0)]) == []
