# SPDX-License-Identifier: MIT
"""Formats, roundings, quantizers, accumulators, tables and exact matrix products: integers and what they are worth."""
