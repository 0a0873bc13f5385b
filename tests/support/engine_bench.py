# SPDX-License-Identifier: MIT
"""Runs memory images on the engine's Verilog, for the tests of the engine itself."""

from __future__ import annotations

import copy
import functools
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.emulator.result import Result
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.weight_window import Outside, WeightMemory
from fixedpoint_nn.hardware.sim import verilator

RTL = Path(__file__).resolve().parents[2] / "reference_rtl"


def scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="engine_"))


@functools.cache
def build(config: EngineConfig, simulator: str = "iverilog") -> list[str]:
    """The command that simulates this engine."""
    folder = scratch()
    values = config.verilog()
    benches = [RTL / "tb" / name for name in ("engine_tb.v", "weight_source.v")]
    sources = [*map(str, benches), *map(str, sorted(RTL.glob("*.v")))]
    if simulator == "iverilog":
        target = folder / "engine.vvp"
        command = ["iverilog", "-g2005", f"-I{RTL}", "-s", "engine_tb", "-o", str(target)]
        subprocess.run(
            command + [f"-Pengine_tb.{name}={value}" for name, value in values.items()] + sources, check=True
        )
        return ["vvp", "-n", str(target)]
    command = ["verilator", *verilator.options(), f"-I{RTL}"]
    sources.append(str(RTL / "tb" / "engine_tb.cpp"))
    command += ["--top-module", "engine_tb", "--Mdir", str(folder / "obj"), "-o", "sim"]
    subprocess.run(
        command + [f"-G{name}={value}" for name, value in values.items()] + sources,
        check=True,
        capture_output=True,
    )
    return [str(folder / "obj" / "sim")]


@dataclass
class Simulation:
    """What the bench said."""

    status: int
    text: str
    outputs: list[list[int]]
    cycles: list[int]
    counters: list[tuple[int, int, int, int]]  # mac_cycles, saturations, accumulator_overflow, argmax
    trace: list[tuple[int, int, int, int]]  # vector, cycle, address, data
    stalls: list[int]
    arrivals: list[
        np.ndarray
    ]  # of each vector, the cycle in which each row of weights from outside was taken


def write_images(folder: Path, config: EngineConfig, images: Images) -> list[str]:
    """Writes the .mem files; the plusargs that name them."""
    plusargs = []
    for name, (bits, words) in images.words(config).items():
        path = folder / f"{name}.mem"
        path.write_text("".join(f"{word:0{bit_packing.digits(bits)}x}\n" for word in words))
        plusargs += [f"+{name}={path}", f"+{name}_words={len(words)}"]
    return plusargs


def hexadecimal(path: Path, values: np.ndarray, bits: int) -> Path:
    digits = bit_packing.digits(bits)
    path.write_text(
        "".join(f"{word:0{digits}x}\n" for word in bit_packing.unsigned(np.ravel(values).tolist(), bits))
    )
    return path


def simulate(
    config: EngineConfig,
    images: Images,
    inputs: np.ndarray,
    input_address: int,
    output_address: int,
    output_words: int,
    *,
    expected: np.ndarray | None = None,
    seed: int = 1,
    simulator: str = "iverilog",
    extra: list[str] | None = None,
) -> Simulation:
    """Runs the network on each row of `inputs`."""
    folder, bits = scratch(), config.activation_width
    plusargs = write_images(folder, config, images)
    plusargs += [
        f"+inputs={hexadecimal(folder / 'inputs.mem', inputs, bits)}",
        f"+vectors={len(inputs)}",
        f"+input_words={inputs.shape[1]}",
        f"+input_address={input_address}",
        f"+output_words={output_words}",
        f"+output_address={output_address}",
        f"+seed={seed}",
        f"+results={folder / 'results'}",
        f"+trace={folder / 'trace'}",
        f"+arrivals={folder / 'arrivals'}",
        "+limit=2000000",
    ]
    if expected is not None:
        plusargs.append(f"+expected={hexadecimal(folder / 'expected.mem', expected, bits)}")
    done = subprocess.run(
        build(config, simulator) + plusargs + (extra or []),
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
    )
    outputs: list[list[int]] = []
    cycles, counters, stalls = [], [], []
    for line in (folder / "results").read_text().splitlines() if (folder / "results").exists() else []:
        if line.startswith("#"):
            numbers = list(map(int, line[1:].split()))
            cycles.append(numbers[1])
            counters.append((numbers[2], numbers[3], numbers[4], numbers[5]))
            stalls.append(numbers[6])
            outputs.append([])
        else:
            outputs[-1] += (
                bit_packing.signed([int(line, 16)], bits) if re.fullmatch(r"[0-9a-f]+", line) else []
            )
    trace = []
    for line in (folder / "trace").read_text().splitlines() if (folder / "trace").exists() else []:
        vector, cycle, address, data = line.split()
        known = re.fullmatch(r"[0-9a-f]+", data)
        trace.append(
            (
                int(vector),
                int(cycle),
                int(address),
                bit_packing.signed([int(data, 16)], bits)[0] if known else 1 << 40,
            )
        )
    arrivals = read_arrivals(folder / "arrivals", len(inputs))
    return Simulation(
        done.returncode, done.stdout + done.stderr, outputs, cycles, counters, trace, stalls, arrivals
    )


