# SPDX-License-Identifier: MIT
"""Operators of scikit-learn's files around networks: onnxruntime's floats, or a refusal that says what to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="reading ONNX takes the `onnx` extra")
pytest.importorskip("onnxruntime", reason="onnxruntime judges")

import onnx

from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.unsupported import UnsupportedModel

RNG = np.random.default_rng(0)
WEIGHTS, BIASES = RNG.standard_normal(9).tolist(), [0.5, -0.25, 0.125]


def file_of(folder: Path, op: str, outputs: tuple[str, ...] = ("y",), **attributes: Any) -> Path:
    """A file of one operator on x (samples, 3), whose last output is floats."""
    helper, types = onnx.helper, onnx.TensorProto
    node = helper.make_node(op, ["x"], list(outputs), domain="ai.onnx.ml", **attributes)
    kinds = [types.INT64] * (len(outputs) - 1) + [types.FLOAT]
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", types.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(outputs, kinds)],
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
    return path


def check(path: Path, **options: Any) -> None:
    x = RNG.standard_normal((20, 3)).astype(np.float32)
    found = compare(path, [x], **options)
    assert found.equal, str(found)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("Scaler", {"offset": [0.5, -1.0, 2.0], "scale": [2.0, 0.5, -3.0]}),
        ("Scaler", {"offset": [0.5], "scale": [2.0]}),
        ("LinearRegressor", {"coefficients": WEIGHTS, "intercepts": BIASES, "targets": 3}),
        ("LinearRegressor", {"coefficients": WEIGHTS[:3], "targets": 1}),
        ("Normalizer", {"norm": "L1"}),
        ("Normalizer", {"norm": "L2"}),
        ("Normalizer", {"norm": "MAX"}),
    ],
)
def test_an_operator_gives_the_runtimes_floats(op: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    check(file_of(tmp_path, op, **attributes))


@pytest.mark.parametrize("after", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_the_scores_of_a_classifier_are_read_alone(after: str, tmp_path: Path) -> None:
    about = {
        "coefficients": WEIGHTS,
        "intercepts": BIASES,
        "classlabels_ints": [4, 5, 6],
        "post_transform": after,
    }
    path = file_of(tmp_path, "LinearClassifier", ("label", "scores"), **about)
    check(path, outputs=["scores"])
    with pytest.raises(UnsupportedModel) as refused:
        check(path)
    assert str(refused.value) == (
        "the model has 1 node that cannot be imported: 'LinearClassifier_0_label' (LinearClassifier): it gives labels "
        "of classes, which are not read; read the scores alone, with outputs= or --output"
    )


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("LinearRegressor", {"coefficients": WEIGHTS[:3], "post_transform": "PROBIT"}),
        ("LinearRegressor", {"coefficients": WEIGHTS[:4], "targets": 3}),
        ("Binarizer", {"threshold": 0.5}),
    ],
)
def test_what_is_not_read_is_refused_by_its_domain(
    op: str, attributes: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModel, match=r"operators of the domain 'ai.onnx.ml' are not supported"):
        check(file_of(tmp_path, op, **attributes))
