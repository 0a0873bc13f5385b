# SPDX-License-Identifier: MIT
"""Masks of minus infinity that join dequantised codes before a softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, from_onnx
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import node
from tests.interchange.onnx.test_normalizing import samples
from tests.interchange.onnx.test_runtime_domain import TYPES, check, file_of

CAUSAL = np.where(np.tril(np.ones((5, 5), bool)), 0, -np.inf).astype(np.float32)


def masked(mask: Any, scale: float = 0.1, behind: str = "Softmax", kind: str = "int8") -> bytes:
    """Codes, a mask, a softmax or another operator, codes."""
    dtype, element = TYPES[kind]
    lowest = np.iinfo(dtype).min
    constants = {
        "s": np.float32(scale), "z": dtype(lowest + 120), "m": mask, "t": np.float32(1 / 256), "u": dtype(lowest),
    }  # fmt: skip
    nodes = [
        node("DequantizeLinear", "x s z", "a"), node("Add", "m a", "b", name="mask"),
        node(behind, "b", "c", name="behind"), node("QuantizeLinear", "c t u", "y"),
    ]  # fmt: skip
    return file_of(nodes, {"x": (2, 5, 5)}, constants, element)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("scale", [0.01, 0.1, 2.0])
@pytest.mark.parametrize("lowest", [-np.inf, -1e9])
def test_hidden_codes_have_no_share(kind: str, scale: float, lowest: float) -> None:
    blob = masked(np.maximum(CAUSAL, np.float32(lowest)), scale, kind=kind)
    x = samples(kind, (2, 5, 5), np.random.default_rng(1))
    check(blob, {"x": x})


def test_the_engine_hides_the_same_codes() -> None:
    network: Any = from_onnx(masked(CAUSAL))
    x = samples("int8", (2, 5, 5), np.random.default_rng(2))[:2]
    assert np.array_equal(RtlModel(network)(x).ints, network(x).ints)


@pytest.mark.parametrize(
    ("mask", "behind", "reason"),
    [
        (
            CAUSAL,
            "Tanh",
            "'behind' .*: some elements of its input are minus infinity, a mask that only a Softmax",
        ),
        (CAUSAL + np.float32(0.5), "Softmax", "'mask' .*: its constant is a mask and other numbers in one"),
        (np.full((5, 5), -np.inf, np.float32), "Softmax", "'behind' .*: its mask hides all of a row"),
    ],
)
def test_what_only_looks_like_it_is_refused(mask: Any, behind: str, reason: str) -> None:
    with pytest.raises(UnsupportedModel, match=reason):
        from_onnx(masked(mask, behind=behind))
