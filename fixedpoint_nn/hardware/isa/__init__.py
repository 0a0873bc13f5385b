# SPDX-License-Identifier: MIT
"""The engine's definition: instructions, configuration, memory images, timing."""
