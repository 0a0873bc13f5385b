# SPDX-License-Identifier: MIT
"""The notebooks; `python -m notebooks` executes them and keeps what they print."""
