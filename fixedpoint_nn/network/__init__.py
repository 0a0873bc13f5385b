# SPDX-License-Identifier: MIT
"""Networks as trees of layers: walking, folding, initialising, quantised networks, files."""
