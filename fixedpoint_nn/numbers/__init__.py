# SPDX-License-Identifier: MIT
"""The numbers that flow through layers: the verbs, and the kinds `FixedArray`, `Tensor` and `Traced`."""
