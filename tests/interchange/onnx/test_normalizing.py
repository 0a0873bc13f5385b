# SPDX-License-Identifier: MIT
"""Softmax and normalisations between quantisers: the codes of onnxruntime, and on the engine the same.

Its floats, and our words, are a little off the real numbers. So codes are equal wherever the real number is further
than that from a tie, and there is a test that such ties are few.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedpoint_nn import RtlModel, from_onnx
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.reader import imported_integers
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import model, node, reference
from tests.interchange.onnx.test_runtime_domain import TYPES, file_of, mine

RNG = np.random.default_rng(8)
NEAR = 2.0**-9  # of a code: where the two may round to different sides


def scaled(kind: str, rng: Any, scale: float, zero: int | None = None) -> dict[str, Any]:
    """A scale and a zero point."""
    dtype = TYPES[kind][0]
    ends = np.iinfo(dtype)
    return {
        "s": np.float32(scale),
        "z": dtype(rng.integers(ends.min, ends.max + 1) if zero is None else zero),
    }


def between(
    op: str, kind: str, shape: tuple[int, ...], x: Any, y: Any, more: dict[str, Any], **about: Any
) -> bytes:
    """DequantizeLinear, the operator, QuantizeLinear; its constants are dequantised from themselves."""
    nodes = [
        node("DequantizeLinear", "x sx zx", "a"),
        node(op, " ".join(["a", *more]), "b", **about),
        node("QuantizeLinear", "b sy zy", "y"),
    ]
    constants = {"sx": x["s"], "zx": x["z"], "sy": y["s"], "zy": y["z"], **more}
    return file_of(nodes, {"x": shape}, constants, TYPES[kind][1])


def samples(kind: str, shape: tuple[int, ...], rng: Any) -> Any:
    """Codes: wide, narrow, and all alike."""
    ends = np.iinfo(TYPES[kind][0])
    spread = rng.choice([0, 1, 4, 30, 120], (40, *(1,) * len(shape)))
    codes = rng.integers(ends.min, ends.max + 1) + np.rint(rng.normal(0, 1, (40, *shape)) * spread)
    return np.clip(codes, ends.min, ends.max).astype(TYPES[kind][0])


def check(blob: bytes, x: Any, real: Any, y: dict[str, Any]) -> None:
    """`real`: the results in the file's order, in long doubles."""
    found = imported_integers(read(blob))
    (theirs,) = reference(blob, {"x": x})
    ours = found.outputs[0].filed_values(found.net(found.inputs[0].inward(x)).ints)
    steps = real / np.longdouble(y["s"])
    clear = np.abs(steps - np.floor(steps) - 0.5) > NEAR
    ends = np.iinfo(theirs.dtype)
    exact = np.clip(np.rint(steps).astype(np.int64) + int(y["z"]), ends.min, ends.max)
    assert np.array_equal(ours[clear], exact[clear])
    assert np.array_equal(ours[clear], theirs[clear].astype(np.int64))
    assert np.abs(ours - theirs).max() <= 1


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["int8", "uint8"]), st.integers(1, 40), st.integers(0, 1 << 30))
def test_a_softmax_has_the_runtimes_codes(kind: str, terms: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = scaled(kind, rng, rng.choice([0.01, 0.1, 0.7]))
    y = scaled(kind, rng, rng.choice([1 / 256, 0.0031]), np.iinfo(TYPES[kind][0]).min)
    blob = between("Softmax", kind, (3, terms), x, y, {}, axis=-1)
    codes = samples(kind, (3, terms), rng)
    powers = np.exp(np.longdouble(x["s"]) * (codes.astype(np.int64) - codes.max(axis=-1, keepdims=True)))
    check(blob, codes, powers / powers.sum(axis=-1, keepdims=True), y)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["int8", "uint8"]), st.integers(2, 40), st.integers(0, 1 << 30))
