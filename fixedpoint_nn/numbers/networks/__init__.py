# SPDX-License-Identifier: MIT
"""Feed-forward networks of `FixedArray`s, planned once and run as a whole; the integers are those of the verbs."""
