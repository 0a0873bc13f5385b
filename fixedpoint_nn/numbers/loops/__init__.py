# SPDX-License-Identifier: MIT
"""Loops over time of `FixedArray`s, planned once for each layer and run without a call per verb and step.

Importing this registers them; the integers are those of `FixedArray.scan`, verb by verb.
"""

from fixedpoint_nn.numbers.fixed import array
from fixedpoint_nn.numbers.loops.dispatch import fused_scan

array.FUSED_SCANS.append(fused_scan)
