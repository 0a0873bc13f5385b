# SPDX-License-Identifier: MIT
"""The data sets: found, downloaded or made, cleaned and split by a fixed rule."""
