# SPDX-License-Identifier: MIT
"""Mutation of the Python core: does a test notice when one operator, constant or result of the source changes?"""
