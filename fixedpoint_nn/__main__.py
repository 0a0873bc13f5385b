# SPDX-License-Identifier: MIT
"""`python -m fixedpoint_nn` is `fixedpoint-nn`."""

import sys

from fixedpoint_nn.cli import main

if __name__ == "__main__":  # a spawned worker imports this file again
    sys.exit(main())
