# SPDX-License-Identifier: MIT
"""Proof that the verification can fail: `python -m tests.proof`, or one part of it by name."""
