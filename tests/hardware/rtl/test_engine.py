# SPDX-License-Identifier: MIT
"""Programs assembled by hand, on the Verilog and on its Python twin, against plain Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.emulator.result import EmulationError
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import (
    OVERFLOWS,
    ROUNDINGS,
    Address,
    Halt,
    Increment,
    Instruction,
    JumpEqual,
    Load,
    Loop,
    Run,
    Set,
    Store,
    encode,
)
from fixedpoint_nn.hardware.isa.lfsr import Noise
from tests.support.engine_bench import compare, simulate

LANES = 4
SMALL = EngineConfig(
    lanes=LANES,
    activation_width=8,
    weight_width=8,
    accumulator_width=24,
    bias_width=16,
    activation_depth=512,
    weight_depth=256,
    parameter_depth=64,
    table_depth=256,
    program_depth=256,
)
FLOOR, SATURATE = ROUNDINGS.index("FLOOR"), OVERFLOWS.index("SATURATE")


def rows(matrix: np.ndarray) -> np.ndarray:
    """(taps, channels) as rows of LANES weights, tile after tile."""
    taps, channels = matrix.shape
    tiles = -(-channels // LANES)
    padded = np.zeros((taps, tiles * LANES), np.int64)
    padded[:, :channels] = matrix
    return padded.reshape(taps, tiles, LANES).transpose(1, 0, 2).reshape(-1, LANES)


class Assembly:
    """Collects the images of one program."""

    def __init__(self) -> None:
        self.program: list[Instruction] = []
        self.weights: list[np.ndarray] = []
        self.parameters: list[np.ndarray] = []

    @property
    def here(self) -> int:
        return sum(instruction.words for instruction in self.program)

    def add(self, *instructions: Instruction) -> None:
        self.program += instructions

    def weight(self, matrix: np.ndarray) -> Address:
        place = sum(map(len, self.weights))
        self.weights.append(rows(np.asarray(matrix)))
        return Address(place)

    def parameter(self, shift: int, biases: list[int] | np.ndarray) -> Address:
        place = sum(map(len, self.parameters))
        self.parameters.append(np.array([[shift, bias] for bias in biases]))
        return Address(place)

    def images(self, tables: np.ndarray | None = None, activations: np.ndarray | None = None) -> Images:
        nothing = np.zeros(0, np.int64)
        return Images(
            encode(self.program),
            np.concatenate(self.weights),
            np.concatenate(self.parameters),
            nothing if tables is None else tables,
            nothing if activations is None else activations,
        )


def dense(
    a: Assembly,
    source: int,
    target: int,
    weight: np.ndarray,
    bias: np.ndarray,
    shift: int,
    **settings: object,
) -> Run:
    taps, channels = weight.shape
    tiles = -(-channels // LANES)
    settings = {"out_bits": 8, "rounding": FLOOR} | settings
    return Run(
        activation=Address(source),
        weight=a.weight(weight),
        parameter=a.parameter(shift, bias),
        output=Address(target),
        counts=(taps, 1, 1, tiles, 1, 1),
        strides=(1, 0, 0, 0, 0, 0),
        last_channels=channels - (tiles - 1) * LANES,
        **settings,  # type: ignore[arg-type]
    )


def clamp(value: int, bits: int = 8) -> int:
    return max(-(1 << bits - 1), min((1 << bits - 1) - 1, value))


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
def test_a_two_layer_perceptron_equals_plain_integers(simulator: str) -> None:
    rng = np.random.default_rng(1)
    w1, b1 = rng.integers(-128, 128, (5, 10)), rng.integers(-999, 999, 10)
    w2, b2 = rng.integers(-128, 128, (10, 3)), rng.integers(-999, 999, 3)
    a = Assembly()
    a.add(dense(a, 0, 32, w1, b1, 7, relu_before=True), dense(a, 32, 64, w2, b2, 9, argmax=True), Halt())
    inputs = rng.integers(-128, 128, (3, 5))
    outputs = compare(SMALL, a.images(), inputs, 0, 64, 3, simulator=simulator)
    for x, out in zip(inputs.tolist(), outputs):
        hidden = [
            clamp(max(0, sum(x[k] * int(w1[k, j]) for k in range(5)) + int(b1[j])) >> 7) for j in range(10)
        ]
        assert out == [
            clamp(sum(hidden[k] * int(w2[k, j]) for k in range(10)) + int(b2[j]) >> 9) for j in range(3)
        ]


def test_a_padded_strided_convolution_with_pooling_equals_plain_integers() -> None:
    rng = np.random.default_rng(2)
    height, width, channels, filters = 7, 6, 2, 6
    weight, bias = rng.integers(-128, 128, (3, 3, channels, filters)), rng.integers(-99, 99, filters)
    image = rng.integers(-128, 128, (2, height, width, channels))
    pixel = 2 * LANES  # words of an output pixel: whole rows, for pooling
    out_h, out_w = 7, 3  # stride 1 down, 2 across
    a = Assembly()
    a.add(
        Run(
            activation=Address(
                SMALL.activation_depth * 8 - (width + 1) * channels & 511
            ),  # the tap at (-1, -1)
            weight=a.weight(weight.reshape(-1, filters)),
            parameter=a.parameter(6, bias),
            output=Address(128),
            counts=(channels, 3, 3, 2, out_w, out_h),
            strides=(1, channels, channels * width, 0, 2 * channels, channels * width),
            last_channels=filters - LANES,
            output_gap=pixel - filters,
            bounded=True,
            x_origin=-1,
            y_origin=-1,
            x_step=2,
            x_limit=width,
            y_limit=height,
            out_bits=8,
            rounding=FLOOR,
        ),
        # the largest of 3 x 2, every second row, one row of padding above and one column of it on the left
        Run(
            activation=Address(128 - pixel * (out_w + 1) & 511),
            weight=a.weight(np.ones((6, 2 * LANES), int)),
            parameter=a.parameter(0, [0] * filters),
            output=Address(384),
            counts=(1, 2, 3, 2, 2, 3),
            strides=(0, pixel, pixel * out_w, LANES, 2 * pixel, 2 * pixel * out_w),
            last_channels=filters - LANES,
            vector=True,
            maximum=True,
            bounded=True,
            x_origin=-1,
            y_origin=-1,
            x_step=2,
            y_step=2,
            x_limit=out_w,
            y_limit=out_h,
            out_bits=8,
        ),
        Halt(),
    )
    outputs = compare(SMALL, a.images(), image.reshape(2, -1), 0, 384, 2 * 3 * filters)
    for x, out in zip(image, outputs):
        maps: dict[tuple[int, int, int], int] = {}
        for oy in range(out_h):
            for ox in range(out_w):
                for f in range(filters):
                    total = int(bias[f])
                    for ky in range(3):
                        for kx in range(3):
                            y, x0 = oy + ky - 1, 2 * ox + kx - 1
                            if 0 <= y < height and 0 <= x0 < width:
                                total += sum(
                                    int(x[y, x0, c]) * int(weight[ky, kx, c, f]) for c in range(channels)
                                )
                    maps[oy, ox, f] = clamp(total >> 6)
        pooled = [
            max(
                maps[y, x0, f]
                for y in range(2 * py - 1, 2 * py + 2)
                for x0 in range(2 * px - 1, 2 * px + 1)
                if (y, x0, f) in maps
            )
            for py in range(3)
            for px in range(2)
            for f in range(filters)
        ]
        assert out == pooled


def lstm_program(
    hidden: int, inputs: int, steps: int, rng: np.random.Generator
) -> tuple[Assembly, dict[str, np.ndarray]]:
    """One LSTM layer, z = [x h] W + b, over some steps; tables for sigmoid at 0 and for tanh at 64."""
    w, b = rng.integers(-128, 128, (inputs + hidden, 4 * hidden)), rng.integers(-2000, 2000, 4 * hidden)
    a = Assembly()
    # h has whole rows from 64 on and x ends where h begins; from 128 on the gates i, f, o, g and then c.
    x_now, h, gates = 64 - inputs, 64, 128
    c, tanh_c = gates + 4 * hidden, gates + 5 * hidden
    one = a.weight(np.ones((1, LANES), int))
    none = a.parameter(0, [0] * LANES)
    zero = Run(
        bounded=True, weight=one, parameter=none, output=Address(h), counts=(1, 1, 1, hidden // LANES, 1, 1),
        last_channels=LANES, per_tile=True, out_bits=8,
    )  # fmt: skip
    elementwise = {"vector": True, "per_tile": True, "last_channels": LANES, "out_bits": 8, "rounding": FLOOR}
    a.add(zero, Run(**(vars(zero) | {"output": Address(c), "barrier": False})), Set(1, 0), Set(2, steps))
    loop = a.here
    a.add(
        Run(
            activation=Address(256, 1), weight=one, parameter=none, output=Address(x_now),
            counts=(1, 1, 1, 1, inputs, 1), strides=(0, 0, 0, 0, 1, 0), out_bits=8,
        ),
        dense(a, x_now, gates, w[:, : 3 * hidden], b[: 3 * hidden], 9, out_bits=6, table=True, table_base=0),
        dense(
            a, x_now, gates + 3 * hidden, w[:, 3 * hidden :], b[3 * hidden :], 9,
            out_bits=6, table=True, table_base=64, barrier=False,
        ),
        # c = f*c + i*g: operands f, c, then i, g; the distance from f to i is that from c to g
        Run(
            activation=Address(gates + hidden), parameter=a.parameter(6, [0] * LANES), output=Address(c),
            counts=(2, 2, 1, hidden // LANES, 1, 1), strides=(3 * hidden, -hidden, 0, LANES, 0, 0),
            paired=True, **elementwise,
        ),
        Run(
            activation=Address(c), weight=one, parameter=a.parameter(2, [0] * LANES), output=Address(tanh_c),
            counts=(1, 1, 1, hidden // LANES, 1, 1), strides=(0, 0, 0, LANES, 0, 0),
            **(elementwise | {"out_bits": 6}), table=True, table_base=64,
        ),
        Run(
            activation=Address(gates + 2 * hidden), parameter=a.parameter(6, [0] * LANES), output=Address(h),
            counts=(2, 1, 1, hidden // LANES, 1, 1), strides=(3 * hidden, 0, 0, LANES, 0, 0),
            paired=True, **elementwise,
        ),
        Increment(1, inputs),
        Loop(2, loop),
        Halt(),
    )  # fmt: skip
    return a, {"w": w, "b": b}


def test_an_lstm_over_time_steps_equals_plain_integers() -> None:
    rng = np.random.default_rng(3)
    hidden, inputs, steps = 8, 3, 5
    a, parameters = lstm_program(hidden, inputs, steps, rng)
    codes = np.where(np.arange(64) < 32, np.arange(64), np.arange(64) - 64)
    sigmoid = np.round(127 / (1 + np.exp(-codes / 8))).astype(np.int64)
    tanh = np.round(127 * np.tanh(codes / 8)).astype(np.int64)
    sequences = rng.integers(-128, 128, (2, steps * inputs))
    outputs = compare(SMALL, a.images(np.concatenate([sigmoid, tanh])), sequences, 256, 64, hidden)
    w, b = parameters["w"].tolist(), parameters["b"].tolist()
    for sequence, out in zip(sequences.tolist(), outputs):
        h, c = [0] * hidden, [0] * hidden
        for step in range(steps):
            xh = sequence[step * inputs :][:inputs] + h
            z = [
                clamp(sum(xh[k] * w[k][j] for k in range(len(xh))) + b[j] >> 9, 6) & 63
                for j in range(4 * hidden)
            ]
            gate = [int((tanh if j >= 3 * hidden else sigmoid)[z[j]]) for j in range(4 * hidden)]
            i, f, o, g = (gate[n * hidden :][:hidden] for n in range(4))
            c = [clamp(f[j] * c[j] + i[j] * g[j] >> 6) for j in range(hidden)]
            h = [clamp(o[j] * int(tanh[clamp(c[j] >> 2, 6) & 63]) >> 6) for j in range(hidden)]
        assert out == h


@pytest.mark.parametrize("temperature", [0, 3])
def test_tokens_are_generated_until_the_end_token_or_the_limit(temperature: int) -> None:
    rng = np.random.default_rng(4)
    symbols, width, limit, seed = 7, 4, 12, 77
    embedding = rng.integers(-128, 128, (symbols, width))
    weight, bias = rng.integers(-128, 128, (width, symbols)), rng.integers(-3000, 3000, symbols)
    noise = rng.integers(-128, 128, 16)
    a = Assembly()
    token, text, row, logits, noisy = 0, 256, 96, 128, 136  # noisy follows logits by two rows
    one = a.weight(np.ones((1, LANES), int))
    none = a.parameter(0, [0] * LANES)
    mix = a.weight(np.array([[1] * LANES, [temperature] * LANES]))
    two = {"counts": (1, 1, 1, 2, 1, 1), "strides": (0, 0, 0, LANES, 0, 0), "last_channels": symbols - LANES}
    a.add(Set(1, 0), Set(2, limit))
    loop = a.here
    end = loop + 2 + 20 * 4 + 2 + 2 + 2 + 1 + 1
    a.add(
        Load(3, Address(token), 2),  # rows of 2**2 words
        Run(
            activation=Address(16, 3), weight=one, parameter=none, output=Address(row),
            vector=True, last_channels=width, out_bits=8,
        ),
        dense(a, row, logits, weight, bias, 8),
        Run(
            bounded=True, weight=one, parameter=none, output=Address(noisy),
            per_tile=True, out_bits=4, table=True, noise=True, **two,
        ),
        Run(
            activation=Address(logits), weight=mix, parameter=none, output=Address(144),
            vector=True, per_tile=True,
            **(two | {"counts": (1, 2, 1, 2, 1, 1), "strides": (0, noisy - logits, 0, LANES, 0, 0)}),
            out_bits=8, write=False, argmax=True,
        ),
        Store(Address(token)),
        Store(Address(text, 1)),
        Load(4, Address(token)),
    )  # fmt: skip
    end = a.here + 2 + 1 + 1
    a.add(JumpEqual(4, 0, end), Increment(1, 1), Loop(2, loop))
    assert a.here == end
    a.add(Halt())
    activations = np.zeros(16 + symbols * 4, np.int64)
    activations[16:] = embedding.ravel()
    start = np.array([[3]])
    images = a.images(np.concatenate([noise]), activations)
    # tokens that are not reached keep what the host wrote: clear the text first, beside the first token
    cleared = np.zeros((1, text + limit), np.int64)
    cleared[:, : len(activations)] = activations
    cleared[:, :1] = start
    outputs = compare(SMALL, images, cleared, 0, text, limit, seed=seed)
    state, generator, written = 3, Noise(seed), []
    for _ in range(limit):
        scores = [
            clamp(sum(int(embedding[state, k]) * int(weight[k, j]) for k in range(width)) + int(bias[j]) >> 8)
            for j in range(symbols)
        ]
        total = [clamp(s + temperature * int(noise[generator.draw() & 15])) for s in scores]
        state = total.index(max(total))
        written.append(state)
        if state == 0:
            break
    assert outputs[0] == written + [0] * (limit - len(written))


def test_the_best_value_of_a_search_is_stored() -> None:
    rng = np.random.default_rng(5)
    a = Assembly()
    a.add(
        dense(a, 0, 32, np.eye(6, dtype=int), np.zeros(6, int), 0, argmax=True),
        Store(Address(40), True),
        Store(Address(41)),
        Halt(),
    )
    inputs = rng.integers(-128, 128, (3, 6))
    outputs = compare(SMALL, a.images(), inputs, 0, 40, 2)
    assert outputs == [[int(x.max()), int(x.argmax())] for x in inputs]


@pytest.mark.parametrize(("taps", "late"), [(4, False), (60, True)])
def test_reading_a_result_before_it_is_written_is_reported_by_the_twin(taps: int, late: bool) -> None:
    """After 4 steps the results are written while the next run is still being read; after 60 they are not."""
    a = Assembly()
    first = np.eye(taps, 4, dtype=int)
    a.add(
        dense(a, 0, 64, first, np.zeros(4, int), 0),
        dense(a, 64, 72, np.eye(4, dtype=int), np.zeros(4, int), 0, barrier=False),
        Halt(),
    )
    emulator = Emulator(SMALL, a.images(activations=np.arange(taps)))
    if not late:
        emulator.run()
        assert emulator.read(72, 4).tolist() == [0, 1, 2, 3]
        return
    with pytest.raises(
        EmulationError, match=r"^word 20 reads activation 64 before it is written; it needs a barrier$"
    ):
        emulator.run()


def test_an_undefined_word_is_x_in_icarus_and_an_error_in_the_twin() -> None:
    a = Assembly()
    a.add(dense(a, 8, 32, np.eye(4, dtype=int), np.zeros(4, int), 0), Halt())
    simulation = simulate(SMALL, a.images(), np.zeros((1, 1), int), 0, 32, 4)
    assert simulation.status != 0
    assert "FAIL: vector 0 element 0 address 32 is X" in simulation.text
    with pytest.raises(EmulationError, match=r"^word 0 reads activation 8, which nothing has written$"):
        Emulator(SMALL, a.images()).run()
