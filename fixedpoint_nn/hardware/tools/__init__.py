# SPDX-License-Identifier: MIT
"""Synthesis, and tables for the documentation."""
