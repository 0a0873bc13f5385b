# SPDX-License-Identifier: MIT
"""`FixedArray`: integers with a format, the bit-accurate number."""
