# SPDX-License-Identifier: MIT
"""Packs: a network for the engine as files."""
