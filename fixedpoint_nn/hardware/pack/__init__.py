# SPDX-License-Identifier: MIT
"""Packs: a compiled network as a folder of files."""
