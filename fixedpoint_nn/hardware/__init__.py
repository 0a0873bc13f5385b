# SPDX-License-Identifier: MIT
"""From a traced network to the engine: lowering, packs, simulation, verification, synthesis."""
