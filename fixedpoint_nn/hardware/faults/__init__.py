# SPDX-License-Identifier: MIT
"""Flipped bits of images: which of them the vectors show."""
