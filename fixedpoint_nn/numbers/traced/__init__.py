# SPDX-License-Identifier: MIT
"""`Traced`: a number that records a network as a program."""
