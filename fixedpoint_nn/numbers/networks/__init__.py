# SPDX-License-Identifier: MIT
"""Planned execution of whole feed-forward networks over `FixedArray`s, with the integers of the verbs."""
