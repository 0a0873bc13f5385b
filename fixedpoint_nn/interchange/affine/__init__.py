# SPDX-License-Identifier: MIT
"""Numbers worth scale * (q - zero): their arithmetic as layers over the verbs that every network has."""
