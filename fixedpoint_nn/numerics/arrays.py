# SPDX-License-Identifier: MIT
"""Type aliases of NumPy arrays, and a check that refuses masked arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.ma import MaskedArray
from numpy.typing import NDArray

Array = NDArray[Any]
Ints = NDArray[np.int64]

_PLAIN = {int, float, bool, slice, np.ndarray, type(None), type(...)}  # the usual items


def refuse_masked(x: object) -> None:
    """Raise if `x`, or an array in a list `x`, is a masked array with masked elements."""
    if isinstance(x, (list, tuple)):
        for part in x:
            if type(part) not in _PLAIN:
                refuse_masked(part)
    elif isinstance(x, MaskedArray) and np.ma.is_masked(x):
        count = int(np.count_nonzero(np.ma.getmaskarray(x)))
        raise TypeError(
            f"{count} of {x.size} elements of a masked array are masked, and a mask would be ignored; "
            "fill them first, by .filled(value)"
        )


def _bare_clip() -> Any:
    """`np.clip` without its Python wrapper, which takes longer than clipping a few thousands; the name is private."""
    try:
        from numpy._core.umath import clip  # type: ignore[attr-defined]
    except ImportError:
        return np.clip
    return clip


clip = _bare_clip()
