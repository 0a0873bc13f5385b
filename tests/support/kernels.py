# SPDX-License-Identifier: MIT
"""Kernels for the tests of passes that come after selection: all that is not given is plain."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, View, dense_axes
from fixedpoint_nn.numerics.qformat import Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

WORD = Q(4, 4)


def row(buffer: Buffer, words: int, offset: int = 0, format: QFormat = WORD) -> View:
    """So many words of a buffer, one after the other."""
    return View(buffer, offset, dense_axes((1, words), (0, 1)), format)


def kernel(source: View, target: Target, channels: int = 4, lanes: int = 4, **more: Any) -> Kernel:
    """A dot product of one tap, one pixel and `channels` channels, unless `more` says otherwise."""
    plain: dict[str, Any] = {
        "name": "",
        "path": (),
        "operands": [source],
        "factors": [],
        "taps": [],
        "pixels": [],
        "tile_stride": 0,
        "vector": False,
        "maximum": False,
        "accumulator": None,
        "product_shift": 0,
        "weights": np.ones((1, lanes), np.int64),
        "parameters": np.tile(np.int64([4, 0, 1]), (channels, 1)),
        "per_tile": False,
        "quantizer": Quantizer(WORD),
        "relu_before": False,
        "relu_after": False,
        "leak": 0,
        "twice": False,
        "table": None,
        "bound": (-(1 << 10), 1 << 10),
    }
    return Kernel(channels=channels, lanes=lanes, target=target, **plain | more)
