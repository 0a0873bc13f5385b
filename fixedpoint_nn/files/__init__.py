# SPDX-License-Identifier: MIT
"""Folders that nobody else can change, temporary files that do not stay, and files that are whole or not there."""
