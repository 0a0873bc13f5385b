# SPDX-License-Identifier: MIT
"""Files: folders that only this user can write to, temporary folders, and atomic writes."""