def read_arrivals(path: Path, vectors: int) -> list[np.ndarray]:
    """Of each vector, the cycles in which its rows of weights were taken."""
    found: list[list[int]] = [[] for _ in range(vectors)]
    for line in path.read_text().splitlines() if path.exists() else []:
        vector, cycle = map(int, line.split())
        if vector < vectors:
            found[vector].append(cycle)
    return [np.array(cycles, np.int64) for cycles in found]


def emulate(
    config: EngineConfig,
    images: Images,
    inputs: np.ndarray,
    input_address: int,
    seed: int = 1,
    outside: Sequence[Outside] = (),
) -> list[tuple[Emulator, Result]]:
    """The same on the Python twin; the memory passes from vector to vector as it does in the Verilog."""
    emulator = Emulator(config, images)
    done = []
    for number, row in enumerate(inputs):
        if outside:
            emulator.outside = outside[number]
        emulator.write(input_address, row)
        result = emulator.run(seed + number, writes=True)
        snapshot = Emulator(config, images)
        snapshot.activations = copy.deepcopy(emulator.activations)
        done.append((snapshot, result))
    return done


def source(memory: WeightMemory | int) -> list[str]:
    """The plusargs of the memory that streams weights."""
    if isinstance(memory, int):
        return [f"+stream_random={memory}"]
    return [f"+stream_clocks={memory.clocks}", f"+stream_latency={memory.latency}"]


def compare(
    config: EngineConfig,
    images: Images,
    inputs: np.ndarray,
    input_address: int,
    output_address: int,
    output_words: int,
    *,
    simulator: str = "iverilog",
    seed: int = 1,
    memory: WeightMemory | int | None = None,
) -> list[list[int]]:
    """Verilog and twin must agree in every output, every write, its cycle, and every counter; the outputs.

    `memory` streams the weights that come from outside: at a fixed rate, or with random pauses from a seed.
    """
    extra = [] if memory is None else source(memory)
    simulation = simulate(
        config, images, inputs, input_address, output_address, output_words, simulator=simulator, seed=seed,
        extra=extra,
    )  # fmt: skip
    assert simulation.status == 0, simulation.text
    assert f"PASS: {len(inputs)} vectors, {len(inputs) * output_words} words" in simulation.text
    outside: Sequence[Outside] = (
        simulation.arrivals if isinstance(memory, int) else [memory] * len(inputs) if memory else ()
    )
    emulated = emulate(config, images, inputs, input_address, seed, outside)
    writes = []
    for vector, (_, result) in enumerate(emulated):
        for write in result.writes:
            writes += [
                (vector, *map(int, item))
                for item in zip(write.cycles, write.addresses, write.values, strict=True)
            ]
    assert simulation.trace == writes, _first_difference(simulation.trace, writes)
    assert simulation.outputs == [e.read(output_address, output_words).tolist() for e, _ in emulated]
    assert simulation.cycles == [result.cycles for _, result in emulated]
    assert simulation.stalls == [result.stalls for _, result in emulated]
    assert simulation.counters == [
        (r.mac_cycles, r.saturations, int(r.accumulator_overflow), r.argmax) for _, r in emulated
    ]
    return simulation.outputs


def _first_difference(rtl: list[tuple[int, ...]], twin: list[tuple[int, ...]]) -> str:
    for place, (a, b) in enumerate(zip(rtl, twin)):
        if a != b:
            return f"write {place}: Verilog {a}, twin {b} (vector, cycle, address, data)"
    return f"{len(rtl)} writes in Verilog, {len(twin)} in the twin"
