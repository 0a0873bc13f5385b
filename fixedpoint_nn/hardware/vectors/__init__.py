# SPDX-License-Identifier: MIT
"""Golden vectors: the search for inputs that hit every cover point of a network."""
