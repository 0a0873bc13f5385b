# SPDX-License-Identifier: MIT
"""From a traced program to instructions and memory images."""
