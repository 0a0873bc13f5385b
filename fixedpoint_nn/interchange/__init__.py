# SPDX-License-Identifier: MIT
"""Other people's networks: read, with the integers that their own runtimes compute."""
