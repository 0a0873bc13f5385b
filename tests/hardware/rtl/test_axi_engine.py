# SPDX-License-Identifier: MIT
"""The AXI wrapper: loaded by registers, fed and read by streams, with back-pressure, against the emulator."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn.board.axi.registers import PARAMETERS
from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import Address, Halt, Run
from tests.hardware.rtl.test_engine import SMALL, Assembly, dense
from tests.support.engine_bench import RTL, hexadecimal, scratch, write_images
from tests.support.module_bench import bench


def network_plusargs(seed: int, calm: int) -> tuple[dict[str, int], list[str], str]:
    """Two layers, the first with a table: parameters, plusargs, what must be printed."""
    rng = np.random.default_rng(seed)
    a = Assembly()
    a.add(
        dense(
            a,
            0,
            32,
            rng.integers(-128, 128, (5, 10)),
            rng.integers(-999, 999, 10),
            7,
            table=True,
            table_base=0,
        ),
        dense(a, 32, 64, rng.integers(-128, 128, (10, 3)), rng.integers(-999, 999, 3), 9),
        Run(
            bounded=True, output=Address(200), counts=(2731, 1, 1, 1, 1, 1), out_bits=8
        ),  # nothing but clocks
        Halt(),
    )
    images = a.images(rng.integers(-128, 128, 256), np.arange(8))
    inputs = rng.integers(-128, 128, (4, 5))
    emulator, expected, cycles = Emulator(SMALL, images), [], 0
    for row in inputs:
        emulator.write(0, row)
        result = emulator.run()
        cycles += result.cycles
        expected.append(emulator.read(64, 3))
    folder = scratch()
    plusargs = write_images(folder, SMALL, images)
    plusargs += [
        f"+inputs={hexadecimal(folder / 'i', inputs, 8)}",
        f"+expected={hexadecimal(folder / 'e', np.array(expected), 8)}",
    ]
    plusargs += [
        "+vectors=4",
        "+input_words=5",
        "+input_address=0",
        "+output_words=3",
        "+output_address=64",
        f"+seed={seed}",
        f"+calm={calm}",
    ]
    values = {k: v for k, v in SMALL.verilog().items() if not k.startswith(("PRODUCT", "MODEL"))}
    last = f"Last vector: {result.mac_cycles} MAC cycles, {result.saturations} saturations, argmax {result.argmax}"
    return values, plusargs, f"{last}\nPASS: 4 vectors, 12 words, {cycles} cycles"


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("calm", [0, 1])
def test_the_axi_wrapper_loads_runs_and_streams_under_back_pressure(seed: int, calm: int) -> None:
    values, plusargs, passed = network_plusargs(seed, calm)
    assert passed in bench("axi_engine_tb", values, plusargs)


def strided_plusargs(seed: int) -> tuple[dict[str, int], list[str], str]:
    """A network whose input and output are tensors of three runs each: parameters, plusargs, what must be printed."""
    rng = np.random.default_rng(seed)
    a = Assembly()
    run = dense(a, 3, 64, rng.integers(-128, 128, (6, 9)), rng.integers(-999, 999, 9), 7)
    a.add(replace(run, counts=(2, 3, 1, 3, 1, 1), strides=(1, 5, 0, 0, 0, 0), argmax=True), Halt())
    images = a.images(activations=rng.integers(-128, 128, 96))
    place = np.arange(6)
    source, target = 3 + place // 2 * 5 + place % 2, 63 + place // 2 * 4 + place % 2
    inputs = rng.integers(-128, 128, (3, 6))
    emulator, expected, cycles = Emulator(SMALL, images), [], 0
    for row in inputs:
        emulator.memory[source] = row
        result = emulator.run()
        cycles += result.cycles
        expected.append(emulator.memory[target])
    folder = scratch()
    plusargs = write_images(folder, SMALL, images)
    plusargs += [
        f"+inputs={hexadecimal(folder / 'i', inputs, 8)}",
        f"+expected={hexadecimal(folder / 'e', np.array(expected), 8)}",
        *("+vectors=3", "+input_words=6", "+input_address=3", "+input_run=2", "+input_stride=5"),
        *("+output_words=6", "+output_address=63", "+output_run=2", "+output_stride=4", f"+seed={seed}"),
    ]
    values = {k: v for k, v in SMALL.verilog().items() if not k.startswith(("PRODUCT", "MODEL"))}
    last = f"Last vector: {result.mac_cycles} MAC cycles, {result.saturations} saturations, argmax {result.argmax}"
    return values, plusargs, f"{last}\nPASS: 3 vectors, 18 words, {cycles} cycles"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_axi_wrapper_streams_tensors_of_three_runs(seed: int) -> None:
    values, plusargs, passed = strided_plusargs(seed)
    assert passed in bench("axi_engine_tb", values, plusargs)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"AUTOSTART": 7, "SECURE_ONLY": 1},
        {"AUTOSTART": 15, "ACTIVATION_WIDTH": 8, "LANES": 2},
        {"AUTOSTART": 2, "ACTIVATION_WIDTH": 32, "WEIGHT_WIDTH": 32, "LANES": 8},
    ],
    ids=["commanded", "by itself and secure", "forever", "wide"],
)
def test_the_wrapper_answers_its_host_and_asks_its_engine_as_the_map_says(parameters: dict[str, int]) -> None:
    assert "PASS: " in bench("axi_engine_ports_tb", parameters)


def test_the_wrapper_hands_every_parameter_to_the_engine() -> None:
    engine, wrapper = ((RTL / name).read_text() for name in ("engine.v", "axi_engine.v"))
    values = re.compile(r"parameter (\w+) = (-?\d+|\"\")(?=[,\n])")
    wanted = dict(values.findall(engine))
    del wanted["COUNTER_WIDTH"]
    # The wrapper has no window, and its drivers refuse a pack that streams; its host waits for the engine.
    assert (wanted.pop("WEIGHT_WINDOW"), wanted.pop("HOST_WRITES")) == ("0", "0")
    found = dict(values.findall(wrapper))
    assert found.pop("SECURE_ONLY") == "0"
    assert found == wanted and set(EngineConfig().verilog()) == {
        n for n in wanted if not n.endswith("_IMAGE")
    }
    assert set(re.findall(r"\.([A-Z_]+)\(\1\)", wrapper)) == set(wanted)


def test_the_wrapper_has_a_register_for_every_parameter() -> None:
    assert {register.name for register in PARAMETERS} == set(EngineConfig().verilog())
