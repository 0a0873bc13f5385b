# SPDX-License-Identifier: MIT
"""Verification: every word of a simulation compared with the expected one, and diagnosis of the first difference."""
