# SPDX-License-Identifier: MIT
"""Import of hls4ml models, with the types and the order of additions of its C++."""
