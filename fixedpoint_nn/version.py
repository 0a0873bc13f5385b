# SPDX-License-Identifier: MIT
"""The version of this release; setup.cfg and the command line read it here."""

__version__ = "0.2.0"
