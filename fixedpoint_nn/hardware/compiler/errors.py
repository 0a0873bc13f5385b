# SPDX-License-Identifier: MIT
"""`Refusal`: the engine cannot run this network, and the sentence says why and what to change."""


class LoweringError(ValueError):
    """Which layer does not fit, what it needs, and the smallest change that would fit."""


Refusal = LoweringError  # its name in version 0.1
