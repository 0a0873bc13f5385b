# SPDX-License-Identifier: MIT
"""What the engine is: instructions, configuration, timing."""
