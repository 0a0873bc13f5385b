# SPDX-License-Identifier: MIT
"""An engine behind AXI: its registers, and the driver that reads and writes them."""
