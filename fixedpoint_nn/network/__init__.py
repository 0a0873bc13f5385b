# SPDX-License-Identifier: MIT
"""Trees of layers: walking, folding, initialising, quantised networks, files."""
