# SPDX-License-Identifier: MIT
"""Object detection with a grid of cells: boxes, the meaning of the outputs, the loss, and average precision.

found = detections(net(images))              # boxes, classes and scores of every image
mean_average_precision(found, boxes, 0.5)    # against (images, objects, 5): left, top, right, bottom, class
"""

from fixedpoint_nn.training.detection.average_precision import (
    RANGE,
    average_precision,
    mean_average_precision,
)
from fixedpoint_nn.training.detection.boxes import overlaps, suppress
from fixedpoint_nn.training.detection.grid import Detections, detections
from fixedpoint_nn.training.detection.loss import grid_loss

__all__ = [
    "RANGE",
    "Detections",
    "average_precision",
    "detections",
    "grid_loss",
    "mean_average_precision",
    "overlaps",
    "suppress",
]
