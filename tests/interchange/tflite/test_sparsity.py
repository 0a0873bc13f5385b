# SPDX-License-Identifier: MIT
"""Sparse constants are those that the interpreter's DENSIFY makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedpoint_nn.interchange.tflite import from_tflite
from fixedpoint_nn.interchange.tflite.file import TfliteError
from tests.support.tflite_models import ModelBuilder, options, run

OUTPUTS, INPUTS = 4, 8


def dense_level(size: int) -> Any:
    level = schema.DimensionMetadataT()
    level.format, level.denseSize = schema.DimensionType.DENSE, size
    return level


def compressed_level(segments: list[int], indices: list[int], kind: str) -> Any:
    level = schema.DimensionMetadataT()
    level.format = schema.DimensionType.SPARSE_CSR
    for name, numbers in (("arraySegments", segments), ("arrayIndices", indices)):
        vector = getattr(schema, f"{kind}T")()
        vector.values = numbers
        setattr(level, name, vector)
        setattr(level, f"{name}Type", getattr(schema.SparseIndexVector, kind))
    return level


def stored(weights: np.ndarray, block: int, kind: str) -> tuple[Any, np.ndarray]:
    """(sparsity, values) of a matrix whose rows have only the blocks of columns that are not zero."""
    about = schema.SparsityParametersT()
    rows, columns = weights.shape
    blocks = weights.reshape(rows, columns // block, block)
    kept = [np.flatnonzero(row.any(axis=1)) for row in blocks]
    segments = np.cumsum([0, *(len(places) for places in kept)]).tolist()
    indices = np.concatenate(kept).tolist()
    about.traversalOrder, about.blockMap = [0, 1], []
    about.dimMetadata = [dense_level(rows), compressed_level(segments, indices, kind)]
    if block > 1:
        about.traversalOrder, about.blockMap = [0, 1, 2], [1]
        about.dimMetadata.append(dense_level(block))
    values = [blocks[row, place] for row, places in enumerate(kept) for place in places]
    return about, np.concatenate(values) if values else np.zeros(0, weights.dtype)


def model_of(weights: np.ndarray, block: int, kind: str) -> tuple[bytes, ModelBuilder]:
    """A fully connected layer with the sparse weights, behind a DENSIFY."""
    model = ModelBuilder()
    scale = {"scale": 0.1} if weights.dtype == np.int8 else {}
    x = model.input((1, INPUTS), weights.dtype.name, **scale)
    about, values = stored(weights, block, kind)
    sparse = model.constant(values, **scale)
    model.tensors[sparse].shape, model.tensors[sparse].sparsity = list(weights.shape), about
    whole = model.operator(
        "DENSIFY", [sparse], weights.shape, options("Densify"), weights.dtype.name, **scale
    )
    bias = model.constant(
        np.zeros(OUTPUTS, np.int32 if scale else np.float32), **({"scale": 0.01} if scale else {})
    )
    y = model.operator(
        "FULLY_CONNECTED",
        [x, whole, bias],
        (1, OUTPUTS),
        options("FullyConnected"),
        weights.dtype.name,
        **scale,
    )
    return model.finish([y]), model


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(["Uint8Vector", "Uint16Vector", "Int32Vector"]),
    st.sampled_from([np.int8, np.float32]),
)
def test_sparse_weights_are_the_interpreters(seed: int, block: int, kind: str, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((OUTPUTS, INPUTS)) < 0.4, rng.integers(-9, 10, (OUTPUTS, INPUTS)), 0)
    weights[0, 0] = 1
    blob, _ = model_of(weights.astype(dtype), block, kind)
    x = rng.integers(-50, 50, (5, INPUTS)).astype(dtype)
    y = from_tflite(blob)(x)
    assert np.array_equal(y.ints if dtype == np.int8 else y, run(blob, x))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"traversalOrder": [0, 0]}, "is traversed in the order"),
        ({"blockMap": [5], "traversalOrder": [0, 1, 2]}, "is traversed in the order"),
        ({"dimMetadata": [dense_level(1 << 30), dense_level(8)]}, "has a level of 1 times 1073741824"),
        (
            {"dimMetadata": [dense_level(4), compressed_level([0, 1], [3], "Uint8Vector")]},
            "2 segments for 4 nodes",
        ),
        (
            {"dimMetadata": [dense_level(4), compressed_level([0, 1, 1, 1, 1], [200], "Uint8Vector")]},
            "outside of axis 1",
        ),
    ],
)
def test_a_damaged_tree_is_refused_in_a_sentence(damage: dict[str, Any], reason: str) -> None:
    weights = np.zeros((OUTPUTS, INPUTS), np.float32)
    weights[0, 0] = 1
    _, model = model_of(weights, 1, "Uint8Vector")
    sparsity = next(tensor.sparsity for tensor in model.tensors if tensor.sparsity is not None)
    for name, value in damage.items():
        setattr(sparsity, name, value)
    with pytest.raises(TfliteError, match=reason):
        from_tflite(model.finish([len(model.tensors) - 1]))