def test_a_layer_normalisation_has_the_runtimes_codes(kind: str, terms: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = scaled(kind, rng, rng.choice([0.02, 0.3])), scaled(kind, rng, 0.03)
    gain, bias = (rng.normal(size=terms).astype(np.float32) for _ in range(2))
    more = {"g": gain, "h": bias} if rng.random() < 0.7 else {"g": gain}
    blob = between("LayerNormalization", kind, (3, terms), x, y, more, epsilon=1e-3)
    codes = samples(kind, (3, terms), rng)
    real = codes.astype(np.longdouble) * np.longdouble(x["s"])
    real -= real.mean(axis=-1, keepdims=True)
    real = real / np.sqrt((real**2).mean(axis=-1, keepdims=True) + np.longdouble(np.float32(1e-3))) * gain
    check(blob, codes, real + (bias if "h" in more else 0), y)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_an_instance_normalisation_has_the_runtimes_codes(kind: str) -> None:
    x, y = scaled(kind, RNG, 0.1), scaled(kind, RNG, 0.03)
    gain, bias = (RNG.normal(size=(3, 1, 1)).astype(np.float32) for _ in range(2))
    more = {"g": gain.reshape(-1), "h": bias.reshape(-1)}
    blob = between("InstanceNormalization", kind, (3, 4, 5), x, y, more)
    codes = samples(kind, (3, 4, 5), RNG)
    real = codes.astype(np.longdouble) * np.longdouble(x["s"])
    real -= real.mean(axis=(2, 3), keepdims=True)
    real = real / np.sqrt((real**2).mean(axis=(2, 3), keepdims=True) + np.longdouble(np.float32(1e-5)))
    check(blob, codes, real * gain + bias, y)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("terms", [2, 10, 200])
def test_the_kernel_qlinear_softmax_has_the_same_codes(kind: str, terms: int) -> None:
    """Its factor is floor(1 / scale), so a scale of 0.003 counts as 1 / 333."""
    dtype, element = TYPES[kind]
    for scale in (1 / 256, 0.003):
        zero = np.iinfo(dtype).min
        constants = {"sx": np.float32(0.1), "zx": dtype(5), "sy": np.float32(scale), "zy": dtype(zero)}
        softmax = mine("QLinearSoftmax", "x sx zx sy zy", "y", axis=-1, opset=17)
        blob = file_of([softmax], {"x": (terms,)}, constants, element)
        codes = samples(kind, (terms,), RNG)
        powers = np.exp(
            np.longdouble(np.float32(0.1)) * (codes.astype(np.int64) - codes.max(axis=-1, keepdims=True))
        )
        check(
            blob,
            codes,
            powers / powers.sum(axis=-1, keepdims=True),
            {"s": 1 / np.floor(1 / scale), "z": zero},
        )


def attention(kind: str, times: int, size: int) -> bytes:
    """x @ x^T, a softmax, times x, a layer normalisation: each result is rounded; floats of the products are exact."""
    dtype, element = TYPES[kind]
    zero = dtype(np.iinfo(dtype).min + 128)
    constants: dict[str, Any] = {
        "z": zero,
        "lowest": dtype(np.iinfo(dtype).min),
        "share": np.float32(1 / 256),
    }
    constants |= {f"s{i}": np.float32(scale) for i, scale in enumerate((2**-5, 2**-5, 2**-5, 0.03))}
    constants |= {
        "g": RNG.normal(size=size).astype(np.float32),
        "h": RNG.normal(size=size).astype(np.float32),
    }
    nodes = [
        node("DequantizeLinear", "x s0 z", "a"),
        node("Transpose", "a", "t", perm=[0, 2, 1]),
        node("MatMul", "a t", "m"),
        node("QuantizeLinear", "m s1 z", "mq"),
        node("DequantizeLinear", "mq s1 z", "md"),
        node("Softmax", "md", "p", axis=-1),
        node("QuantizeLinear", "p share lowest", "pq"),
        node("DequantizeLinear", "pq share lowest", "pd"),
        node("MatMul", "pd a", "v"),
        node("QuantizeLinear", "v s2 z", "vq"),
        node("DequantizeLinear", "vq s2 z", "vd"),
        node("LayerNormalization", "vd g h", "n"),
        node("QuantizeLinear", "n s3 z", "y"),
    ]
    return file_of(nodes, {"x": (times, size)}, constants, element)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_attention_runs_in_the_verilog_with_the_runtimes_codes(kind: str) -> None:
    blob = attention(kind, 3, 4)
    x = samples(kind, (3, 4), RNG)
    network = from_onnx(blob)
    ours = network(x).ints
    (theirs,) = reference(blob, {"x": x})
    assert np.array_equal(ours, theirs)
    assert np.array_equal(RtlModel(network)(x[:2]).ints, ours[:2])


def test_ties_are_few() -> None:
    """In 200,000 codes of a softmax and of a normalisation, none differs from the runtime's."""
    x, y = scaled("int8", RNG, 0.1), scaled("int8", RNG, 1 / 256, -128)
    codes = RNG.integers(-128, 128, (1000, 200)).astype(np.int8)
    for op in ("Softmax", "LayerNormalization"):
        more = {} if op == "Softmax" else {"g": np.ones(200, np.float32)}
        blob = between(op, "int8", (200,), x, y if op == "Softmax" else scaled("int8", RNG, 0.03, 0), more)
        assert np.array_equal(from_onnx(blob)(codes).ints, reference(blob, {"x": codes})[0])


@pytest.mark.parametrize(
    ("op", "more", "about", "reason"),
    [
        ("Softmax", {}, {"axis": 0}, "it computes along the batch axis"),
        (
            "LayerNormalization",
            {"g": np.ones((3, 4), np.float32)},
            {"axis": 1},
            "it normalises over several axes, and the last one is supported",
        ),
        ("LogSoftmax", {}, {}, "import --floats`; or, at the end, leave it out: softmax=False"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused(
    op: str, more: dict[str, Any], about: dict[str, Any], reason: str
) -> None:
    x = scaled("int8", RNG, 0.1)
    with pytest.raises(UnsupportedModel, match=f"{reason}$"):
        from_onnx(between(op, "int8", (3, 4), x, x, more, **about))


def test_rows_of_sums_are_quantised_first() -> None:
    """A product's sums have more than the 16 bits that a table of exponentials takes."""
    constants = {
        "s": np.float32(0.1), "z": np.int8(0), "w": np.full((300, 4), 127, np.int8), "sw": np.float32(0.01),
        "sy": np.float32(1 / 256), "zy": np.int8(-128),
    }  # fmt: skip
    nodes = [
        node("DequantizeLinear", "x s z", "a"), node("DequantizeLinear", "w sw z", "b"), node("MatMul", "a b", "c"),
        node("Softmax", "c", "d", name="soft"), node("QuantizeLinear", "d sy zy", "y"),
    ]  # fmt: skip
    blob = file_of(nodes, {"x": (300,)}, constants, TYPES["int8"][1])
    reason = r"'soft' \(Softmax\): its input has 24 bits, and 16 are the most; quantise it before"
    with pytest.raises(UnsupportedModel, match=reason):
        from_onnx(blob)


def test_floats_come_in_by_the_files_own_quantiser() -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "a"),
        node("Softmax", "a", "b"), node("QuantizeLinear", "b t u", "c"), node("DequantizeLinear", "c t u", "y"),
    ]  # fmt: skip
    constants = {"s": np.float32(0.1), "z": np.int8(4), "t": np.float32(1 / 256), "u": np.int8(-128)}
    blob = model(nodes, {"x": ["n", 7]}, ["y"], constants)
    x = RNG.normal(size=(50, 7)).astype(np.float32) * 4
    network = from_onnx(blob)
    assert np.array_equal((network(x).ints + 128) / np.float32(256), reference(blob, {"x": x})[0])


def test_a_place_is_taken_of_a_normalisation_that_nothing_rounds() -> None:
    """As the first token's features of a text classifier: its channels keep their gains."""
    rng = np.random.default_rng(5)
    constants = {"s": np.float32(0.05), "z": np.int8(2), "t": np.float32(0.03), "place": np.array(0)}
    constants |= {name: rng.normal(1, 0.4, 7).astype(np.float32) for name in ("gain", "bias")}
    nodes = [
        node("DequantizeLinear", "x s z", "a"), node("LayerNormalization", "a gain bias", "b"),
        node("Gather", "b place", "c", axis=1), node("QuantizeLinear", "c t z", "y"),
    ]  # fmt: skip
    blob = file_of(nodes, {"x": (3, 7)}, constants, TYPES["int8"][1])
    x = samples("int8", (3, 7), rng)
    network: Any = from_onnx(blob)
    assert np.array_equal(network(x).ints, reference(blob, {"x": x})[0])
