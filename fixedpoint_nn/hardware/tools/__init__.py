# SPDX-License-Identifier: MIT
"""Synthesis, estimates, and tables for the documentation."""
