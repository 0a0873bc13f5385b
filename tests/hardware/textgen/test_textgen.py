# SPDX-License-Identifier: MIT
"""Text that the engine writes by itself equals what the bit-accurate model writes from the same seed."""

from __future__ import annotations

import math
import threading
from fractions import Fraction

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.lfsr import Noise
from fixedpoint_nn.hardware.sim import run
from fixedpoint_nn.hardware.textgen import RtlWriter, SamplingConfig, emit_writer, lower_writer, write
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.layers import Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.qformat import UQ
from fixedpoint_nn.numerics.quantizer import Quantizer
from tests.support.battery import over_integers, randomly_quantized

SYMBOLS = 6
CELLS = {
    "lstm": lambda i: i.lstm(3, 5),
    "two layers": lambda i: i.lstm(3, 4, 2),
    "rnn": lambda i: i.rnn(3, 9),
    "gru": lambda i: i.gru(3, 9),
    "gru, reset after": lambda i: i.gru(3, 5, reset_after=True),
}


def writer(kind: str, seed: int = 0) -> Quantized:
    i = Initialiser(seed, np.float64)
    net = Sequential(
        embedding=i.embedding(SYMBOLS, 3), lstm=CELLS[kind](i), head=i.dense(CELLS_HIDDEN[kind], SYMBOLS)
    )
    return Quantized(over_integers(randomly_quantized(net, seed)), Quantizer(UQ(3, 0)))


CELLS_HIDDEN = {"lstm": 5, "two layers": 4, "rnn": 9, "gru": 9, "gru, reset after": 5}


def on_the_twin(fixed: Quantized, how: SamplingConfig, seed: int, lanes: int, first: int = 0) -> np.ndarray:
    lowered = lower_writer(fixed, how, lanes)
    twin = Twin(lowered.config, lowered.images, lowered.input, np.array([first]))
    twin.run(seed)
    return twin.memory[lowered.output.addresses()]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(
    "how",
    [SamplingConfig(12), SamplingConfig(12, 1.0), SamplingConfig(12, 0.5, restart=False), SamplingConfig(1)],
)
def test_every_cell_writes_what_the_model_writes(kind, how):
    for seed in range(3):
        fixed = writer(kind, seed)
        expected = write(fixed, how, seed + 7, first=seed)
        assert np.array_equal(on_the_twin(fixed, how, seed + 7, [8, 1, 4][seed], first=seed), expected)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_the_verilog_writes_what_the_model_writes(temperature):
    fixed, how = writer("lstm", 1), SamplingConfig(20, temperature)
    rtl = RtlWriter(fixed, how)
    assert np.array_equal(rtl(seed=5, texts=2), [write(fixed, how, 5), write(fixed, how, 6)])


@pytest.mark.parametrize("simulator", ["iverilog", pytest.param("verilator", marks=pytest.mark.slow)])
def test_letters_come_while_the_engine_writes(simulator):
    fixed, how = writer("lstm", 1), SamplingConfig(20, 1.5)
    rtl = RtlWriter(fixed, how, simulator=simulator)
    assert list(rtl.stream(seed=5)) == write(fixed, how, 5).tolist()


def test_the_first_letters_are_there_long_before_the_last():
    fixed = writer("lstm", 1)
    stream = RtlWriter(fixed, SamplingConfig(3000, 1.5)).stream(seed=5)  # a minute in Icarus
    threads = threading.active_count()
    assert [next(stream) for _ in range(5)] == write(fixed, SamplingConfig(5, 1.5), 5).tolist()
    stream.close()  # which ends the simulation
    assert threading.active_count() == threads


def test_temperature_makes_texts_differ_by_their_seed_and_zero_does_not():
    fixed = writer("lstm", 1)
    warm = {tuple(write(fixed, SamplingConfig(30, 2.0), seed).tolist()) for seed in range(1, 6)}
    cold = {tuple(write(fixed, SamplingConfig(30), seed).tolist()) for seed in range(1, 6)}
    assert (len(warm), len(cold)) == (5, 1)


def test_the_noise_is_gumbels_distribution():
    table = NoiseTable(8, 6, Fraction(3, 2))
    exact = [-1.5 * math.log(-math.log((i + 0.5) / 256)) * 64 for i in range(256)]
    assert np.abs(table.ints - exact).max() <= 0.5 + 1e-9
    assert np.array_equal(table.draw(Noise(9), 50), table.draw(Noise(9), 50))


def test_largest_of_logit_and_noise_is_a_draw_from_the_softmax():
    table, source = NoiseTable(12, 8, Fraction(1)), Noise(1)
    logits = np.array([0, 256, 512])  # 0, 1, 2 with 8 fraction bits
    noise = table.draw(source, 3 * 20_000).reshape(-1, 3)
    share = np.bincount((logits + noise).argmax(1), minlength=3) / 20_000
    softmax = np.exp([0.0, 1, 2]) / np.exp([0.0, 1, 2]).sum()
    assert np.abs(share - softmax).max() < 0.015


def test_a_pack_that_writes_is_verified_with_its_seeds(tmp_path):
    fixed, how = writer("gru", 2), SamplingConfig(15, 1.0)
    pack = emit_writer(fixed, how, tmp_path / "writer", seeds=3, seed=11)
    verdict = verify(pack, trace=True)
    assert verdict.passed, str(verdict)
    assert str(verdict).startswith("PASS: 3 vectors, 45 words, ")


def test_a_network_that_cannot_write_is_refused():
    net = Quantized(Sequential(head=Initialiser(0).dense(2, 2)), Quantizer(UQ(1, 0)))
    with pytest.raises(
        ValueError, match="a network that writes has the parts embedding, lstm and head, not head"
    ):
        write(net, SamplingConfig(3))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((0,), "a text has one character or more, not 0"), ((3, -1.0), "a temperature is 0")],
)
def test_bad_ways_to_write_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        SamplingConfig(*arguments)


def test_a_simulation_that_never_ends_is_stopped():
    fixed = writer("lstm")
    lowered = lower_writer(fixed, SamplingConfig(5))
    with pytest.raises(run.SimulationError, match="vector 0 is not done after 10 cycles"):
        run_with_limit(lowered, 10)


def run_with_limit(lowered, limit: int) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        images = run.write_images(Path(folder), lowered.config, lowered.images)
        job = run.Job(lowered.config, images, lowered.input, lowered.output, limit=limit)
        run.simulate(job, np.zeros((1, 1), np.int64))
