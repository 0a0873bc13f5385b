# SPDX-License-Identifier: MIT
"""Functions of 32-bit floats of this machine's C library, which TFLite's kernels call.

They are not correctly rounded: of glibc 2.36's tanhf one result in six is off in the last bit. So a code that the
interpreter computes by them is this library's too, and another machine's interpreter may have another one. Where
the C library is not found, the functions are those of doubles, rounded.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes.util import find_library
from functools import cache
from typing import Any

import numpy as np

Function = Callable[[Any], Any]


@cache
def _library() -> ctypes.CDLL | None:
    name = find_library("m")
    try:
        return None if name is None else ctypes.CDLL(name)
    except OSError:
        return None


def of_floats(name: str, otherwise: Function) -> Function:
    """The C library's function of arrays of 32-bit floats; `otherwise` is that function of doubles."""

    def function(x: Any) -> Any:
        library = _library()
        found = None if library is None else getattr(library, name, None)
        if found is None:
            return otherwise(x.astype(np.float64)).astype(np.float32)
        found.restype, found.argtypes = ctypes.c_float, (ctypes.c_float,)
        values = np.asarray(x, np.float32)
        results = np.fromiter(map(found, values.reshape(-1).tolist()), np.float32, values.size)
        return results.reshape(values.shape)

    return function
