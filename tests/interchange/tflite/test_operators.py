# SPDX-License-Identifier: MIT
"""Every operator with all of its options, against the reference kernels of TFLite's interpreter: integers equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.interchange.tflite import from_tflite
from fixedpoint_nn.network.serialization import load, save
from tests.support.tflite_models import ModelBuilder, options, run
from tests.support.tflite_operators import MAKERS, models

EIGHT_BITS_ONLY = (  # as in TFLite
    "RELU_N1_TO_1", "RELU_0_TO_1", "HARD_SWISH", "UNIDIRECTIONAL_SEQUENCE_LSTM", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH",
    "PRELU", "ELU", "L2_NORMALIZATION", "SQUARED_DIFFERENCE",
)  # fmt: skip
# Products of 32 bits (a softmax, a norm), and values joined along another axis than the last, are beyond the engine.
NOT_ON_THE_ENGINE = (
    ("SOFTMAX", 8),
    ("L2_NORMALIZATION", 8),
    ("MUL", 16),
    ("CONCATENATION", 8),
    ("CONCATENATION", 16),
)
SIGNED_ONLY = (  # as in TFLite
    "ABS", "BATCH_MATMUL", "ELU", "EXP", "LOG", "RSQRT", "SQUARED_DIFFERENCE", "UNIDIRECTIONAL_SEQUENCE_LSTM",
)  # fmt: skip
UNSIGNED_ONLY = ("SUM",)  # whose kernel takes bytes for unsigned ones
CASES = [
    (name, bits)
    for name in MAKERS
    for bits in (8, 16)
    if name not in UNSIGNED_ONLY and (bits == 8 or name not in EIGHT_BITS_ONLY)
]


@pytest.mark.parametrize(("operator", "bits"), CASES)
def test_integers_are_the_interpreters(operator: str, bits: int) -> None:
    compare(operator, bits, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("operator", "bits"), CASES)
def test_integers_are_the_interpreters_in_many_models(operator: str, bits: int) -> None:
    compare(operator, bits, 200)


@pytest.mark.parametrize("operator", [name for name in MAKERS if name not in SIGNED_ONLY])
def test_unsigned_integers_are_the_interpreters(operator: str) -> None:
    compare(operator, 8, 4, unsigned=True)


@pytest.mark.slow
@pytest.mark.parametrize("operator", [name for name in MAKERS if name not in SIGNED_ONLY])
def test_unsigned_integers_are_the_interpreters_in_many_models(operator: str) -> None:
    compare(operator, 8, 200, unsigned=True)


def compare(operator: str, bits: int, tries: int, unsigned: bool = False) -> None:
    """So many models of one operator, here and in the interpreter."""

    @settings(max_examples=tries, deadline=None, suppress_health_check=list(HealthCheck))
    @given(models(operator, bits, unsigned))
    def check(drawn: tuple[bytes, np.ndarray]) -> None:
        blob, samples = drawn
        assert np.array_equal(from_tflite(blob)(samples).ints, run(blob, samples))

    check()


@pytest.mark.parametrize(("operator", "bits"), CASES)
def test_a_saved_layer_comes_back_the_same(operator: str, bits: int, tmp_path: Path) -> None:
    @settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(models(operator, bits))
    def check(drawn: tuple[bytes, np.ndarray]) -> None:
        blob, samples = drawn
        network = from_tflite(blob)
        save(network, tmp_path / "net.safetensors")
        again = load(tmp_path / "net.safetensors")
        assert np.array_equal(again(samples).ints, run(blob, samples))

    check()


@pytest.mark.parametrize(("operator", "bits"), [case for case in CASES if case not in NOT_ON_THE_ENGINE])
def test_the_engines_twin_gives_the_interpreters_words(operator: str, bits: int) -> None:
    @settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(models(operator, bits))
    def check(drawn: tuple[bytes, np.ndarray]) -> None:
        blob, samples = drawn
        network = from_tflite(blob)
        assume(network(samples[:1]).ndim > 1)
        try:
            engine = lower(network.net, samples.shape[1:], network.input.format, lanes=4)
        except LoweringError as refusal:
            assume(bits == 8 or "63 is the most" not in str(refusal))  # a sum of 32 bits, times 31
            raise
        twin = Twin(engine.config, engine.images, engine.input, samples[0].reshape(-1).astype(np.int64))
        twin.run()
        words = np.concatenate([twin.read(address) for address in engine.output.addresses().tolist()])
        assert np.array_equal(words, run(blob, samples[:1]).reshape(-1))

    check()


@pytest.mark.parametrize("power", [-1, -2, -3, -5])
@pytest.mark.parametrize("operator", ["CONV_2D", "FULLY_CONNECTED"])
def test_ties_are_rounded_as_in_the_interpreter(operator: str, power: int) -> None:
    model = ModelBuilder()
    image = operator == "CONV_2D"
    x = model.input((1, 1, 1, 1) if image else (1, 1), scale=0.5)
    weight = np.array([[3], [-3]], np.int8)
    weights = model.constant(weight.reshape(2, 1, 1, 1) if image else weight, scale=1.0)
    bias = model.constant(np.zeros(2, np.int32), scale=0.5)
    made = options("Conv2D", padding=1, strideH=1, strideW=1) if image else options("FullyConnected")
    shape = (1, 1, 1, 2) if image else (1, 2)
    y = model.operator(operator, [x, weights, bias], shape, made, scale=0.5 * 2.0**-power, zero=-3)
    blob = model.finish([y])
    samples = np.arange(-128, 128, dtype=np.int8).reshape(-1, *model.tensors[x].shape[1:])
    assert np.array_equal(from_tflite(blob)(samples).ints, run(blob, samples))


@pytest.mark.parametrize("scale", [0.004748779349029064, 0.051814887672662735, 0.012899596244096756])
def test_a_tanh_is_the_c_librarys(scale: float) -> None:
    """Scales where its last bit decides a code: the correctly rounded tanh would give another one."""
    model = ModelBuilder()
    x = model.input((1, 1), "int8", scale=scale, zero=0)
    blob = model.finish([model.operator("TANH", [x], (1, 1), None, "int8", scale=0.01, zero=0)])
    samples = np.arange(-128, 128).astype(np.int8).reshape(-1, 1)
    assert np.array_equal(from_tflite(blob)(samples).ints, run(blob, samples))
