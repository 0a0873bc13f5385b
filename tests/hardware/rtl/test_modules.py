# SPDX-License-Identifier: MIT
"""The engine's Verilog, module by module: benches against the Python twins, lint, refused parameters."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import INSTRUCTIONS, Halt, JumpEqual, Run
from fixedpoint_nn.hardware.isa.lfsr import Noise
from fixedpoint_nn.hardware.isa.reference_tables import markdown
from fixedpoint_nn.hardware.isa.verilog_header import header
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from tests.hardware.rtl.test_engine import SMALL, Assembly, dense
from tests.support.engine_bench import RTL, hexadecimal, scratch, write_images

ROUNDINGS, OVERFLOWS = list(Rounding), list(Overflow)


def bench(
    top: str, parameters: dict[str, int] | None = None, plusargs: list[str] | None = None, rtl: Path = RTL
) -> str:
    """Compiles and runs one bench in Icarus; what it printed."""
    target = scratch() / "bench.vvp"
    command = ["iverilog", "-g2005", f"-I{rtl}", "-s", top, "-o", str(target)]
    command += [f"-P{top}.{name}={value}" for name, value in (parameters or {}).items()]
    subprocess.run([*command, str(rtl / "tb" / f"{top}.v"), *map(str, sorted(rtl.glob("*.v")))], check=True)
    run = ["vvp", "-n", str(target), *(plusargs or [])]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    text = done.stdout + done.stderr
    assert (done.returncode == 0) == ("PASS" in text), text
    return text


def vectors(columns: list[tuple[np.ndarray, int]]) -> Path:
    """A file of fixed-width rows: the columns' bit patterns side by side, the first in the highest bits."""
    path = scratch() / "vectors.mem"
    total = sum(bits for _, bits in columns)
    lines = []
    for row in zip(*(np.ravel(values).tolist() for values, _ in columns), strict=True):
        word = 0
        for value, (_, bits) in zip(row, columns, strict=True):
            word = word << bits | int(value) & ((1 << bits) - 1)
        lines.append(f"{word:0{-(-total // 4)}x}\n")
    path.write_text("".join(lines))
    return path


# ---- requantize --------------------------------------------------------------------------------------------


def requantized(
    sums: np.ndarray, bias: int, shift: int, leak: int, before: bool, after: bool, quantizer: Quantizer
) -> tuple[np.ndarray, np.ndarray]:
    """The twin: words, and which of them did not fit."""
    biased = sums + bias
    if before:
        biased = np.maximum(biased, 0)
    wide = Quantizer(QFormat(63, 0), quantizer.rounding)
    rounded = np.where(biased < 0, wide.from_ints(biased, shift + leak), wide.from_ints(biased, shift))
    words = quantizer.from_ints(rounded, 0)
    return (np.maximum(words, 0) if after else words), words != rounded


