# SPDX-License-Identifier: MIT
"""Import and export of networks in other formats, with the integers that their own runtimes compute."""
