# SPDX-License-Identifier: MIT
"""Affine quantisation, x = scale * (q - zero): its integer arithmetic as layers."""
