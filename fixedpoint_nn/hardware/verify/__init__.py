# SPDX-License-Identifier: MIT
"""Every word of a simulation against the expected one; the first difference, and what may have caused it."""