def requantize_vectors(
    sum_width: int, bias_width: int, output_width: int, rng: np.random.Generator, exhaustive: bool
) -> Path:
    """Rows of settings, sum, bias, shift and the word that must come; every rounding and overflow."""
    rows = []
    for rounding in ROUNDINGS:
        for overflow in OVERFLOWS:
            for bits in sorted({1, 2, output_width // 2, output_width - 1, output_width}):
                for signed in (True, False):
                    if not signed and bits == output_width:
                        continue
                    before, after = (bool(rng.integers(4) == 0) for _ in range(2))
                    leak = int(rng.integers(1, 4)) if rng.integers(3) == 0 else 0
                    shift = int(rng.integers(0, sum_width))
                    bias = int(rng.integers(-(1 << bias_width - 1), 1 << bias_width - 1)) >> int(
                        rng.integers(bias_width)
                    )
                    low, high = -(1 << sum_width - 1), (1 << sum_width - 1) - 1
                    if exhaustive:
                        sums = np.arange(low, high + 1)
                    else:
                        shift = (
                            int(rng.integers(0, 64 - leak))
                            if rng.integers(4) == 0
                            else int(rng.integers(sum_width - output_width))
                        )
                        half = 1 << max(shift - 1, 0)
                        near = [
                            low,
                            high,
                            -bias,
                            half - bias,
                            -half - bias,
                            3 * half - bias,
                            -3 * half - bias,
                        ]
                        near += [
                            (s << shift) - bias for s in (-(1 << bits - 1), 1 << bits - 1, (1 << bits) - 1)
                        ]
                        near += [place + step for place in list(near) for step in (-1, 1)]
                        full = rng.integers(low, high, 20, dtype=np.int64, endpoint=True)
                        some = rng.integers(-(1 << bits + 1), 1 << bits + 1, 20) * (1 << min(shift, 40))
                        sums = np.clip(np.array(near, dtype=object), low, high).astype(np.int64)
                        sums = np.concatenate([sums, full, np.clip(some, low, high)])
                    quantizer = Quantizer(QFormat(bits, 0, signed), rounding, overflow)
                    words, misfit = requantized(sums, bias, shift, leak, before, after, quantizer)
                    settings = [
                        before,
                        after,
                        leak,
                        ROUNDINGS.index(rounding),
                        OVERFLOWS.index(overflow),
                        bits,
                        signed,
                    ]
                    rows.append([*(np.full(len(sums), s) for s in settings), sums, np.full(len(sums), bias),
                                 np.full(len(sums), shift), words, misfit])  # fmt: skip
    widths = [1, 1, 6, 3, 2, 6, 1, sum_width, bias_width, 6, output_width, 1]
    columns = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
    return vectors(list(zip(columns, widths, strict=True)))


@pytest.mark.parametrize(
    ("sum_width", "bias_width", "output_width"), [(8, 7, 4), (24, 16, 8), (48, 32, 16), (62, 40, 18)]
)
def test_requantize_equals_the_quantizer(sum_width: int, bias_width: int, output_width: int) -> None:
    rng = np.random.default_rng(sum_width)
    path = requantize_vectors(sum_width, bias_width, output_width, rng, exhaustive=sum_width == 8)
    count = len(path.read_text().splitlines())
    text = bench(
        "requantize_tb",
        {"SUM_WIDTH": sum_width, "BIAS_WIDTH": bias_width, "OUTPUT_WIDTH": output_width},
        [f"+vectors={path}", f"+count={count}"],
    )
    assert f"PASS: {count} vectors" in text


def test_the_requantizer_bench_notices_one_wrong_bit() -> None:
    path = requantize_vectors(24, 16, 8, np.random.default_rng(1), exhaustive=False)
    lines = path.read_text().splitlines()
    lines[100] = f"{int(lines[100], 16) ^ 2:0{len(lines[100])}x}"
    path.write_text("\n".join(lines) + "\n")
    text = bench(
        "requantize_tb",
        {"SUM_WIDTH": 24, "BIAS_WIDTH": 16, "OUTPUT_WIDTH": 8},
        [f"+vectors={path}", f"+count={len(lines)}"],
    )
    assert "FAIL: vector 100" in text


@pytest.mark.parametrize("rounding", range(7))
@pytest.mark.parametrize("overflow", range(4))
@pytest.mark.parametrize(("bits", "signed", "shift"), [(4, 1, 3), (4, 0, 3), (7, 1, 0)])
def test_quantize_product_equals_the_quantizer_on_all_products(
    rounding: int, overflow: int, bits: int, signed: int, shift: int
) -> None:
    products = np.arange(-512, 512)
    quantizer = Quantizer(QFormat(bits, 0, bool(signed)), ROUNDINGS[rounding], OVERFLOWS[overflow])
    path = vectors([(products, 10), (quantizer.from_ints(products, shift), 10)])
    parameters = {
        "WIDTH": 10,
        "BITS": bits,
        "SHIFT": shift,
        "SIGNED": signed,
        "ROUNDING": rounding,
        "OVERFLOW": overflow,
    }
    assert "PASS: 1024 vectors" in bench(
        "quantize_product_tb", parameters, [f"+vectors={path}", "+count=1024"]
    )


# ---- the small ones ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 0, 0xDEADBEEF, 0xFFFFFFFF, *(1 << bit for bit in range(3, 32, 4))])
def test_the_noise_generator_equals_its_twin(seed: int) -> None:
    noise = Noise(seed)
    path = vectors([(np.array([noise.draw() for _ in range(500)]), 32)])
    assert "PASS: 500 vectors" in bench("noise_tb", None, [f"+vectors={path}", "+count=500", f"+seed={seed}"])


def test_the_noise_generator_has_no_short_cycle() -> None:
    noise = Noise(1)
    states = [noise.draw() for _ in range(20000)]
    assert len(set(states)) == len(states)


def test_argmax_is_the_first_of_the_largest() -> None:
    rng = np.random.default_rng(3)
    words = np.concatenate([rng.integers(-8, 8, 40) for _ in range(50)])
    clear = np.arange(words.size) % 40 == 0
    runs = words.reshape(-1, 40)
    index = np.array([[run[: n + 1].argmax() for n in range(40)] for run in runs])
    best = np.array([[run[: n + 1].max() for n in range(40)] for run in runs])
    path = vectors([(clear, 1), (words, 8), (index, 8), (best, 8)])
    assert f"PASS: {words.size} vectors" in bench(
        "argmax_tb", {"WIDTH": 8, "INDEX_WIDTH": 8}, [f"+vectors={path}", f"+count={words.size}"]
    )


BENCHES = [
    *(
        (f"{name}_tb", {})
        for name in ("memory", "activation_memory", "status", "lane", "write_back", "sequencer")
    ),
    *(("drain_tb", {"LANES": lanes}) for lanes in (1, 2, 4, 8, 16, 32)),
    *(("loop_nest_tb", {"LANES": lanes}) for lanes in (1, 4, 8, 32)),
]


@pytest.mark.parametrize(("top", "parameters"), BENCHES, ids=str)
def test_module_against_its_model(top: str, parameters: dict[str, int]) -> None:
    assert re.search(r"PASS: \d+ vectors", bench(top, parameters))


# ---- the wrapper -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("calm", [0, 1])
def test_the_axi_wrapper_loads_runs_and_streams_under_back_pressure(seed: int, calm: int) -> None:
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
        Halt(),
    )
    images = a.images(rng.integers(-128, 128, 256), np.arange(8))
    inputs = rng.integers(-128, 128, (4, 5))
    emulator, expected, cycles = Emulator(SMALL, images), [], 0
    for row in inputs:
        emulator.write(0, row)
        cycles += emulator.run().cycles
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
    assert f"PASS: 4 vectors, 12 words, {cycles} cycles" in bench("axi_engine_tb", values, plusargs)


def strided_plusargs(seed: int) -> tuple[dict[str, int], list[str], str]:
    """A network whose input and output are tensors of three runs each: parameters, plusargs, what must be printed."""
    rng = np.random.default_rng(seed)
    a = Assembly()
    run = dense(a, 3, 64, rng.integers(-128, 128, (6, 9)), rng.integers(-999, 999, 9), 7)
    a.add(replace(run, counts=(2, 3, 1, 3, 1, 1), strides=(1, 5, 0, 0, 0, 0)), Halt())
    images = a.images(activations=rng.integers(-128, 128, 96))
    place = np.arange(6)
    source, target = 3 + place // 2 * 5 + place % 2, 63 + place // 2 * 4 + place % 2
    inputs = rng.integers(-128, 128, (3, 6))
    emulator, expected, cycles = Emulator(SMALL, images), [], 0
    for row in inputs:
        emulator.memory[source] = row
        cycles += emulator.run().cycles
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
    return values, plusargs, f"PASS: 3 vectors, 18 words, {cycles} cycles"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_axi_wrapper_streams_tensors_of_three_runs(seed: int) -> None:
    values, plusargs, passed = strided_plusargs(seed)
    assert passed in bench("axi_engine_tb", values, plusargs)


# ---- mistakes that a bench must notice ------------------------------------------------------------------------------

# (file, what stands there and the mistake, bench, its parameters); registers without a reset begin with 0 as in a chip
MISTAKES = [
    (
        "sequencer.v",
        {
            "wire loaded_now = loading && wait_load == 3'd1;": "wire loaded_now = wait_load == 3'd1;",
            "reg [2:0] wait_load;": "reg [2:0] wait_load = 3'd0;",
        },
        *("sequencer_tb", {}),
    ),
    (
        "loop_nest.v",
        {
            "            state <= IDLE;\n            spacing <= 6'd0;\n": "            state <= IDLE;\n",
            "reg  [5:0]  spacing;": "reg  [5:0]  spacing = 6'd0;",
        },
        *("loop_nest_tb", {"LANES": 8}),
    ),
    (
        "loop_nest.v",
        {
            "            spacing <= 6'd0;\n            settle <= 5'd0;\n": "            spacing <= 6'd0;\n",
            "reg  [4:0]  settle;": "reg  [4:0]  settle = 5'd0;",
        },
        *("loop_nest_tb", {"LANES": 8}),
    ),
    ("drain.v", {"picked | groups[group-1].partial_or": "picked"}, *("drain_tb", {"LANES": 16})),
    (
        "drain.v",
        {"if (group % HALF == 0) begin : first": "if (group % HALF <= 1) begin : first"},
        *("drain_tb", {"LANES": 32}),
    ),
    (
        "drain.v",
        {"GROUPS > 1 ? groups[GROUPS-1].partial_or": "GROUPS > 2 ? groups[GROUPS-2].partial_or"},
        *("drain_tb", {"LANES": 16}),
    ),
    ("axi_engine.v", {"                run_left <= run_words;\n": ""}, *("axi_engine_tb", {})),
    ("axi_engine.v", {"                run_start <= run_start + stride;\n": ""}, *("axi_engine_tb", {})),
]


@pytest.mark.parametrize(("name", "changes", "top", "parameters"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_in_a_module_is_noticed_by_its_bench(
    name: str, changes: dict[str, str], top: str, parameters: dict[str, int], tmp_path: Path
) -> None:
    rtl = tmp_path / "rtl"
    shutil.copytree(RTL, rtl)
    text = (rtl / name).read_text()
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (rtl / name).write_text(text)
    plusargs: list[str] = []
    if top == "axi_engine_tb":
        parameters, plusargs, _ = strided_plusargs(1)
    assert "FAIL: " in bench(top, parameters, plusargs, rtl)


# ---- text --------------------------------------------------------------------------------------------------


def test_the_verilog_header_is_what_the_instruction_table_gives() -> None:
    assert (RTL / "fields.vh").read_text() == header()
    defined = {name: int(value) for name, value in re.findall(r"`define RUN_(\w+) (\d+)", header())}
    for field in Run.layout:
        if not field.name.endswith(".register"):
            assert defined.pop(field.name.upper().replace(".", "_")) == 32 * field.word + field.low, (
                field.name
            )
    assert defined == {"WORDS": Run.words, "BITS": 32 * Run.words}
    operations = {name: int(value) for name, value in re.findall(r"`define OP_(\w+) 3'd(\d)", header())}
    assert sorted(operations.values()) == sorted(INSTRUCTIONS)
    assert operations["JUMP_EQUAL"] == JumpEqual.opcode


def test_the_page_on_the_engine_holds_the_instruction_tables() -> None:
    assert markdown() in (RTL.parent / "docs" / "engine.md").read_text()


def test_every_module_has_a_header_and_a_bench_and_guards_its_nets() -> None:
    for path in sorted(RTL.glob("*.v")):
        text = path.read_text()
        assert text.startswith("// SPDX-License-Identifier: MIT\n// "), path
        assert "Python twin:" in text, path
        assert "`default_nettype none" in text, path
        assert text.rstrip().endswith("`default_nettype wire"), path
        assert (RTL / "tb" / f"{path.stem}_tb.v").exists(), path


LINT = [
    *({"LANES": lanes, "ACTIVATION_WIDTH": width, "WEIGHT_WIDTH": width, "ACCUMULATOR_WIDTH": 2 * width + 8}
      for lanes in (1, 2, 8, 32) for width in (4, 8, 16, 18)),
    {"MODEL_WIDTH": 20},
    {"MODEL_WIDTH": 20, "MODEL_SATURATE": 1},
    {"MODEL_WIDTH": 20, "MODEL_SATURATE": 1, "PRODUCT_BITS": 12, "PRODUCT_SHIFT": 4, "PRODUCT_OVERFLOW": 1},
    {"ACTIVATION_WIDTH": 12, "WEIGHT_WIDTH": 8},
    {"ACTIVATION_WIDTH": 8, "WEIGHT_WIDTH": 12, "BIAS_WIDTH": 63},
    {"WEIGHT_DEPTH": 100000, "TABLE_DEPTH": 70000},
]  # fmt: skip


@pytest.mark.parametrize("parameters", LINT, ids=str)
def test_lint_finds_nothing(parameters: dict[str, int]) -> None:
    command = [
        "verilator",
        "--lint-only",
        "-Wall",
        f"-I{RTL}",
        "--top-module",
        "engine",
        str(RTL / "lint.vlt"),
        str(RTL / "engine.v"),
    ]
    done = subprocess.run(
        command + [f"-G{name}={value}" for name, value in parameters.items()], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("parameters", LINT[:16], ids=str)
def test_lint_finds_nothing_in_the_wrapper(parameters: dict[str, int]) -> None:
    command = [
        "verilator",
        "--lint-only",
        "-Wall",
        f"-I{RTL}",
        "--top-module",
        "axi_engine",
        str(RTL / "lint.vlt"),
        str(RTL / "axi_engine.v"),
    ]
    done = subprocess.run(
        command + [f"-G{name}={value}" for name, value in parameters.items()], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


ILLEGAL = [
    ({"LANES": 3}, "LANES = 3; use 1, 2, 4, 8, 16 or 32"),
    ({"LANES": 0}, "LANES = 0; use 1, 2, 4, 8, 16 or 32"),
    ({"LANES": -8}, "LANES = -8; use 1, 2, 4, 8, 16 or 32"),
    ({"ACTIVATION_WIDTH": 1}, "ACTIVATION_WIDTH = 1; use 2 to 32"),
    ({"ACTIVATION_WIDTH": 0}, "ACTIVATION_WIDTH = 0; use 2 to 32"),
    ({"ACTIVATION_WIDTH": 70, "ACCUMULATOR_WIDTH": 63}, "ACTIVATION_WIDTH = 70; use 2 to 32"),
    ({"WEIGHT_WIDTH": 0}, "WEIGHT_WIDTH = 0; use 2 to 32"),
    ({"WEIGHT_WIDTH": -16}, "WEIGHT_WIDTH = -16; use 2 to 32"),
    ({"ACCUMULATOR_WIDTH": 0}, "ACCUMULATOR_WIDTH = 0; use 32 (a product's bits) to 63"),
    ({"BIAS_WIDTH": 0}, "BIAS_WIDTH = 0; use 2 to 63"),
    ({"COUNTER_WIDTH": 33}, "COUNTER_WIDTH = 33; use 1 to 32"),
    ({"COUNTER_WIDTH": 0}, "COUNTER_WIDTH = 0; use 1 to 32"),
    ({"WEIGHT_WIDTH": 40, "ACCUMULATOR_WIDTH": 60}, "WEIGHT_WIDTH = 40; use 2 to 32"),
    ({"ACCUMULATOR_WIDTH": 20}, "ACCUMULATOR_WIDTH = 20; use 32 (a product's bits) to 63"),
    ({"BIAS_WIDTH": 1}, "BIAS_WIDTH = 1; use 2 to 63"),
    ({"MODEL_WIDTH": 49}, "MODEL_WIDTH = 49; use 0 (none) or 2 to ACCUMULATOR_WIDTH = 48"),
    ({"PRODUCT_ROUNDING": 7}, "PRODUCT_ROUNDING = 7, PRODUCT_OVERFLOW = 0; use 0 to 6 and 0 to 3"),
    ({"ACTIVATION_DEPTH": 4100}, "ACTIVATION_DEPTH = 4100 is not a multiple of LANES = 8"),
    ({"TABLE_DEPTH": 1 << 25}, "a memory needs 25 address bits; instructions have 24"),
    ({"TABLE_DEPTH": 1}, "DEPTH = 1; a memory needs at least 2 words"),
    ({"PROGRAM_DEPTH": 0}, "DEPTH = 0; a memory needs at least 2 words"),
    ({"ACTIVATION_DEPTH": 8}, "ROWS = 1; the activation memory needs at least 2 rows"),
    ({"MODEL_WIDTH": -4}, "MODEL_WIDTH = -4; use 0 (none) or 2 to ACCUMULATOR_WIDTH = 48"),
    ({"MODEL_SATURATE": 2}, "MODEL_SATURATE = 2, PRODUCT_SIGNED = 1; use 0 or 1"),
    ({"PRODUCT_SIGNED": 5}, "MODEL_SATURATE = 0, PRODUCT_SIGNED = 5; use 0 or 1"),
    ({"PRODUCT_BITS": -3}, "PRODUCT_BITS = -3; use 0 (exact products) or 1 to 47"),
    (
        {"ACTIVATION_WIDTH": 32, "WEIGHT_WIDTH": 32},
        "ACTIVATION_WIDTH = 32 and WEIGHT_WIDTH = 32 make products of 64 bits; use at most 63",
    ),
]


@pytest.mark.parametrize(
    ("top", "parameters", "sentence"),
    [("engine", *case) for case in ILLEGAL]
    + [("axi_engine", *case) for case in ILLEGAL if "COUNTER_WIDTH" not in case[0]],
)
def test_an_illegal_parameter_stops_the_simulation_at_time_zero_with_a_sentence(
    top: str, parameters: dict[str, int], sentence: str
) -> None:
    target = scratch() / "bench.vvp"
    command = ["iverilog", "-g2005", f"-I{RTL}", "-s", top, "-o", str(target)]
    command += [f"-P{top}.{name}={value}" for name, value in parameters.items()]
    compiled = subprocess.run([*command, *map(str, sorted(RTL.glob("*.v")))], capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run(["vvp", "-n", str(target)], capture_output=True, text=True)
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
    assert re.search(r"Time: 0\b", done.stdout + done.stderr)


def test_the_wrapper_hands_every_parameter_to_the_engine() -> None:
    engine, wrapper = ((RTL / name).read_text() for name in ("engine.v", "axi_engine.v"))
    values = re.compile(r"parameter (\w+) = (-?\d+)\b(?! *[*+?])")
    here = dict(values.findall(engine))
    del here["COUNTER_WIDTH"]
    assert dict(values.findall(wrapper)) == here and len(here) == 17
    assert set(re.findall(r"\.([A-Z_]+)\(\1\)", wrapper)) == set(here)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"lanes": 3}, "lanes = 3 is no engine; use 1, 2, 4, 8, 16 or 32"),
        ({"activation_width": 1}, "activation_width = 1 is no engine; use 2 to 32"),
        ({"weight_width": 40}, "weight_width = 40 is no engine; use 2 to 32"),
        (
            {"activation_width": 32, "weight_width": 32, "accumulator_width": 63},
            "activation_width = 32 is no engine; a product of weights or words of 32 bits takes 64, "
            "and an accumulator has 63 at most",
        ),
        (
            {"accumulator_width": 20},
            "accumulator_width = 20 is no engine; use 32 (a product's bits) to 63",
        ),
        ({"bias_width": 64}, "bias_width = 64 is no engine; use 2 to 63"),
        ({"model_width": 49}, "model_width = 49 is no engine; use 0 (none) or 2 to the accumulator's 48"),
        ({"model_saturate": 2}, "model_saturate = 2 is no engine; use 0 (wrap) or 1 (saturate)"),
        ({"product_bits": 48}, "product_bits = 48 is no engine; use 0 (exact) to 47"),
        ({"product_shift": -1}, "product_shift = -1 is no engine; use 0 to 47"),
        ({"product_signed": 5}, "product_signed = 5 is no engine; use 0 or 1"),
        ({"product_rounding": 7}, "product_rounding = 7 is no engine; use 0 to 6"),
        ({"product_overflow": 4}, "product_overflow = 4 is no engine; use 0 to 3"),
        (
            {"activation_depth": 4100},
            "activation_depth = 4100 is no engine; use a multiple of the 8 lanes, at least twice",
        ),
        ({"weight_depth": 1}, "weight_depth = 1 is no engine; use at least 2"),
        (
            {"table_depth": 1 << 25},
            "address_width = 25 is no engine; instructions have 24 bits: choose smaller memories",
        ),
    ],
)
def test_a_configuration_that_is_no_engine_is_refused_in_a_sentence(
    parameters: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        EngineConfig(**parameters)
