# SPDX-License-Identifier: MIT
"""Planned execution of recurrent layers over `FixedArray`s, without a call per verb and time step.

Importing this package registers it; the integers are equal to those of `FixedArray.scan` verb by verb.
"""

from fixedpoint_nn.numbers.fixed import array
from fixedpoint_nn.numbers.loops.dispatch import fused_scan

array.FUSED_SCANS.append(fused_scan)
