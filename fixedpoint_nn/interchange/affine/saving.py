# SPDX-License-Identifier: MIT
"""Registers the layers of this folder, so that saved networks can contain them."""

from __future__ import annotations

from fixedpoint_nn.interchange.affine.centred import Scaled, Shifted
from fixedpoint_nn.interchange.affine.filters import RememberedFeatures, TimeFilters
from fixedpoint_nn.interchange.affine.interpolated_image import InterpolatedImage
from fixedpoint_nn.interchange.affine.joining import (
    Joined,
    RescaledMatMul,
    RescaledProduct,
    RescaledSquare,
    RescaledSum,
    Stacked,
)
from fixedpoint_nn.interchange.affine.lstm import IntegerLSTM, Share
from fixedpoint_nn.interchange.affine.quantizer import AffineQuantizer
from fixedpoint_nn.interchange.affine.regions import AxesMean, AxesMinimum, Cut, WindowMean, ZeroPad
from fixedpoint_nn.interchange.affine.rescale import Clamp, Fitted, Lookup, Rescale, TwoSlopes
from fixedpoint_nn.interchange.affine.shares import Shares
from fixedpoint_nn.interchange.affine.softmax import Softmax8, Softmax16
from fixedpoint_nn.interchange.affine.standardized import Standardized
from fixedpoint_nn.interchange.affine.thresholds import Refined, Thresholds
from fixedpoint_nn.interchange.affine.unit_length import UnitLength
from fixedpoint_nn.interchange.affine.weighted import Scaling, WeightedSum
from fixedpoint_nn.network.encoding import register

CLASSES = (
    AffineQuantizer,
    AxesMean,
    AxesMinimum,
    Clamp,
    Cut,
    Fitted,
    IntegerLSTM,
    InterpolatedImage,
    Joined,
    Lookup,
    Refined,
    RememberedFeatures,
    Rescale,
    RescaledMatMul,
    RescaledProduct,
    RescaledSquare,
    RescaledSum,
    Scaled,
    Scaling,
    Share,
    Shares,
    Shifted,
    Softmax8,
    Softmax16,
    Stacked,
    Standardized,
    Thresholds,
    TimeFilters,
    TwoSlopes,
    UnitLength,
    WeightedSum,
    WindowMean,
    ZeroPad,
)

register(*CLASSES)
