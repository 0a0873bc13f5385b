# SPDX-License-Identifier: MIT
"""The aliases of NumPy's arrays that type hints use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Ints = NDArray[np.int64]
