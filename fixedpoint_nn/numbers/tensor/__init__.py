# SPDX-License-Identifier: MIT
"""`Tensor`: floats with a gradient tape."""
