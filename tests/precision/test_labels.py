# SPDX-License-Identifier: MIT
"""Labels say which metric is meant; what fits none is refused with what to write instead."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.precision import Metric
from fixedpoint_nn.precision.labels import default_metric, demand_fitting

INT, FLOAT = np.int64, np.float32
ONE_NUMBER = "classes are one number for each sample, "


@pytest.mark.parametrize(
    ("labels", "shape", "metric"),
    [
        (np.zeros(8, INT), (8, 10), "accuracy"),
        (np.zeros(8, np.uint8), (8, 10), "accuracy"),
        (np.zeros(8, bool), (8, 2), "accuracy"),
        (np.zeros(8, INT), (8, 1), "accuracy"),
        (np.zeros((8, 1), INT), (8, 1), "accuracy"),
        (np.zeros((8, 7), INT), (8, 7, 27), "nll"),
        (np.zeros((8, 1), INT), (8, 1, 27), "nll"),
        (np.zeros((8, 3), FLOAT), (8, 3), "mse"),
        (np.zeros((8, 1), FLOAT), (8, 1), "mse"),
        (np.zeros(8, FLOAT), (8, 1), "mse"),
        (np.zeros((8, 1)), (8, 1, 1), "mse"),
        (np.zeros((8, 5, 3)), (8, 5, 3), "mse"),
        (np.zeros((8, 3, 5), FLOAT), (8, 4, 4, 15), "map50"),
    ],
)
def test_the_metric_follows_from_labels_and_outputs(labels: Any, shape: Any, metric: str) -> None:
    assert default_metric(labels, shape).name == metric
    demand_fitting(default_metric(labels, shape), labels, shape)


@pytest.mark.parametrize(
    ("labels", "shape", "way_out"),
    [
        (np.zeros((8, 1), INT), (8, 10), ONE_NUMBER + "y[..., 0]"),
        (
            np.zeros((8, 10), INT),
            (8, 10),
            ONE_NUMBER + "y.argmax(-1) of one-hot rows; targets are floats, y.astype(float)",
        ),
        (np.zeros(8), (8, 10), "classes are whole numbers, y.astype(int)"),
        (np.zeros((8, 2)), (8, 3), "classes are whole numbers of shape (8,), targets floats of shape (8, 3)"),
        (
            np.zeros((8, 3), INT),
            (8, 5, 9),
            "classes are whole numbers of shape (8, 5), targets floats of shape (8, 5, 9)",
        ),
        (np.array(["a"] * 8), (8, 3), "use whole numbers for classes, or floats for targets"),
    ],
)  # fmt: skip
def test_labels_that_say_no_metric_are_one_sentence(labels: Any, shape: Any, way_out: str) -> None:
    with pytest.raises(ValueError) as error:
        default_metric(labels, shape)
    assert str(error.value) == (
        f"labels of {labels.dtype} and shape {labels.shape} for outputs of shape {shape} imply no metric: "
        f"{way_out}"
    )


@pytest.mark.parametrize(
    ("metric", "labels", "shape", "sentence"),
    [
        (
            "mse", np.zeros((8, 2, 3)), (8, 3, 2),
            "mse needs numbers of the outputs' shape (8, 3, 2), not float64 of shape (8, 2, 3); "
            "write y.reshape(8, 3, 2)",
        ),
        (
            "mae", np.zeros(8, INT), (8, 10),
            "mae needs numbers of the outputs' shape (8, 10), not int64 of shape (8,); give a target for every output",
        ),
        (
            "mse", np.zeros((8, 3), bool), (8, 3),
            "mse needs numbers of the outputs' shape (8, 3), not bool of shape (8, 3); use floats",
        ),
        (
            "accuracy", np.zeros((8, 1), INT), (8, 10),
            "labels of int64 and shape (8, 1) for outputs of shape (8, 10) cannot be judged by accuracy: "
            "classes are one number for each sample, y[..., 0]",
        ),
        (
            "accuracy", np.zeros((8, 3)), (8, 3),
            "labels of float64 and shape (8, 3) for outputs of shape (8, 3) cannot be judged by accuracy: "
            "classes are whole numbers, one for each sample; targets have the metrics mse and mae",
        ),
        (
            "nll", np.arange(8), (8, 4),
            "labels run from 0 to 7, but the network has 4 outputs; they are 0 to 3, or -1 for padding",
        ),
        (
            "accuracy", np.full(8, -1), (8, 4),
            "every label is -1, padding, so there is nothing to judge; give real labels",
        ),
        (
            "accuracy", np.arange(8), (8, 1),
            "labels of a single output are 0 and 1, or -1 and 1, and these run from 0 to 7; if they are targets, "
            "pass floats, y.astype(float)",
        ),
        ("top5", np.zeros(8, INT), (8, 5), "top5 of 5 classes counts every answer as right; use accuracy, or nll"),
        (
            "auc", np.zeros(8, INT), (8, 3),
            "auc judges one output or two classes, not outputs of shape (8, 3); use accuracy, or nll",
        ),
        ("auc", np.ones(8, INT), (8, 1), "auc needs samples of both classes, and every label here is 1"),
        (
            "map50", np.zeros((8, 3, 4)), (8, 4, 4, 15),
            "map50 judges outputs (samples, rows, columns, 5 + classes) by boxes (samples, objects, 5), "
            "and here are outputs of shape (8, 4, 4, 15) and float64 of shape (8, 3, 4)",
        ),
        (
            "map50_95", np.zeros((8, 3, 5)), (8, 15),
            "map50_95 judges outputs (samples, rows, columns, 5 + classes) by boxes (samples, objects, 5), "
            "and here are outputs of shape (8, 15) and float64 of shape (8, 3, 5)",
        ),
        (
            "map50", np.full((8, 3, 5), -1.0), (8, 4, 4, 15),
            "map50 needs objects, and every box here has the class -1; give real boxes",
        ),
        (
            "map50", np.full((8, 3, 5), 10.0), (8, 4, 4, 15),
            "boxes have classes up to 10, but the network has outputs for 10; they are 0 to 9, or -1 where there is "
            "no object",
        ),
    ],
)  # fmt: skip
def test_a_metric_that_cannot_judge_the_labels_is_one_sentence(
    metric: str, labels: Any, shape: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        demand_fitting(Metric.of(metric), labels, shape)
