# SPDX-License-Identifier: MIT
"""The compiler: from a traced program to instructions and memory images."""
