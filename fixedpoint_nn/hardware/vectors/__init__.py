# SPDX-License-Identifier: MIT
"""Inputs that reach every cover point of a network."""
