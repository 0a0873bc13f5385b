# SPDX-License-Identifier: MIT
"""Engines whose weights come from outside: words, cycles, and the cycles of waiting, on the Verilog and on its twin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.emulator.result import EmulationError
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Address, Halt, Run, encode
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from tests.support.engine_bench import compare, simulate, source
from tests.support.random_programs import CONFIGS, GROUPED, PACKED, WIDE, first_output
from tests.support.streamed_programs import memory_for, streamed_program

LANES = 4
TAPS, CHANNELS = 24, 12
ENGINE = EngineConfig(
    lanes=LANES, activation_width=8, weight_width=8, accumulator_width=24, bias_width=16,
    activation_depth=512, weight_depth=8, parameter_depth=64, table_depth=256, program_depth=256, weight_window=8,
)  # fmt: skip
RUN = Run(
    output=Address(64), counts=(TAPS, 1, 1, CHANNELS // LANES, 1, 1), strides=(1, 0, 0, 0, 0, 0),
    last_channels=LANES, out_bits=8, streamed=True,
)  # fmt: skip


def dense(run: Run = RUN) -> Images:
    """One dense layer of 72 rows, nine times the window."""
    rng = np.random.default_rng(4)
    parameters = np.column_stack([np.full(CHANNELS, 7), rng.integers(-999, 999, CHANNELS)])
    rows = rng.integers(-128, 128, (TAPS * CHANNELS // LANES, LANES))
    return Images(encode([run, Halt()]), parameters=parameters, stream=rows)


def agree(seed: int, configs: list[EngineConfig], simulator: str = "iverilog") -> None:
    config, images, noise_seed = streamed_program(seed, configs)
    compare(
        config, images, np.full((3, 1), 3), 0, first_output(config), 1, simulator=simulator, seed=noise_seed,
        memory=memory_for(seed),
    )  # fmt: skip


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
@pytest.mark.parametrize("memory", [WeightMemory(), WeightMemory(3, 50), 6, 7], ids=str)
def test_a_layer_of_nine_windows_equals_plain_integers(simulator: str, memory: WeightMemory | int) -> None:
    rng = np.random.default_rng(5)
    inputs, images = rng.integers(-128, 128, (3, TAPS)), dense()
    outputs = compare(ENGINE, images, inputs, 0, 64, CHANNELS, simulator=simulator, memory=memory)
    weights = images.stream.reshape(-1, TAPS, LANES).transpose(1, 0, 2).reshape(TAPS, CHANNELS)
    sums = inputs @ weights + images.parameters[:, 1]
    # half to even
    expected = [[max(-128, min(127, round(value / 128))) for value in row] for row in sums.tolist()]
    assert outputs == expected


def test_a_row_every_fourth_clock_makes_every_step_wait_three() -> None:
    resident = Emulator(
        replace(ENGINE, weight_window=0, weight_depth=128),
        replace(dense(replace(RUN, streamed=False)), weights=dense().stream, stream=dense().stream[:0]),
    )
    streamed = Emulator(ENGINE, dense(), WeightMemory(4, 1))
    for one in (resident, streamed):
        one.write(0, np.arange(TAPS))
    without, with_waits = resident.run(), streamed.run()
    # The last row, number 71, arrives in cycle 1 + 4 * 71 and is read one later; resident ones from cycle 25 on.
    assert with_waits.cycles - without.cycles == (2 + 4 * 71) - (25 + 71)
    assert with_waits.stalls == with_waits.cycles - without.cycles
    assert resident.memory[64:76].tolist() == streamed.memory[64:76].tolist()


def test_a_memory_that_offers_a_row_in_every_clock_is_never_waited_for() -> None:
    resident = replace(dense(replace(RUN, streamed=False)), weights=dense().stream, stream=dense().stream[:0])
    inputs = np.ones((2, TAPS), int)
    without = simulate(replace(ENGINE, weight_window=0, weight_depth=128), resident, inputs, 0, 64, CHANNELS)
    streamed = simulate(ENGINE, dense(), inputs, 0, 64, CHANNELS, extra=source(WeightMemory(1, 1)))
    assert streamed.cycles == without.cycles and streamed.stalls == without.stalls == [0, 0]
    assert streamed.trace == without.trace


def test_a_run_reset_in_its_middle_begins_its_stream_anew() -> None:
    inputs = np.random.default_rng(6).integers(-128, 128, (6, TAPS))
    for memory in (WeightMemory(2, 9), 12):
        once = simulate(ENGINE, dense(), inputs, 0, 64, CHANNELS, extra=source(memory))
        again = simulate(ENGINE, dense(), inputs, 0, 64, CHANNELS, extra=[*source(memory), "+interrupt=21"])
        assert again.status == 0, again.text
        assert again.outputs == once.outputs
        if isinstance(memory, WeightMemory):
            assert (again.cycles, again.stalls) == (once.cycles, once.stalls)


def test_a_host_that_disturbs_a_busy_engine_changes_nothing() -> None:
    inputs = np.random.default_rng(7).integers(-128, 128, (3, TAPS))
    quiet = simulate(ENGINE, dense(), inputs, 0, 64, CHANNELS, extra=source(WeightMemory(2, 3)))
    loud = simulate(
        ENGINE, dense(), inputs, 0, 64, CHANNELS, extra=[*source(WeightMemory(2, 3)), "+disturb=1"]
    )
    assert loud.status == 0, loud.text
    assert (loud.outputs, loud.cycles, loud.stalls) == (quiet.outputs, quiet.cycles, quiet.stalls)


def test_rows_that_arrive_while_resident_ones_are_loaded_are_not_lost() -> None:
    resident = Run(
        activation=Address(64), output=Address(96), counts=(CHANNELS, 1, 1, 1, 1, 1), strides=(1, 0, 0, 0, 0, 0),
        last_channels=LANES, out_bits=8,
    )  # fmt: skip
    rows = np.random.default_rng(8).integers(-128, 128, (CHANNELS, LANES))
    images = replace(dense(), program=encode([RUN, resident, Halt()]), weights=rows)
    config, inputs = replace(ENGINE, weight_depth=8 + CHANNELS), np.ones((2, TAPS), int)
    plain = simulate(config, images, inputs, 0, 96, LANES, extra=source(WeightMemory()))
    for load in ("port", "reversed"):
        loaded = simulate(config, images, inputs, 0, 96, LANES, extra=[*source(6), f"+load={load}"])
        assert loaded.status == 0, loaded.text
        assert loaded.outputs == plain.outputs


@pytest.mark.parametrize("seed", range(8))
def test_random_programs_that_stream_agree_in_icarus(seed: int) -> None:
    agree(seed, CONFIGS)


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_of_wide_drains_and_groups_that_stream_agree_in_icarus(seed: int) -> None:
    agree(seed, WIDE[:6] if seed % 2 else GROUPED[:6])


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_of_lanes_that_share_multipliers_and_stream_agree_in_icarus(seed: int) -> None:
    agree(seed, PACKED[:5])


@pytest.mark.slow
@pytest.mark.parametrize("configs", [CONFIGS, PACKED[:5]], ids=["plain", "packed"])
@pytest.mark.parametrize("seed", range(2))
def test_random_programs_that_stream_agree_in_verilator(seed: int, configs: list[EngineConfig]) -> None:
    agree(seed, configs, "verilator")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_random_programs_that_stream_agree_in_icarus(seed: int) -> None:
    agree(seed, [CONFIGS, WIDE[:6], GROUPED[:6], PACKED[:5]][seed % 4])


def test_the_twin_refuses_a_program_that_takes_another_number_of_rows() -> None:
    images = replace(dense(), activations=np.zeros(TAPS, np.int64))
    with pytest.raises(EmulationError, match="reads 72 rows of the stream of weights, and there are 73"):
        Emulator(ENGINE, replace(images, stream=np.vstack([images.stream, images.stream[:1]]))).run()
    with pytest.raises(
        EmulationError, match="word 0 needs rows 0 to 71 of the stream of weights; there are 71"
    ):
        Emulator(ENGINE, replace(images, stream=images.stream[:-1])).run()


def test_the_twin_refuses_what_would_wait_for_ever() -> None:
    pixels = replace(RUN, counts=(3, 1, 1, 3, 2, 1), strides=(1, 0, 0, 0, 0, 0))
    images = replace(dense(), program=encode([pixels, Halt()]))
    with pytest.raises(EmulationError, match="reads 9 rows of weights again and again, and the window has 8"):
        Emulator(ENGINE, images).run()
    with pytest.raises(EmulationError, match="the engine has no window for them; set weight_window"):
        Emulator(replace(ENGINE, weight_window=0, weight_depth=128), dense()).run()
