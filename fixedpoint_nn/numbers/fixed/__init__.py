# SPDX-License-Identifier: MIT
"""`FixedArray`: integers with a format."""
