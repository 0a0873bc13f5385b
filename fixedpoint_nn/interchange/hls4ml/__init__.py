# SPDX-License-Identifier: MIT
"""Networks of hls4ml, with the types and the order of additions of its C++."""
