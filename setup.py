# SPDX-License-Identifier: MIT
"""The compiled kernels; everything else about the package stands in setup.cfg."""

import sys

from setuptools import Extension, setup

# Optional: where there is no C compiler, the package is built without it and NumPy does the work.
KERNELS = Extension(
    "fixedpoint_nn.numerics.native._kernels",
    ["fixedpoint_nn/numerics/native/kernels.c"],
    depends=[
        f"fixedpoint_nn/numerics/native/{name}.h"
        for name in ("network", "network_level", "scan_level", "elementwise", "image_windows", "quantize")
    ],
    extra_compile_args=[]
    if sys.platform == "win32"
    else ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"],
    optional=True,
    py_limited_api=True,
)

setup(ext_modules=[KERNELS], options={"bdist_wheel": {"py_limited_api": "cp310"}})
