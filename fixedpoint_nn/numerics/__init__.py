# SPDX-License-Identifier: MIT
"""Fixed-point arithmetic on arrays: formats, roundings, quantizers, accumulators, tables, exact matrix products."""
