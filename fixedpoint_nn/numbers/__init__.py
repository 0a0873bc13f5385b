# SPDX-License-Identifier: MIT
"""What flows through a layer: the verbs that every number answers, and the three kinds of number."""
