# SPDX-License-Identifier: MIT
"""`Traced`: a number that records the program that a network is."""
